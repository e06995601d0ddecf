"""What is a subgradient and what is not."""

import numpy as np
import pytest

from scratchproof.oracle.kinks import subgradients
from scratchproof.table.layers import row
from scratchproof.vjp import answer, from_torch

X = np.array([[0.0, -1.0, 2.0]])
DOUT = np.array([[1.0, 3.0, -2.0]])


@pytest.mark.parametrize(("at_zero", "valid"), [(0.0, True), (0.5, True), (1.0, True), (1.1, False), (-0.1, False)])
def test_at_a_kink_whatever_lies_between_the_slopes_is_valid(at_zero, valid):
    layer = row("relu")
    found = subgradients(layer, layer.cases[0], {"x": X}, "x", DOUT)
    gradient = np.array([[at_zero, 0.0, -2.0]])
    assert found.hold(gradient, np.full(X.shape, 1e-12)) is valid


def test_a_tie_may_not_send_its_gradient_to_all_of_the_tied():
    layer = row("max_pool")
    case = layer.cases[0]
    x = np.zeros_like(case.inputs(np.random.default_rng(0))["x"])
    function = from_torch(layer.torch, options=case.options)
    dout = np.ones_like(function(x=x)[0])
    first = answer(function, {"x": x}, [dout]).grads[0]["x"]
    found = subgradients(layer, case, {"x": x}, "x", dout)
    allowed = np.full(x.shape, 1e-12)
    assert found.hold(first, allowed)
    assert not found.hold((first > 0) + (first == 0) * 1.0, allowed)


def test_what_has_another_shape_or_is_not_finite_is_no_subgradient():
    layer = row("relu")
    found = subgradients(layer, layer.cases[0], {"x": X}, "x", DOUT)
    assert not found.hold(DOUT[:, :2], np.zeros((1, 2)))
    assert not found.hold(np.array([[np.nan, 0.0, -2.0]]), np.zeros(X.shape))
