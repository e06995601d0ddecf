"""Where training starts: random weights.

Numbers are drawn in float64 and then rounded, so that one seed gives a float32 net and a float64
net the same start up to rounding. Without an rng they come from the operating system's entropy.
"""

import math

import numpy as np
from numpy.typing import DTypeLike

from ._types import Array


def gaussian(
    shape: int | tuple[int, ...], *, scale: float, rng: np.random.Generator | None = None, dtype: DTypeLike = np.float64
) -> Array:
    """Normal numbers of mean 0 and standard deviation `scale`, of the given shape and floating dtype.

    Raises ValueError if scale is negative or dtype is not floating.
    Source: CS231n assignment 1 (weight_scale 1e-3).
    """
    target = _floating(dtype)
    if not scale >= 0:
        raise ValueError(f"scale is {scale} but must be at least 0")
    return (float(scale) * np.random.default_rng(rng).standard_normal(shape)).astype(target, copy=False)


def xavier_uniform(
    fan_in: int, fan_out: int, *, rng: np.random.Generator | None = None, dtype: DTypeLike = np.float64
) -> Array:
    """Uniform numbers in [-a, a], a = √(6 / (fan_in + fan_out)), as a matrix (fan_in, fan_out) for `affine_forward`.

    The variance a²/3 = 2 / (fan_in + fan_out) is the compromise between 1 / fan_in, which keeps the
    spread of the outputs, and 1 / fan_out, which keeps the spread of the gradients.
    Raises ValueError if a fan is below 1 or dtype is not floating.
    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010).
    """
    target = _floating(dtype)
    if min(fan_in, fan_out) < 1:
        raise ValueError(f"fan_in is {fan_in} and fan_out is {fan_out} but both must be at least 1")
    limit = math.sqrt(6 / (fan_in + fan_out))
    return np.random.default_rng(rng).uniform(-limit, limit, (fan_in, fan_out)).astype(target, copy=False)


def _floating(dtype: DTypeLike) -> np.dtype[np.generic]:
    target = np.dtype(dtype)
    if target.kind != "f":
        raise ValueError(f"dtype is {target} but weights must be floating")
    return target
