"""Awkward memory holds the same values in the same shape."""

from pathlib import Path

import numpy as np
import pytest

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
