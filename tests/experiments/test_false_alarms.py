"""The count of false alarms: resumed where it was stopped, an alarm counted, the bound the rule of three's."""

import json

import pytest

from scratchproof.experiments.false_alarms import Config, at_most, main


def counted(tmp_path, comparisons, out, **options):
    config = Config(
        comparisons=comparisons, layers="relu", results=str(tmp_path / "r.jsonl"), out=str(tmp_path / out), **options
    )
    return main(config)["metrics"]


def test_it_goes_on_where_it_was(tmp_path):
    first = counted(tmp_path, 20, "a")
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    again = counted(tmp_path, 40, "b")
    assert first["alarms"] == again["alarms"] == 0
    assert 20 <= first["comparisons"] < again["comparisons"]
    assert (tmp_path / "r.jsonl").read_text().splitlines()[: len(lines)] == lines


def test_an_alarm_is_counted_and_shown(tmp_path, capsys):
    line = {"key": "relu float32 normal 1 0", "comparisons": 30, "alarms": ["scratch: wolf"]}
    (tmp_path / "r.jsonl").write_text(json.dumps(line) + "\n")
    assert counted(tmp_path, 30, "a")["alarms"] == 1
    assert "scratch: wolf" in capsys.readouterr().out


def test_wrong_code_would_raise_one(tmp_path, monkeypatch):
    from scratchproof import scratch

    monkeypatch.setattr(scratch, "relu_backward", lambda dout, cache: 1.01 * dout * (cache[0] > 0))
    assert counted(tmp_path, 40, "a", precisions="float64")["alarms"] > 0


def test_the_bound_is_the_rule_of_three():
    assert 1_000_000 * at_most(0, 1_000_000) == pytest.approx(3.0, rel=2e-3)
    assert 100 * at_most(1, 100) > 4.7


def test_what_is_not_known_is_refused(tmp_path):
    with pytest.raises(ValueError, match="precision is 'float8'"):
        counted(tmp_path, 10, "a", precisions="float8")
