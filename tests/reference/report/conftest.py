"""Documents as the exam makes them, with whatever a test wants in them."""

from types import SimpleNamespace

import pytest

PROPERTIES = ("out", "dx", "corners", "conduct")


def result(**fields):
    return {
        "check": "values",
        "case": "x (N, D)",
        "quantity": "out",
        "verdict": "PASS",
        "severity": None,
        "message": "",
        "cause": "",
        "error": 1e-16,
        "allowed": 2e-15,
        "headroom": 20.0,
        **fields,
    }


def report(
    layer="relu", *results, verdict="PASS", precision="float64", properties=("out", "dx", "corners", "conduct"), of=""
):
    return {
        "layer": layer,
        "of": of,
        "precision": precision,
        "verdict": verdict,
        "properties": list(properties),
        "results": list(results),
    }


def document(*reports, **fields):
    verdicts = [r["verdict"] for r in reports]
    return {
        "format": "scratchproof-check",
        "version": 1,
        "subject": "layers.py",
        "seed": 0,
        "oracle": "cpu",
        "asked": [],
        "environment": {"python": "3.11.2", "numpy": "2.4.0", "torch": "2.15.0", "threads": 1},
        "reports": list(reports),
        "summary": {"passed": set(verdicts) <= {"PASS"}, "verdicts": {v: verdicts.count(v) for v in verdicts}},
        **fields,
    }


@pytest.fixture
def sample():
    return SimpleNamespace(result=result, report=report, document=document)
