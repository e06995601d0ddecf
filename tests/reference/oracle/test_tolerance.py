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
    return compare(actual, truth.outs["out"], allowed["out"], PRECISIONS[precision]).problem


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


def test_what_torch_cannot_be_asked_about_is_neither_passed_nor_failed():
    library = torch.library.Library("stranger", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CPU")
    x = {"x": RNG.standard_normal(5)}
    assert judged(2 * x["x"], torch.ops.stranger.twice, x) == "unmodelled"
    assert judged(3 * x["x"], torch.ops.stranger.twice, x) == "unmodelled"
    assert judged(3 * x["x"][:3], torch.ops.stranger.twice, x) == "shape"


def test_random_draws_are_the_same_in_every_run():
    x = {"x": np.ones(50)}

    def dropped(x):
        return torch.nn.functional.dropout(x, 0.5)

    right = answer(from_torch(dropped), x).outs["out"]
    assert judged(right, dropped, x) is None
    assert judged(2 - right, dropped, x) == "value"
