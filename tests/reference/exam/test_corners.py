"""Awkward memory holds the same values in the same shape."""

import numpy as np
import pytest

from scratchproof.exam.corners import LAYOUTS


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_changes_neither_shape_nor_values(layout, shape):
    value = np.random.default_rng(0).standard_normal(shape)
    laid_out = LAYOUTS[layout](value)
    assert isinstance(laid_out, np.ndarray)
    assert laid_out.shape == shape
    np.testing.assert_array_equal(laid_out, value)
