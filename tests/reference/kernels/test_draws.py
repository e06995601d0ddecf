"""Every distribution changes what it should and keeps what carries a meaning."""

import numpy as np
import pytest

from scratchproof.kernels.draws import DISTRIBUTIONS, carries_meaning, changed

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(9, 14))
BY_ELEMENT = [d for d in DISTRIBUTIONS if d.name not in ("with outliers", "cancelling")]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda d: d.name)
def test_it_is_another_and_finite(distribution):
    found = distribution.change(X)
    assert found.shape == X.shape
    assert np.isfinite(found).all()
    assert (found != X).any()


@pytest.mark.parametrize("distribution", BY_ELEMENT, ids=lambda d: d.name)
def test_a_symmetric_and_a_triangular_matrix_stay_such(distribution):
    square = RNG.uniform(size=(8, 8))
    symmetric = distribution.change(square + square.T)
    assert np.array_equal(symmetric, symmetric.T)
    if distribution.name not in ("in clusters", "of few values"):
        assert not np.tril(distribution.change(np.triu(square)), -1).any()


def test_both_signs_come_of_one_and_ties_are_ties():
    by_name = {d.name: d for d in DISTRIBUTIONS}
    signs = by_name["of other signs"].change(X)
    assert (signs < 0).any()
    assert (signs > 0).any()
    assert (by_name["of other signs"].change(X - 0.5) >= 0).all()
    assert all(len(np.unique(d.change(X))) < X.size for d in DISTRIBUTIONS if d.ties)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (np.sign(X - 0.5), True),
        (np.arange(6), True),
        (X / X.sum(1, keepdims=True), True),
        (X > 0.5, True),
        (X, False),
        (X - 0.5, False),
    ],
    ids=["signs", "labels", "probabilities", "mask", "uniform", "centred"],
)
def test_labels_signs_and_probabilities_are_left_alone(value, meaning):
    assert carries_meaning(value) is meaning
    inputs = {"x": X, "y": value}
    found = changed(inputs, DISTRIBUTIONS[0], {"x": False, "y": carries_meaning(value)})
    assert (found["y"] is value) is meaning
