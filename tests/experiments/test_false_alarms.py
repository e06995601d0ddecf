"""The count of false alarms: resumed where it was stopped, an alarm counted, the bound the rule of three's."""

import json

import pytest

from scratchproof.bank.certificate import state, stored
from scratchproof.experiments.false_alarms import Config, main


def counted(tmp_path, comparisons, out, layers="relu", jax=False, **options):
    files = {"results": str(tmp_path / "r.jsonl"), "out": str(tmp_path / out)}
    config = Config(comparisons=comparisons, layers=layers, jax=jax, **files, **options)
    return main(config)["metrics"]


def test_it_goes_on_where_it_was(tmp_path):
    first = counted(tmp_path, 200, "a", precisions="float32")
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    again = counted(tmp_path, 400, "b", precisions="float32")
    assert first["alarms"] == again["alarms"] == 0
    assert 200 <= first["comparisons"] < again["comparisons"]
    assert (tmp_path / "r.jsonl").read_text().splitlines()[: len(lines)] == lines


def test_an_alarm_is_counted_and_shown(tmp_path, capsys):
    line = {"key": "relu float32 normal 1 0", "comparisons": 30, "alarms": ["scratch: wolf"], "state": state()}
    old = {**line, "key": "relu float32 normal 1 1", "state": "of other checks"}
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (line, old)))
    found = counted(tmp_path, 30, "a", keep=str(tmp_path / "kept.json"))
    assert (found["alarms"], found["comparisons"]) == (1, 30)
    assert "scratch: wolf" in capsys.readouterr().out
    assert stored(tmp_path / "kept.json")["alarms"]["formats"] == {"float32": [1, 30]}


def test_wrong_code_would_raise_one(tmp_path, monkeypatch):
    from scratchproof import scratch

    monkeypatch.setattr(scratch, "relu_backward", lambda dout, cache: 1.01 * dout * (cache[0] > 0))
    assert counted(tmp_path, 40, "a", precisions="float64")["alarms"] > 0


def test_jax_is_asked_for_the_rows_it_has(tmp_path):
    pytest.importorskip("jax")
    with_it, without = (
        counted(tmp_path / str(jax), 10, "a", layers="tanh", precisions="float32", jax=jax) for jax in (True, False)
    )
    assert with_it["alarms"] == 0
    assert with_it["comparisons"] == without["comparisons"] * 5 // 4  # torch, both forms of scratch, the textbook


def test_what_is_not_known_is_refused(tmp_path):
    with pytest.raises(ValueError, match="precision is 'float8'"):
        counted(tmp_path, 10, "a", precisions="float8")
