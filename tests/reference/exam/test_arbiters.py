"""The slope of the subject's own forward pass: what is merely imprecise there does not make a gradient wrong."""

import pytest

from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.subjects import subject
from scratchproof.table.layers import row

SOFTMAX = """
import numpy as np

def softmax_loss(x, y):
    rows = np.arange(len(x))
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    dx = p.copy()
    dx[rows, y] -= 1
    return {}, dx / {}
"""
SIGMOID = """
import numpy as np

def sigmoid_forward(x):
    out = 0.5 * (1 + np.tanh(x / 2))
    return out, out

def sigmoid_backward(dout, out):
    return dout * out * (1 - out) * {}
"""
POOL = """
import numpy as np

def relu_forward(x):
    return np.maximum(x, 0)[..., :-1], x

def relu_backward(dout, x):
    return np.zeros_like(x)
"""


def verdict(text, layer, tmp_path):
    file = tmp_path / "layers.py"
    file.write_text(text)
    return examine(subject.load(str(file)), row(layer), "float64")


@pytest.mark.parametrize("loss", ["-np.log(p[rows, y] + 1e-8).mean()", "-np.log(p[rows, y].clip(1e-12)).mean()"])
def test_a_logarithm_that_is_cut_off_is_suspect_and_a_wrong_gradient_of_it_fails(loss, tmp_path):
    assert verdict(SOFTMAX.format(loss, "len(x)"), "softmax_loss", tmp_path).verdict is Verdict.SUSPECT
    assert verdict(SOFTMAX.format(loss, "len(x) * 2"), "softmax_loss", tmp_path).verdict is Verdict.FAIL
    assert verdict(SOFTMAX.format(f"0.999 * {loss}", "len(x)"), "softmax_loss", tmp_path).verdict is Verdict.FAIL


def test_an_imprecise_forward_pass_is_suspect_and_a_wrong_gradient_of_it_fails(tmp_path):
    assert verdict(SIGMOID.format(1), "sigmoid", tmp_path).verdict is Verdict.SUSPECT
    assert verdict(SIGMOID.format(1.001), "sigmoid", tmp_path).verdict is Verdict.FAIL


def test_an_output_of_another_shape_fails_and_does_not_crash_an_arbiter(tmp_path):
    report = verdict(POOL, "relu", tmp_path)
    assert report.verdict is Verdict.FAIL
    assert not any("cannot be examined" in r.message for r in report.results)
