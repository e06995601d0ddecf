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
    return torch.randn(shape, dtype=torch.float64, generator=DRAW)


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


LABELS = torch.tensor([2, 0, 1, 2])
NORM = {"x": (5, 3, 2), "w": (3,), "b": (3,), "mean": (3,), "var": (3,)}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_batch_norm_and_its_gradients(training, kept, scaled):
    x, w, b, mean, var = (drawn(*shape) for shape in NORM.values())
    mean, var = (mean, var.abs()) if kept or not training else (None, None)
    w, b = (w, b) if scaled else (None, None)
    arguments = (x, w, b, *(v if v is None else v.clone() for v in (mean, var)), training, 0.1, 1e-5)
    due = torch.native_batch_norm(x, w, b, mean, var, training, 0.1, 1e-5)
    torch.testing.assert_close(RULES["native_batch_norm"](*arguments), due)
    dout = drawn(*NORM["x"])
    backward = (dout, x, w, mean, var, *due[1:], training, 1e-5, [True] * 3)
    found = RULES["native_batch_norm_backward"](*backward)
    torch.testing.assert_close(found, torch.ops.aten.native_batch_norm_backward(*backward))


@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("ignored", [-100, 2])
@pytest.mark.parametrize("weighted", [True, False])
def test_losses_by_label(reduction, ignored, weighted):
    x, w = drawn(4, 3), drawn(3).abs() if weighted else None
    arguments = (x, LABELS, w, reduction, ignored)
    loss, count = torch.ops.aten.nll_loss_forward(*arguments)
    torch.testing.assert_close(RULES["nll_loss_forward"](*arguments), (loss, count))
    backward = (drawn(*loss.shape), *arguments, count)
    torch.testing.assert_close(RULES["nll_loss_backward"](*backward), torch.ops.aten.nll_loss_backward(*backward))


@pytest.mark.parametrize("reduction", [0, 1, 2])
@pytest.mark.parametrize("weighted", [True, False])
def test_losses_by_value(reduction, weighted):
    x, y, w = drawn(4, 3), drawn(4, 3), drawn(4, 3) if weighted else None
    due = torch.ops.aten.binary_cross_entropy_with_logits(x, y, w, w, reduction)
    found = RULES["binary_cross_entropy_with_logits"](x, y, w, w, reduction)
    torch.testing.assert_close(found, due)
    torch.testing.assert_close(RULES["mse_loss"](x, y, reduction), torch.ops.aten.mse_loss(x, y, reduction))
    backward = (drawn(*due.shape), x, y, reduction)
    torch.testing.assert_close(RULES["mse_loss_backward"](*backward), torch.ops.aten.mse_loss_backward(*backward))


def test_gradients_of_functions():
    x, dout = drawn(4, 3), drawn(4, 3)
    for name in ("sigmoid", "tanh"):
        out = getattr(torch, name)(x)
        due = getattr(torch.ops.aten, f"{name}_backward")(dout, out)
        torch.testing.assert_close(RULES[f"{name}_backward"](dout, out), due)
    logs = x.log_softmax(1)
    due = torch.ops.aten._log_softmax_backward_data(dout, logs, 1, x.dtype)
    torch.testing.assert_close(RULES["_log_softmax_backward_data"](dout, logs, 1, x.dtype), due)
    torch.testing.assert_close(RULES["log_sigmoid"](x), F.logsigmoid(x))
    torch.testing.assert_close(RULES["log_sigmoid_forward"](x), torch.ops.aten.log_sigmoid_forward(x))
