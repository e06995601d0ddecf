"""The census in its smoke form, and that it tells an alarm from what is explained."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from scratchproof.experiments import census
from scratchproof.experiments.command import command


def invoke(*arguments):
    return CliRunner().invoke(command(census.Config, census.main, census.SMOKE), ["--smoke", *arguments])


def test_the_smoke_census_holds_and_goes_on_from_where_it_was(tmp_path):
    result = invoke("--device", "cpu", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "record.json").read_text())
    summary = record["metrics"]["summary"]
    assert summary["verdicts"] == {"within": 5}
    assert summary["fully modelled"] == 1.0
    assert summary["comparisons"] > summary["operations"] == 5
    before = (tmp_path / "rows.jsonl").read_text()
    again = invoke("--device", "cpu", "--out", str(tmp_path))
    assert again.exit_code == 0, again.output
    assert (tmp_path / "rows.jsonl").read_text() == before
    assert "operations: 5" in again.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--operations", "nothing"), "nothing is not among the"),
        (("--precisions", "float8"), "float8 is not taken a census of"),
        (("--workers", "0"), "at least one process is needed"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(arguments, said, tmp_path):
    result = invoke(*arguments, "--device", "cpu", "--out", str(tmp_path))
    assert result.exit_code == 2
    assert said in result.output


def test_what_deviates_is_an_alarm_unless_it_is_explained(monkeypatch):
    from scratchproof.experiments import census_samples

    right = census_samples.Found(precision="float32", share=0.5, problem=None, message="", unmodelled=())
    wrong = replace(right, share=3.0, problem="value", message="out 0 got 1, expected 2")
    monkeypatch.setattr(census_samples, "compared", lambda *_: iter([right, wrong]))
    job = ("exp", ["float32"], 1, 1, 0, "cpu")
    assert census._row(job)["verdict"] == "ALARM"
    monkeypatch.setitem(census.KNOWN, "exp", "a reason")
    row = SimpleNamespace(**census._row(job))
    assert (row.verdict, row.why, row.share, row.alarms) == ("explained", "a reason", 3.0, 1)


def test_a_coarser_arithmetic_that_explains_all_is_told_instead(monkeypatch):
    from scratchproof.experiments import census_samples

    cause = "as if summed in bfloat16: 5.0 of 8 bits are right"
    wrong = census_samples.Found(
        precision="bfloat16", share=3.0, problem="precision", message="out 0 is off", unmodelled=(), cause=cause
    )
    monkeypatch.setattr(census_samples, "compared", lambda *_: iter([wrong]))
    row = census._row(("exp", ["bfloat16"], 1, 1, 0, "cpu"))
    assert (row["verdict"], row["why"]) == ("explained", "as if summed in bfloat16")
    assert census.coarse([row, {**row, "why": "a reason"}]) == {"as if summed in bfloat16": ["exp"]}
    monkeypatch.setattr(census_samples, "compared", lambda *_: iter([wrong, replace(wrong, cause="")]))
    assert census._row(("exp", ["bfloat16"], 1, 1, 0, "cpu"))["verdict"] == "ALARM"
