"""Means of the errors over a tensor: they see what is too small for the allowance of any one element.

Unbiased rounding averages out over n elements as u / sqrt(n); a bias of a tenth of a rounding over 100,000 of them is
no rounding. What each mean is allowed is four root mean squares over the disturbed runs, what storing the results may
add, and two roundings of the accumulator, for right code may multiply all elements by one rounded number.
"""

import math

import numpy as np

from scratchproof.oracle.rounding import underflow
from scratchproof.vjp import PRECISIONS, Array, Precision

DEVIATIONS = 4.0
SINGLE = PRECISIONS["float32"].unit
MOVES = np.linspace(-1.9, 1.9, 9)  # units by which numbers are moved across the grid of a format, at most


def of_scale(differences: Array, expected: Array, sizes: Array, precision: Precision) -> float:
    found = [regression_scale(e + expected, expected) - 1 for e in differences]
    peak = float(sizes.max(initial=0.0)) or 1.0
    weights = _finite(expected) / peak
    stored = _stored(expected, weights, differences, precision) / max(float((weights**2).sum()), np.finfo(float).tiny)
    return _bound(found) + stored / peak + 2 * precision.accumulate + _underflow(expected, precision)


def of_offset(differences: Array, expected: Array, sizes: Array, precision: Precision) -> float:
    found = [_mean(e) for e in differences]
    stored = _stored(expected, np.ones(sizes.shape), differences, precision) / max(1, sizes.size)
    return _bound(found) + stored + 2 * precision.accumulate * _mean(sizes)


def of_drift(differences: Array, expected: Array, allowed: Array, precision: Precision) -> float:
    found = [drift(e, expected, allowed) for e in differences]
    finite, room = _finite(expected), np.maximum(allowed, np.finfo(float).tiny)
    stored = _stored(expected, np.sign(finite) / room, differences, precision) / max(1, allowed.size)
    factor = _mean(np.abs(finite) / room)
    return _bound(found) + stored + 2 * precision.accumulate * factor


def drift(errors: Array, expected: Array, allowed: Array) -> float:
    """The mean of the errors away from zero, each as a share of what it is allowed."""
    with np.errstate(invalid="ignore"):
        shares = np.sign(expected) * errors / np.maximum(allowed, np.finfo(float).tiny)
    return _mean(np.where(np.isfinite(shares), shares, 0.0))


def _bound(found: list[float]) -> float:
    """Of a number that is 0 but for rounding, from what the disturbed runs show of it."""
    return DEVIATIONS * math.hypot(*found) / math.sqrt(len(found))


def _stored(expected: Array, weights: Array, differences: Array, precision: Precision) -> float:
    """How far a weighted sum strays when its terms are stored.

    Roundings of numbers that are spread out add up by their squares. What lies close together rounds alike: how far
    that goes is seen by storing the numbers as the format has them, moved as far as the runs stray before they store.
    """
    finite = _finite(expected)
    terms = weights * finite
    peak = float(np.abs(terms).max(initial=0.0)) or 1.0
    independent = 2 * precision.unit * peak * math.sqrt(float(np.square(terms / peak).sum()))
    sizes = np.abs(finite[finite != 0])
    strayed = np.abs(differences).max(0, initial=0.0)[finite != 0] / precision.unit
    with np.errstate(over="ignore"):  # beside numbers near the smallest there is
        far = float(np.median(np.clip(strayed / sizes - 1, 0, 1))) if sizes.size else 0.0
    moves = 1 + far * max(precision.unit, SINGLE) * MOVES.reshape(-1, *[1] * finite.ndim)
    errors = _stored_errors(finite * moves, precision)
    return independent + float(np.abs((weights * errors).reshape(len(MOVES), -1).sum(1)).max(initial=0.0))


def _stored_errors(values: Array, precision: Precision) -> Array:
    """What rounding to the format does to values; in float64, on float32's grid, whose places are so much coarser."""
    if precision.unit >= SINGLE:
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(values) < precision.largest, precision.rounded({"": values})[""] - values, 0.0)
    peak = float(np.abs(values).max(initial=0.0)) or 1.0
    power = math.frexp(peak)[1]
    errors = _stored_errors(np.ldexp(values, -power), PRECISIONS["float32"])
    return precision.unit / SINGLE * np.ldexp(errors, power)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, 0.0)


def _underflow(expected: Array, precision: Precision) -> float:
    """How far the regression scale moves if every element loses what the format cannot hold."""
    sizes = np.abs(expected[np.isfinite(expected)])
    peak = float(sizes.max(initial=0.0))
    if peak == 0.0:
        return 0.0
    with np.errstate(over="ignore"):
        return float(underflow(precision) / np.float64(peak) * (sizes / peak).sum() / ((sizes / peak) ** 2).sum())


def regression_scale(actual: Array, expected: Array) -> float:
    """<actual, expected> / <expected, expected>: 1 when equal, 2 when doubled, 0 when unrelated."""
    finite = np.isfinite(actual) & np.isfinite(expected)
    a, e = actual[finite].astype(np.float64), expected[finite].astype(np.float64)
    peak = np.abs(e).max(initial=0.0)
    if peak == 0.0:
        return 1.0
    e = e / peak  # so that the squares neither overflow nor vanish
    return float((a / peak * e).sum() / (e * e).sum())


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else 0.0
