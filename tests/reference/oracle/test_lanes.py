"""Runs in one pass are as the same runs one after the other; what cannot be batched is not."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scratchproof.oracle import lanes
from scratchproof.oracle.rounding import Rounding
from scratchproof.oracle.tolerance import tolerances, tolerances_of_many
from scratchproof.vjp import PRECISIONS, answer, floating, from_torch

COUNT = 8
MANY = {"repeats": 48}  # so that the farthest run is about as far each time


def measured(expression, inputs, seed=0, **how):
    """The tolerances of all outputs and gradients by name."""
    rng = np.random.default_rng(seed)
    function = from_torch(expression)
    outs = answer(function, inputs).outs
    cotangents = [{name: np.asarray(rng.standard_normal(outs[name].shape)) for name in floating(outs)}]
    truth = answer(function, inputs, cotangents)
    found, (grads,) = tolerances(expression, truth, inputs, cotangents, PRECISIONS["float32"], seed=seed, **how)
    return {**found, **{f"d{name}": tolerance for name, tolerance in grads.items()}}


def drawn(*shapes):
    rng = np.random.default_rng(1)
    return {f"x{i}": rng.standard_normal(shape) for i, shape in enumerate(shapes)}


BATCHED = {
    "affine": (lambda x, w, b: x @ w + b, drawn((6, 9), (9, 5), (5,))),
    "softmax": (lambda x: F.log_softmax(x, 1), drawn((6, 9))),
    "convolution": (F.conv2d, drawn((3, 4, 6, 7), (5, 4, 3, 2))),
    "grouped convolution": (lambda x, w: F.conv2d(x, w, groups=4), drawn((3, 4, 6, 7), (8, 1, 3, 2))),
    "group norm": (lambda x: F.group_norm(x, 2), drawn((3, 4, 6, 7))),
    "pooling": (lambda x: F.max_pool2d(x * x, 2), drawn((3, 4, 6, 8))),
    "attention": (F.scaled_dot_product_attention, drawn((2, 5, 4), (2, 7, 4), (2, 7, 3))),
    "embedding": (lambda w, i: F.embedding(i, w), {**drawn((6, 3)), "i": np.array([1, 4, 4, 0])}),
    "two outputs": (lambda x: {"a": x.exp(), "b": x.sum(1)}, drawn((6, 9))),
}


@pytest.mark.parametrize("name", BATCHED)
def test_a_pass_of_many_lanes_allows_what_single_runs_allow(name, monkeypatch):
    expression, inputs = BATCHED[name]
    together = measured(expression, inputs, **MANY)
    assert all(lanes._PASSES[expression].values())
    monkeypatch.setattr(lanes, "ELEMENTS", 0)
    alone = measured(expression, inputs, **MANY)
    for quantity, tolerance in alone.items():
        assert np.median(together[quantity].allowed / tolerance.allowed) == pytest.approx(1, abs=0.25), quantity
        assert together[quantity].unmodelled == tolerance.unmodelled


def asks_for_values(x):
    return x * float(x.detach().abs().max())


def looks_at_itself(x):
    """In a batch something else than by itself."""
    return x * (2 if torch._C._functorch.is_functorch_wrapped_tensor(x) else 3)


def writes_to_what_is_shared(x, total=torch.zeros(4, dtype=torch.float64)):  # noqa: B008
    total.zero_().add_(x.detach())
    return x * total


def another_formula(x):
    """In a batch torch spares itself the cancellation of sigmoid(x) - 1."""
    return F.binary_cross_entropy_with_logits(x + 20, torch.ones_like(x))


@pytest.mark.parametrize("expression", [another_formula, asks_for_values, looks_at_itself, writes_to_what_is_shared])
def test_what_cannot_be_batched_is_run_by_itself(expression, monkeypatch):
    inputs = drawn((4,))
    found = measured(expression, inputs)
    monkeypatch.setattr(lanes, "ELEMENTS", 0)
    assert {k: v.allowed.tolist() for k, v in found.items()} == {
        k: v.allowed.tolist() for k, v in measured(expression, inputs).items()
    }


def test_many_elements_take_several_passes(monkeypatch):
    passes = []
    stacked = lanes.stacked
    expression, inputs = BATCHED["affine"]
    monkeypatch.setattr(lanes, "ELEMENTS", 3 * sum(value.size for value in inputs.values()))
    one = lanes.Lanes(
        expression=expression,
        once=dict,
        together=lambda count: (
            passes.append(count) or [a.outs for (a,) in zip(*stacked(expression, [inputs], [[]], count), strict=True)]
        ),
        truth=answer(from_torch(expression), inputs).outs,
        shapes=tuple(value.shape for value in inputs.values()),
    )
    lanes._PASSES.pop(expression, None)
    assert len(lanes.repeated(one, COUNT, Rounding(PRECISIONS["float32"]))) == COUNT
    assert passes == [2, 3, 3, 2]  # two that nobody disturbs, to see whether they are right


TABLE = torch.arange(1.0, 10.0, dtype=torch.float64)
IN_PASSES = {1: lambda x: (x / TABLE).softmax(1), 2: lambda x: x * TABLE.sqrt()}


@pytest.mark.parametrize("passes", IN_PASSES)
def test_what_all_lanes_of_a_pass_share_takes_a_second_pass(passes):
    measured(IN_PASSES[passes], drawn((6, 9)))
    assert set(lanes._PASSES[IN_PASSES[passes]].values()) == {passes}


def test_random_draws_are_the_same_in_every_lane():
    expression, inputs = lambda x: F.dropout(x, 0.5), drawn((6, 9))
    allowed = measured(expression, inputs)["out"].allowed
    assert all(lanes._PASSES[expression].values())
    assert allowed.max() < np.abs(inputs["x0"]).min()  # another mask would move an element by all of its size


@pytest.mark.parametrize("batch", [2**20, 0])
def test_several_draws_are_each_allowed_what_they_are_by_themselves(batch, monkeypatch):
    monkeypatch.setattr(lanes, "ELEMENTS", batch)
    expression, inputs = BATCHED["softmax"]
    draws = [{name: scale * value for name, value in inputs.items()} for scale in (1.0, 8.0)]
    cotangents = [[{"out": np.random.default_rng(i).standard_normal((6, 9))}] for i in range(2)]
    truths = [answer(from_torch(expression), *given) for given in zip(draws, cotangents, strict=True)]
    found = tolerances_of_many(expression, truths, draws, cotangents, PRECISIONS["float32"], **MANY)
    for given, (outs, (grads,)) in zip(zip(truths, draws, cotangents, strict=True), found, strict=True):
        alone, (of_grads,) = tolerances(expression, *given, PRECISIONS["float32"], **MANY)
        for one, other in ((outs["out"], alone["out"]), (grads["x0"], of_grads["x0"])):
            assert np.median(one.allowed / other.allowed) == pytest.approx(1, abs=0.25)
