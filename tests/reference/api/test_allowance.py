"""The tolerance by itself: as wide as the exam's, and two numbers that contain it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scratchproof import allowance, assert_close

X, W = torch.randn(6, 70, generator=torch.manual_seed(0)), torch.randn(70, 3)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_what_torch_computes_in_a_precision_lies_within_its_allowance(precision):
    dtype = getattr(torch, precision)
    x, w = (value.detach().to(dtype).requires_grad_() for value in (X, W))
    out = torch.tanh(x @ w)
    dout = torch.ones_like(out)
    dx, dw = torch.autograd.grad(out, (x, w), dout)
    found = allowance(lambda x, w: torch.tanh(x @ w), {"x": x, "w": w}, precision, dout=dout)
    for name, value in {"out": out, "dx": dx, "dw": dw}.items():
        errors = np.abs(value.detach().double().numpy() - found[name].expected)
        assert (errors <= found[name].allowed).all()
        assert errors.any()


def test_two_numbers_contain_the_allowance_and_no_smaller_ones_do():
    for found in allowance(torch.matmul, {"x": X, "w": W}).values():
        line = found.atol + found.rtol * np.abs(found.expected)
        slack = line - found.allowed
        assert slack.min() >= -1e-9 * line.max()
        assert np.isclose(slack / line, 0).sum() >= 1
        assert line.mean() <= found.allowed.max()


def test_a_kernel_that_rounds_only_its_results_is_allowed_less():
    def normed(x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True))

    eager, fused = (allowance(normed, {"x": X}, "bfloat16", stored=stored)["out"] for stored in ("all", "outputs"))
    assert (fused.allowed < eager.allowed / 2).all()
    kept = normed(X.bfloat16().float()).bfloat16()
    assert_close(kept, normed, {"x": X}, "bfloat16", stored="outputs")
    with pytest.raises(AssertionError, match="out: "):
        assert_close(kept * 1.01, normed, {"x": X}, "bfloat16", stored="outputs")
    with pytest.raises(ValueError, match="stored is 'some'"):
        allowance(normed, {"x": X}, stored="some")


def test_an_equivalent_truth_widens_the_allowance():
    one, other = lambda x: F.softplus(x), lambda x: torch.log(1 + torch.exp(x))
    inputs = {"x": 10 * X - 20}
    narrow, wide = allowance(one, inputs)["out"], allowance((one, other), inputs)["out"]
    assert (wide.allowed >= narrow.allowed).all()
    assert wide.allowed.max() > 1.5 * narrow.allowed.max() or (wide.allowed > 1.5 * narrow.allowed).any()


def test_assert_close_passes_what_is_right_and_names_what_is_not():
    out, dout = X @ W, torch.ones(6, 3)
    assert_close(out, torch.matmul, {"x": X, "w": W}, grads={"w": X.T @ dout, "x": dout @ W.T}, dout=dout)
    with pytest.raises(AssertionError, match=r"out: got .* at \(\d, \d\); error .*, allowed .* \(float32\)"):
        assert_close(1.001 * out, torch.matmul, {"x": X, "w": W})
    with pytest.raises(AssertionError, match=r"dw: "):
        assert_close(out, torch.matmul, {"x": X, "w": W}, grads={"w": -X.T @ dout}, dout=dout)
    with pytest.raises(AssertionError, match=r"out\.1 is missing"):
        assert_close((out,), lambda x, w: (x @ w, x.sum()), {"x": X, "w": W})


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"inputs": {"x": (6, 70), "w": W}}, "x is no array"),
        ({"precision": "float8"}, "'float8' is no precision"),
        ({"grads": {"w": W}}, "without dout"),
        ({"grads": {"v": W}, "dout": torch.ones(6, 3)}, "there is no dv among out, dx, dw"),
        ({"inputs": {"x": X.to(torch.complex64), "w": W}}, "should be real"),
    ],
    ids=["a shape", "no precision", "no cotangent", "no such gradient", "complex"],
)
def test_what_makes_no_sense_is_refused(told, words):
    with pytest.raises(ValueError, match=words):
        assert_close(**{"actual": X @ W, "truth": torch.matmul, "inputs": {"x": X, "w": W}, **told})
