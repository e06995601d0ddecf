"""A judgement prints, counts, and can be written down."""

import json

import pytest

from scratchproof import assert_passes
from scratchproof.exam.compare import Verdict
from scratchproof.judging.judgement import Judgement, Reason

REASON = Reason(kind="zeros", message="it is all zeros", where="as shipped", quantity="out")


def judgement(**changed):
    told = {"candidate": "c.py", "reference": "r.py", "verdict": Verdict.PASS, "precision": "float32", "seed": 3}
    return Judgement(**{**told, **changed})


def test_only_what_passes_has_a_score():
    assert judgement().score == 1.0
    assert judgement(speedup=2.5).score == 2.5
    assert judgement(verdict=Verdict.FAIL, reasons=(REASON,), speedup=2.5).score == 0.0


def test_it_prints_its_reasons_and_its_seed():
    text = str(judgement(verdict=Verdict.FAIL, reasons=(REASON,), scale=64))
    assert text.splitlines() == [
        "FAIL c.py against r.py in float32, seed 3, sizes divided by 64",
        "FAIL zeros: it is all zeros (as shipped)",
    ]


def test_it_can_be_written_down():
    found = judgement(verdict=Verdict.FAIL, reasons=(REASON, REASON), asked=(("as shipped", float("inf")),))
    record = json.loads(found.as_json())
    assert record["kinds"] == ["zeros"]
    assert record["asked"] == [["as shipped", None]]
    assert (record["passed"], record["score"], record["verdict"]) == (False, 0.0, "FAIL")


def test_a_test_can_stand_on_it():
    assert_passes(judgement())
    with pytest.raises(AssertionError, match="it is all zeros"):
        assert_passes(judgement(verdict=Verdict.FAIL, reasons=(REASON,)))
