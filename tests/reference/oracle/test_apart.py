"""Rules that take an operation apart compute what torch's kernels compute."""

import pytest
import torch
from torch.nn import functional as F

from scratchproof.oracle.apart import POLYNOMIALS, RULES

DRAW = torch.Generator().manual_seed(0)
X = torch.rand(40, dtype=torch.float64, generator=DRAW) * 1.8 - 0.9
DEGREES = torch.arange(40, dtype=torch.float64) % 11 - 1


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials_by_their_recurrence_are_torchs(name):
    kernel = getattr(torch.ops.aten, name)
    torch.testing.assert_close(RULES[name](X, DEGREES), kernel(X, DEGREES))
    torch.testing.assert_close(RULES[name](X, 4), kernel(X, 4))


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=DRAW)


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, float("inf")])
def test_distances_of_pairs(p):
    x, dout = drawn(5, 3).requires_grad_(), drawn(10)
    far = F.pdist(x, p)
    torch.testing.assert_close(RULES["_pdist_forward"](x, p), far)
    (due,) = torch.autograd.grad(far, x, dout)
    torch.testing.assert_close(RULES["_pdist_backward"](dout, x, p, far), due)


def test_a_bilinear_form():
    x, y, w = drawn(6, 3), drawn(6, 4), drawn(5, 3, 4)
    arguments = (x, w, y, [1, 3], [0], [1, 2], [2, 3])
    torch.testing.assert_close(RULES["_trilinear"](*arguments), F.bilinear(x, y, w))


@pytest.mark.parametrize("name", ["_log_softmax", "_softmax"])
def test_a_softmax_of_nothing_is_nothing(name):
    assert RULES[name](torch.ones(3, 0), 1, False).shape == (3, 0)


@pytest.mark.parametrize("rows", [0, 3])
def test_gradients_of_a_layer_norm(rows):
    x, w, b, dout = drawn(rows, 4), drawn(4), drawn(4), drawn(rows, 4)
    _, mean, rstd = torch.native_layer_norm(x, [4], w, b, 1e-5)
    arguments = (dout, x, [4], mean, rstd, w, b, [True] * 3)
    found = RULES["native_layer_norm_backward"](*arguments)
    torch.testing.assert_close(found, torch.ops.aten.native_layer_norm_backward(*arguments))
