"""Awkward memory holds the same values in the same shape."""

from pathlib import Path

import numpy as np
import pytest

from scratchproof import scratch
from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.exam.corners import LAYOUTS
from scratchproof.subjects import subject
from scratchproof.table.layers import row

STRANGERS = Path(__file__).resolve().parents[2] / "strangers"


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_changes_neither_shape_nor_values(layout, shape):
    value = np.random.default_rng(0).standard_normal(shape)
    laid_out = LAYOUTS[layout](value)
    assert isinstance(laid_out, np.ndarray)
    assert laid_out.shape == shape
    np.testing.assert_array_equal(laid_out, value)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
def test_right_batch_norm_at_an_offset_passes_whatever_the_seed(seed, precision):
    stranger = subject.load(str(STRANGERS / "right" / "cache_dicts.py"))
    report = examine(stranger, row("batchnorm"), precision, seed=seed)
    assert report.verdict is Verdict.PASS, [r.message for r in report.findings]


def planted(name, **functions):
    module = type(scratch)("planted")
    vars(module).update({name: getattr(scratch, name) for name in scratch.__all__} | functions)
    report = examine(subject.ModuleSubject(name="planted", module=module), row(name), "float64")
    return {r.case for r in report.findings if r.verdict is Verdict.FAIL}


def test_xhat_got_back_by_dividing_by_a_gamma_of_zero_is_caught():
    def batchnorm_forward(x, gamma, beta, *, eps=1e-5):
        out, (_, rstd, _) = scratch.batchnorm_forward(x, gamma, beta, eps=eps)
        return out, (np.nan_to_num((out - beta) / gamma), rstd, gamma)

    assert "sparse" in planted("batchnorm", batchnorm_forward=batchnorm_forward)


def test_a_step_without_a_gradient_that_is_skipped_is_caught():
    def sgd_momentum(w, dw, config):
        return scratch.sgd_momentum(w, dw, config) if dw.any() else config

    assert planted("sgd_momentum", sgd_momentum=sgd_momentum) == {"sparse"}


def test_a_threshold_beside_the_kink_is_no_convention():
    def relu_backward(dout, cache):
        return dout * (cache[0] > 1e-7)

    assert planted("relu", relu_backward=relu_backward) == {"tiny"}
