"""A PASS means something: planted mistakes are caught and named; right code in a student's hand passes."""

import re
from pathlib import Path

import pytest

from scratchproof import scratch
from scratchproof.exam import checks, compare
from scratchproof.exam.compare import Severity, Verdict
from scratchproof.experiments.mistakes import MISTAKES, Mistake
from scratchproof.subjects import subject
from scratchproof.table.layers import row

SUBJECTS = Path(__file__).parents[2] / "strangers"


STUDENTS = ["affine", "relu", "softmax_loss", "batchnorm", "conv", "max_pool", "TwoLayerNet"]


def examined(file: str, layer: str, precision: str = "float64") -> checks.Report:
    return checks.examine(subject.load(str(SUBJECTS / file)), row(layer), precision)


def causes(report: checks.Report) -> str:
    return " ".join(f"{finding.message} {finding.cause}" for finding in report.findings)


def test_there_are_seventeen_mistakes():
    assert len({mistake.name for mistake in MISTAKES}) == 17


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_every_mistake_is_caught_and_named(mistake: Mistake):
    report = checks.examine(mistake.subject, mistake.row, "float64")
    if mistake.convention:
        assert report.verdict is Verdict.PASS
        assert {finding.severity for finding in report.findings} == {Severity.CONVENTION}
    else:
        assert report.verdict is Verdict.FAIL
        assert re.search(mistake.names, " ".join(f.cause for f in report.findings)), causes(report)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("layer", STUDENTS)
def test_right_code_in_a_students_hand_passes(layer, precision):
    report = examined("student.py", layer, precision)
    assert report.verdict in (Verdict.PASS, Verdict.SUSPECT), causes(report)
    assert all(finding.case == "empty" for finding in report.findings), causes(report)


@pytest.mark.parametrize(
    ("file", "layer", "verdict", "word"),
    [
        ("s0_relu_at_zero.py", "relu", Verdict.PASS, "another valid convention"),
        ("s1_softmax_without_shift.py", "softmax_loss", Verdict.FAIL, "maximum"),
        ("s2_overwritten_cache.py", "relu", Verdict.FAIL, "overwritten"),
        ("s1_scalar_biases.py", "TwoLayerNet", Verdict.FAIL, "shape"),
        ("s2_row_biases.py", "TwoLayerNet", Verdict.FAIL, "shape"),
        ("s3_reg_never_arrives.py", "TwoLayerNet", Verdict.FAIL, "never arrives"),
        ("s3_no_test_mode.py", "TwoLayerNet", Verdict.FAIL, "test mode"),
    ],
)
def test_the_sources_defects_are_named(file, layer, verdict, word):
    report = examined(file, layer)
    assert report.verdict is verdict
    assert word in causes(report)


def test_a_tolerance_that_lets_anything_pass_is_vacuous(monkeypatch):
    agreed = compare.Comparison(problem=None, message="")
    monkeypatch.setattr(checks, "compare", lambda *_: agreed)
    report = checks.examine(subject.ModuleSubject(name="scratch", module=scratch), row("relu"), "float64")
    assert report.verdict is Verdict.VACUOUS
