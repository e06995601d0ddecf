"""One function in many hands: JAX, numba, C, Triton. Right, it passes; with one planted bug, it does not."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scratchproof import assert_passes, examine

AFFINE_RELU = {
    "truth": lambda x, w, b: F.relu(x @ w + b),
    "inputs": {"x": (10, 6), "w": (6, 7), "b": (7,)},
    "kink": "relu'(0) = 0, as torch.relu has it",
}
BIAS_MEAN = "it is 10 times too small, N being 10: divided by N once too often"


def caught(subject, cause="", **told):
    report = examine(subject, precisions=("float32",), effort="quick", **told)
    assert not report.passed
    assert report.findings[0].severity == "value", report.findings[0].message
    said = report.findings[0].cause
    assert said == cause or (not cause and said.startswith("no known mistake fits"))
    return report


def test_jax_with_a_gradient_of_its_own():
    jax = pytest.importorskip("jax")

    def softplus(slope):
        @jax.custom_vjp
        def function(x):
            return jax.numpy.logaddexp(x, 0)

        function.defvjp(lambda x: (function(x), x), lambda x, dout: (dout * slope(x),))
        return function

    told = {"truth": F.softplus, "inputs": {"x": (5, 6)}}
    assert_passes(examine(softplus(jax.nn.sigmoid), **told))
    caught(softplus(lambda x: 1 - jax.nn.sigmoid(x)), **told)


def test_jax_with_nested_inputs_several_outputs_and_whole_numbers():
    jax = pytest.importorskip("jax")

    def step(x, state):
        h = jax.numpy.tanh(x + state["h"])
        return {"h": h, "most": h.argmax(-1), "sum": (h.sum(), state["c"] * h)}

    def truth(x, state):
        h = torch.tanh(x + state["h"])
        return {"h": h, "most": h.argmax(-1), "sum": (h.sum(), state["c"] * h)}

    told = {"truth": truth, "inputs": {"x": (4, 5), "state": {"h": (4, 5), "c": (4, 5)}}, "corners": ()}
    assert_passes(examine(step, **told))
    report = caught(lambda x, state: {**step(x, state), "most": step(x, state)["h"].argmin(-1)}, **told)
    assert "most: got" in report.findings[0].message


def test_numba_compiled_pair():
    numba = pytest.importorskip("numba")

    @numba.njit
    def affine_relu(x, w, b):
        return np.maximum(x @ w + b, 0)

    @numba.njit
    def gradients(dout, x, w, out):
        d = dout * (out > 0)
        return d @ np.ascontiguousarray(w.T), np.ascontiguousarray(x.T) @ d, d.sum(0)

    def forward(*arrays):  # copies in one order, which is compiled for once
        x, w, b = (np.array(a, order="C") for a in arrays)
        out = affine_relu(x, w, b)
        return out, (x, w, out)

    def backward(dout, cache):
        return gradients(np.array(dout, order="C"), *cache)

    def mean(dout, cache):
        dx, dw, db = backward(dout, cache)
        return dx, dw, db / len(dout)

    assert_passes(examine((forward, backward), precisions=("float32",), corners=("zeros",), **AFFINE_RELU))
    caught((forward, mean), BIAS_MEAN, corners=(), **AFFINE_RELU)


SWISH = """
#include <math.h>
void swish(long n, const double *x, double *out, double *slope) {
    for (long i = 0; i < n; i++) {
        double s = 1 / (1 + exp(-x[i]));
        out[i] = x[i] * s;
        slope[i] = s * (1 + SIGN x[i] * (1 - s));
    }
}
"""


@pytest.mark.parametrize("sign", ["+", "-"])
def test_c_through_ctypes(sign, tmp_path):
    source, library = tmp_path / "swish.c", tmp_path / "swish.so"
    source.write_text(SWISH)
    subprocess.run(["gcc", "-shared", "-fPIC", f"-DSIGN={sign}", "-o", library, source, "-lm"], check=True)
    swish = ctypes.CDLL(str(library)).swish

    def forward(x):
        x, out, slope = np.ascontiguousarray(x), np.empty(x.shape), np.empty(x.shape)
        swish(ctypes.c_long(x.size), *(a.ctypes.data_as(ctypes.c_void_p) for a in (x, out, slope)))
        return out, slope

    told = {"truth": F.silu, "inputs": {"x": (5, 6)}, "precisions": ("float64",)}
    report = examine((forward, lambda dout, slope: dout * slope), **told)
    assert report.passed == (sign == "+"), str(report)
    assert {finding.quantity for finding in report.findings} == (set() if sign == "+" else {"dx"})


TRITON = """
import torch, triton
import triton.language as tl
from torch.nn import functional as F
from scratchproof import examine

@triton.jit
def kernel(x, w, b, out, D: tl.constexpr, M: tl.constexpr, BLOCK: tl.constexpr):
    row, columns = tl.program_id(0), tl.arange(0, BLOCK)
    total = tl.load(b + columns, columns < M, 0.0)
    for d in range(D):
        total += tl.load(x + row * D + d) * tl.load(w + d * M + columns, columns < M, 0.0)
    tl.store(out + row * M + columns, tl.maximum(total, 0.0), columns < M)

class Right(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        x, w = x.contiguous(), w.contiguous()
        out = x.new_empty(len(x), w.shape[1])
        kernel[(len(x),)](x, w, b.contiguous(), out, *w.shape, BLOCK=8)
        ctx.save_for_backward(x, w, out)
        return out

    @staticmethod
    def backward(ctx, dout):
        x, w, out = ctx.saved_tensors
        d = dout * (out > 0)
        return d @ w.T, x.T @ d, d.sum(0)

class Wrong(Right):
    @staticmethod
    def backward(ctx, dout):
        dx, dw, db = Right.backward(ctx, dout)
        return dx, dw, db / len(dout)

for kernel_of in (Right, Wrong):
    print(examine(kernel_of.apply, name="affine_relu", truth=lambda x, w, b: F.relu(x @ w + b),
                  inputs={"x": (10, 6), "w": (6, 7), "b": (7,)}, precisions=("float32",), corners=()))
"""


def test_triton_kernel(tmp_path):
    pytest.importorskip("triton")
    file = tmp_path / "kernels.py"  # triton reads a kernel's source from its file
    file.write_text(TRITON)
    told = {**os.environ, "TRITON_INTERPRET": "1"}
    found = subprocess.run([sys.executable, file], env=told, capture_output=True, text=True, check=True)
    right, wrong = found.stdout.split("1 PASS")
    assert "FAIL" not in right
    assert BIAS_MEAN in wrong


def test_a_missing_framework_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ValueError, match=r"jax is not installed: pip install 'scratchproof\[jax\]'"):
        examine(torch.tanh, truth=torch.tanh, inputs={"x": (2, 3)}, framework="jax")
