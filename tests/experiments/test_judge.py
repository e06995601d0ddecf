"""The rules for generated kernels compared: counted, named, resumed; a miss and an alarm are told."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scratchproof.experiments.command import command
from scratchproof.experiments.judge import OURS, SMOKE, Config, main

SMALL = {"problem": "reductions/mean", "name": "quotient,over one more"}


def compared(tmp_path, out="run", **options):
    folders = {"results": str(tmp_path / "r.jsonl"), "bank": str(tmp_path / "bank"), "out": str(tmp_path / out)}
    return main(Config(**SMALL | folders | options))["metrics"]


def test_candidates_are_judged_and_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(command(Config, main, SMOKE), ["--smoke", "--out", "run"])
    assert told.exit_code == 0, told.output
    found = json.loads(Path("run/record.json").read_text())["metrics"]
    ours, loose = found["rules"][:2]
    assert ours["rule"] == OURS
    assert (ours["refused"], ours["right"], ours["caught mistakes"], ours["mistakes"]) == (0, 1, 2, 2)
    assert (ours["caught hacks"], ours["hacks"], ours["named"]) == (1, 1, 1)
    assert loose["caught mistakes"] == 0
    assert 0 < loose["seconds"] < ours["seconds"]
    assert not found["wrongly judged"]
    assert "mistakes caught" in told.output
    assert Path("runs/smoke/judge-bank/reductions/mean/reference.py").exists()


def test_it_goes_on_where_it_was_and_tells_of_misses_and_alarms(tmp_path, capsys):
    compared(tmp_path)
    file = tmp_path / "r.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    turned = [{**line, "passes": {rule: not said for rule, said in line["passes"].items()}} for line in lines]
    file.write_text("".join(json.dumps(line) + "\n" for line in turned))
    found = compared(tmp_path, "again")
    assert len(file.read_text().splitlines()) == len(lines)
    assert (found["rules"][0]["refused"], found["rules"][0]["caught mistakes"]) == (1, 0)
    said = capsys.readouterr().out
    assert "REFUSED: reductions/mean/right" in said
    assert "MISSED: reductions/mean/mistake" in said


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="kind is 'wrong'"):
        compared(tmp_path, kind="wrong")
    with pytest.raises(ValueError, match="no candidate is called so"):
        compared(tmp_path, problem="sorting")
