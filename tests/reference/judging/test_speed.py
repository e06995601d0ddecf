"""Time is taken where the answer is right, and what no machine can do is refused."""

import pytest
import torch

from scratchproof import judge
from scratchproof.judging import speed

INPUTS = {"inputs": lambda: [torch.rand(60, 70)], "grad": False, "seed": 0}


def test_what_passes_is_timed_beside_the_reference():
    found = judge(torch.relu, torch.nn.functional.relu, time=True, **INPUTS)
    assert found.passed
    assert found.score == found.speedup > 0
    assert {name for name, _ in found.times} == {
        "copy",
        *(f"{who}, {state}" for who in ("candidate", "reference") for state in ("warm", "cold")),
    }


def test_what_fails_is_not():
    found = judge(torch.zeros_like, torch.nn.functional.relu, time=True, **INPUTS)
    assert (found.score, found.times) == (0.0, ())


@pytest.mark.parametrize(
    ("taken", "least", "refused"),
    [(1e-6, 1e-3, True), (5e-4, 1e-3, False), (1e-9, speed.SEEN / 2, False)],
    ids=["a thousandth of a copy", "half of a copy", "too short to tell"],
)
def test_what_would_need_more_than_memorys_bandwidth_is_refused(monkeypatch, taken, least, refused):
    monkeypatch.setattr(speed, "_bytes", lambda truth: 10**6)
    found = speed._impossible({"candidate, warm": taken, "copy": least}, None, None)
    assert [reason.kind for reason in found] == ["faster than the machine"] * refused
