"""What a derived tolerance allows, and what it does not."""

import numpy as np
import torch

from scratchproof.exam.compare import compare
from scratchproof.oracle.tolerance import tolerances
from scratchproof.vjp import PRECISIONS, answer, from_torch

RNG = np.random.default_rng(0)


def judged(actual, expression, inputs, precision="float64", **given):
    """The problem, if any, that the derived tolerance finds with an array as the expression's output."""
    truth = answer(from_torch(expression), inputs)
    allowed, _ = tolerances(expression, truth, inputs, (), PRECISIONS[precision], **given)
    return compare(actual, truth.out, allowed, PRECISIONS[precision]).problem


def test_a_truth_may_be_several_equivalent_expressions():
    x, t = RNG.standard_normal(400) + 30, np.ones(400)

    def softplus(x, t):
        return torch.logaddexp(torch.zeros_like(x), -x) + (1 - t) * x

    def other(x, t):
        return torch.logaddexp(torch.zeros_like(x), x) - t * x  # cancels: 30 - 30

    found = from_torch(other)(x=x, t=t)[0]
    given = {"expression": softplus, "inputs": {"x": x, "t": t}}
    assert judged(found, **given) is not None
    assert judged(found, **given, alternatives=(other,)) is None
    assert judged(found * (1 + 1e-3) + 1e-10, **given, alternatives=(other,)) is not None
