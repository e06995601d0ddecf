"""A wrong array is called what it is, and every control is wrong."""

import numpy as np
import pytest
import torch

from scratchproof.exam.compare import compare
from scratchproof.judging.asks import base, built_state
from scratchproof.judging.naming import CONTROLS, Evidence, coarser, name
from scratchproof.judging.truth import Truth, coarse
from scratchproof.kernels.problem import from_objects
from scratchproof.kernels.surroundings import POISON
from scratchproof.vjp import PRECISIONS

FLOAT = PRECISIONS["float32"]
SETTING = from_objects(lambda x: torch.tanh(x @ x.mT) + x.mean(), [torch.rand(7, 7)]).at({}, 0)
ASKS = [base(SETTING, FLOAT, seed, built_state(SETTING), grad=False) for seed in range(2)]
TRUTHS = [Truth(ask=ask, precision=FLOAT, allow=FLOAT, grid=FLOAT, seed=0) for ask in ASKS]
RIGHT, EARLIER = (truth.expected["out"] for truth in TRUTHS)
LATE = np.arange(7)[:, None] > 3
UNWRITTEN = float(np.frombuffer(bytes([POISON] * 4), np.float32)[0])


def called(actual):
    truth = TRUTHS[0]
    tolerance = truth.allowed["out"]
    return name(
        Evidence(
            actual=actual,
            expected=RIGHT,
            tolerance=tolerance,
            precision=FLOAT,
            comparison=compare(actual, RIGHT, tolerance, FLOAT),
            inputs=ASKS[0].inputs,
            earlier={"before": EARLIER},
            gradient=False,
            derive=lambda precision: truth.under(precision)["out"],
        )
    ).kind


def in_bfloat16():
    x = torch.from_numpy(ASKS[0].inputs["x"]).bfloat16()
    return (torch.tanh(x @ x.mT) + x.mean()).double().numpy()


@pytest.mark.parametrize(
    ("actual", "kind"),
    [
        (np.zeros_like(RIGHT), "zeros"),
        (np.full_like(RIGHT, 3.0), "constant"),
        (ASKS[0].inputs["x"], "copy of an input"),
        (EARLIER, "stale output"),
        (np.flip(RIGHT, 0), "permutation"),
        (np.roll(RIGHT.ravel(), 3).reshape(RIGHT.shape), "permutation"),
        (RIGHT * 1.001, "wrong factor"),
        (RIGHT + 0.01, "wrong term"),
        (in_bfloat16(), "downgrade"),
        (RIGHT[:3], "wrong shape"),
        (np.where(LATE, 0.0, RIGHT), "part not computed"),
        (np.where(LATE, UNWRITTEN, RIGHT), "reads unwritten memory"),
        (np.where(LATE, np.nan, RIGHT), "not finite"),
        (np.sin(RIGHT), "wrong value"),
    ],
)
def test_it_is_called_what_it_is(actual, kind):
    assert called(actual) == kind


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_every_control_is_seen_where_a_problem_can_tell(control):
    wrong = control.make(RIGHT, ASKS[0].inputs, [EARLIER], FLOAT)
    assert compare(wrong, RIGHT, TRUTHS[0].allowed["out"], FLOAT).problem is not None


def test_what_is_coarser_than_allowed_is_left_to_be_named():
    assert [words for words, _ in coarser(FLOAT)][:3] == ["its operands were TF32", "float16 inside", "bfloat16 inside"]
    assert [words for words, _ in coarser(coarse(FLOAT, "float16"))] == [
        "bfloat16 inside",
        "summed in float16",
        "summed in bfloat16",
    ]
    assert [words for words, _ in coarser(PRECISIONS["bfloat16"])] == ["summed in bfloat16"]
