"""Random weights: seeded, of the right spread, the same for both dtypes up to rounding."""

from typing import Any

import numpy as np
import pytest

from scratchproof.scratch import gaussian, xavier_uniform

rng = np.random.default_rng


def test_a_seed_fixes_the_numbers() -> None:
    np.testing.assert_array_equal(gaussian((3, 4), scale=0.1, rng=rng(5)), gaussian((3, 4), scale=0.1, rng=rng(5)))
    np.testing.assert_array_equal(xavier_uniform(3, 4, rng=rng(5)), xavier_uniform(3, 4, rng=rng(5)))


def test_float32_is_float64_rounded() -> None:
    single: Any = gaussian((3, 4), scale=0.1, rng=rng(5), dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, gaussian((3, 4), scale=0.1, rng=rng(5)).astype(np.float32))
    single = xavier_uniform(3, 4, rng=rng(5), dtype="float32")
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, xavier_uniform(3, 4, rng=rng(5)).astype(np.float32))


def test_gaussian_is_standard_normal_times_scale() -> None:
    np.testing.assert_array_equal(gaussian((2, 3), scale=0.25, rng=rng(0)), rng(0).standard_normal((2, 3)) / 4)
    np.testing.assert_array_equal(gaussian(5, scale=0, rng=rng(0)), np.zeros(5))


@pytest.mark.parametrize("seed", range(3))
def test_gaussian_has_the_deviation_that_was_asked_for(seed: int) -> None:
    w = gaussian((100, 100), scale=1e-3, rng=rng(seed))
    # the mean of 10⁴ numbers strays by scale/100, their deviation by scale/√(2·10⁴): five times that is allowed
    assert abs(w.mean()) < 5 * 1e-3 / 100
    assert abs(w.std() - 1e-3) < 5 * 1e-3 / np.sqrt(2e4)


def test_xavier_uniform_fills_its_interval() -> None:
    # 6 / (2 + 4) = 1
    np.testing.assert_array_equal(xavier_uniform(2, 4, rng=rng(0)), rng(0).uniform(-1, 1, (2, 4)))
    w = xavier_uniform(50, 100, rng=rng(1))
    limit = np.sqrt(6 / 150)
    assert w.shape == (50, 100)
    assert 0.99 * limit < w.max() <= limit
    assert -limit <= w.min() < -0.99 * limit


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scale is -1 but must be at least 0"):
        gaussian(3, scale=-1, rng=rng(0))
    with pytest.raises(ValueError, match=r"scale is nan but"):
        gaussian(3, scale=float("nan"), rng=rng(0))
    with pytest.raises(ValueError, match=r"dtype is int64 but weights must be floating"):
        gaussian(3, scale=1, rng=rng(0), dtype=np.int64)
    with pytest.raises(ValueError, match=r"fan_in is 0 and fan_out is 3 but both must be at least 1"):
        xavier_uniform(0, 3, rng=rng(0))
