"""A picture of where an array is wrong: small, and with no wrong element lost."""

import math

import numpy as np
import pytest

from scratchproof.exam.compare import compare
from scratchproof.grid import SIDE, grid
from scratchproof.oracle.tolerance import Tolerance
from scratchproof.vjp import PRECISIONS


@pytest.mark.parametrize("shape", [(), (5,), (100,), (6, 7), (40, 33), (3, 4, 5), (2, 3, 4, 5), (8, 16, 9, 9)])
def test_one_wrong_element_is_seen_wherever_it_stands(shape):
    rng = np.random.default_rng(0)
    excess = np.zeros(shape)
    place = tuple(int(rng.integers(n)) for n in shape)
    excess[place] = 1234.5
    found = grid(excess)
    assert found.shape == shape
    assert len(found.rows) <= SIDE
    assert all(len(row) <= SIDE for row in found.rows)
    assert sorted(value for row in found.rows for value in row)[-1] == 1230.0  # three digits
    assert sum(value > 0 for row in found.rows for value in row) == 1


def test_images_lie_side_by_side_rows_of_channels():
    excess = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    found = grid(excess)
    assert found.tile == (4, 5)
    assert np.array_equal(np.array(found.rows)[4:8, 10:15], excess[1, 2])


def test_nothing_at_all_has_no_grid():
    assert grid(np.zeros((0, 3))) is None


def test_a_comparison_draws_what_is_wrong_and_nothing_else():
    expected = np.ones((2, 3))
    tolerance = Tolerance(allowed=np.full((2, 3), 0.5), ceiling=np.full((2, 3), 1.0), scale=math.inf, offset=math.inf)
    actual = np.array([[1, 1.25, 1], [3, 1, 1]])
    assert compare(actual, expected, tolerance, PRECISIONS["float64"]).grid.rows == ((0, 0.5, 0), (4, 0, 0))
    actual[1, 2] = math.nan
    assert compare(actual, expected, tolerance, PRECISIONS["float64"]).grid.rows == ((0, 0.5, 0), (4, 0, math.inf))
    assert compare(expected, expected, tolerance, PRECISIONS["float64"]).grid is None
