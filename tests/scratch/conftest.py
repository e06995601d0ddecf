"""Arbiters that know nothing of the code under test, and nothing of torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Array]


def slopes(f: Function, x: Array, dout: Array, step: float) -> Array:
    """Central differences of Σ dout · f(x), one entry of x at a time."""
    dx = np.empty_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        dx[index] = ((f(above) - f(below)) * dout).sum() / (2 * step)
    return dx


@pytest.fixture
def exact_slopes() -> Callable[..., Array]:
    """For functions linear along each axis, at small dyadic numbers: no rounding, so compare with equality."""
    return slopes


@pytest.fixture
def require_gradient() -> Callable[[Function, Array, Array, Array], None]:
    """Fail unless dx is the gradient of Σ dout · f(x), by central differences with two steps.

    Halving the step removes three quarters of the truncation error, so what is left of it is at most a third of
    the change; the rest of the allowance is the rounding of f, divided by the step.
    """

    def require(f: Function, x: Array, dout: Array, dx: Array) -> None:
        eps = np.finfo(x.dtype).eps
        step = float(np.cbrt(eps))
        coarse, fine = slopes(f, x, dout, 2 * step), slopes(f, x, dout, step)
        values = np.abs(f(x) * dout).sum() + np.abs(dout).sum()
        allowed = np.abs(coarse - fine) + eps * values / step
        assert dx.shape == x.shape
        worst = np.argmax(np.abs(dx - fine) - allowed)
        assert (np.abs(dx - fine) <= allowed).all(), (
            f"got {dx.flat[worst]}, expected {fine.flat[worst]} at {np.unravel_index(worst, x.shape)}; "
            f"allowed {allowed.flat[worst]}"
        )

    return require
