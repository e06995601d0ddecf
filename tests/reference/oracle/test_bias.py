"""Means over a tensor: a tenth of a rounding is seen, of all elements or of the small ones; equal roundings are not."""

import numpy as np
import pytest
import torch

from scratchproof.exam.compare import compare
from scratchproof.oracle.bias import crowding, drift, means, regression_scale
from scratchproof.oracle.tolerance import tolerances
from scratchproof.vjp import PRECISIONS, answer, from_torch

COUNT = 100_000
FORMATS = ("float16", "bfloat16")


def product(x, w):
    return x * w


def posed(name, seed=0, count=COUNT):
    rng, precision = np.random.default_rng(seed), PRECISIONS[name]
    inputs = precision.rounded(
        {"x": 1 + rng.random(count), "w": rng.choice([-1.0, 1.0, 0.01], count) * (1 + rng.random(count))}
    )
    truth = answer(from_torch(product), inputs)
    return truth.out, tolerances(product, truth, inputs, (), precision)[0]["out"], precision


def told(values, problem):
    expected, tolerance, precision = problem
    return compare(precision.rounded({"": values})[""], expected, tolerance, precision).message


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_bias_of_a_tenth_of_a_rounding_is_none(name, sign):
    problem = posed(name)
    expected, _, precision = problem
    assert told(expected, problem) == ""
    assert "on the whole" in told(expected * (1 + sign * precision.unit / 10), problem)


@pytest.mark.parametrize("name", FORMATS)
def test_small_elements_that_are_cut_off_are_seen_though_they_weigh_nothing(name):
    problem = posed(name)
    expected, _, precision = problem
    small = np.abs(expected) < 0.1
    assert "toward zero" in told(np.where(small, expected * (1 - precision.unit / 2), expected), problem)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.0, 1e-5, 1e-3])
def test_elements_that_lie_close_together_round_alike(name, seed, spread):
    precision = PRECISIONS[name]
    rng = np.random.default_rng(seed)
    inputs = precision.rounded({"x": rng.standard_normal(1), "w": 1 + spread * rng.standard_normal(4000)})
    truth = answer(from_torch(product), inputs)
    tolerance = tolerances(product, truth, inputs, (), precision, seed=seed)[0]["out"]
    given = answer(from_torch(product, precision), inputs).out
    assert compare(given, truth.out, tolerance, precision).problem is None


@pytest.mark.parametrize("size", [1e-280, 1.0, 1e300])
def test_sizes_at_either_end_of_the_range_are_no_matter(size):
    x = {"x": size * np.array([1.0, -2.0, 3.0]), "w": np.ones(3)}
    truth = answer(from_torch(product), x)
    tolerance = tolerances(product, truth, x, (), PRECISIONS["float64"])[0]["out"]
    assert 0 < tolerance.scale < 2.0**-48
    assert 0 < tolerance.offset / size < 2.0**-48
    assert 0 < tolerance.drift < 10


def test_a_mean_of_nothing_is_none():
    none = np.zeros(0)
    assert drift(none, none, none) == 0.0
    assert regression_scale(none, none) == 1.0
    assert drift(np.array([np.inf]), np.array([1.0]), np.array([0.0])) == 0.0


def test_numbers_near_the_smallest_there_is_are_no_trouble():
    expected = np.array([np.finfo(np.float64).tiny, 1.0])
    found = means(np.array([[1e-3, 0.0]]), expected, expected, PRECISIONS["float32"])
    assert np.isfinite(found["offset"])


@pytest.mark.parametrize("name", ["float64", "float32", *FORMATS])
def test_what_is_alike_is_told_from_what_is_spread_out(name):
    unit, rng = PRECISIONS[name].unit, np.random.default_rng(0)
    for count in (40, 4000, 40_000):
        assert crowding(rng.standard_normal(count), unit) == 1.0
        assert crowding(np.ones(count), unit) > 0.6 * count
        assert crowding(np.repeat(rng.standard_normal(4), count // 4), unit) > 0.15 * count
    few = 3.0 + unit * rng.random(40) / 4
    assert crowding(few, max(unit, 2.0**-24)) > 3
    assert crowding(np.zeros(40), unit) == 1.0


def test_rows_that_are_alike_err_alike():
    """A net on inputs of nearly nothing: its rows are equal, and so are their roundings."""
    precision = PRECISIONS["float16"]

    def net(x, w, b, v):
        return torch.sigmoid(torch.sigmoid(x @ w + b) @ v)

    for seed in range(20):
        rng = np.random.default_rng(seed)
        shapes = {"x": (40, 2), "w": (2, 1), "b": (1,), "v": (1, 2)}
        inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        inputs = precision.rounded({**inputs, "x": inputs["x"] * precision.tiny})
        truth = answer(from_torch(net), inputs)
        tolerance = tolerances(net, truth, inputs, (), precision, seed=seed)[0]["out"]
        assert not compare(answer(from_torch(net, precision), inputs).out, truth.out, tolerance, precision).message


def test_what_is_computed_from_equal_inputs_errs_alike_whatever_it_is_multiplied_by():
    precision = PRECISIONS["float16"]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        inputs = precision.rounded({"x": 1 + rng.standard_normal(3300) / 1000})
        douts = [precision.rounded({"out": rng.standard_normal(3300)})]
        truth = answer(from_torch(torch.tanh), inputs, douts)
        _, (allowed,) = tolerances(torch.tanh, truth, inputs, douts, precision, seed=seed)
        found = answer(from_torch(torch.tanh, precision), inputs, douts).grads[0]["x"]
        assert not compare(found, truth.grads[0]["x"], allowed["x"], precision).message
