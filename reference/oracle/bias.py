"""Means of the errors over a tensor: they see what is too small for the allowance of any one element.

Unbiased rounding averages out over n elements as u / sqrt(n); a bias of a tenth of a rounding over 100,000 of them is
no rounding. What each mean is allowed is five root mean squares over the disturbed runs (four of eight are left behind
once in 250 times by chance, five once in 950), what storing the results may add, and two roundings of the accumulator,
for right code may multiply all elements by one rounded number.
"""

import math
from collections.abc import Mapping

import numpy as np

from scratchproof.oracle.rounding import underflow
from scratchproof.vjp import PRECISIONS, Array, Precision

DEVIATIONS = 5.0
TINY = float(np.finfo(float).tiny)
SINGLE = PRECISIONS["float32"].unit
MOVES = np.linspace(-1.9, 1.9, 9)  # units by which numbers are moved across the grid of a format, at most
FEW, MANY = 8, 4096  # elements that tell nothing; of which a sample, and a few moves, tell enough
CELLS, FINEST = 16, 2.0**-46  # cells in a unit; the finest cell: a float64 has hardly more digits
NOTED = 1.5  # what is crowded less counts as not crowded


def means(differences: Array, expected: Array, allowed: Array, precision: Precision) -> dict[str, float]:
    """How far scale, offset and drift may be from nothing; see `Tolerance`.

    differences: what each disturbed run is off, (runs, *shape).
    """
    finite, room = _finite(expected), np.maximum(allowed, TINY)
    peak = float(np.abs(finite).max(initial=0.0)) or 1.0
    shares = finite / peak
    weights = {
        "scale": shares / max(float(np.square(shares).sum()), TINY) / peak,
        "offset": np.full(finite.shape, 1 / max(1, finite.size)),
        "drift": np.sign(finite) / room / max(1, finite.size),
    }
    if np.isfinite(expected).all() and np.isfinite(differences).all():
        found = _of_all(differences.reshape(len(differences), -1), expected.ravel(), room.ravel())
    else:
        with np.errstate(invalid="ignore"):  # beside infinities, which do not count
            strayed = differences + expected
        found = {
            "scale": [regression_scale(one, expected) - 1 for one in strayed],
            "offset": [_mean(e) for e in differences],
            "drift": [drift(e, expected, allowed) for e in differences],
        }
    stored = _stored(finite, weights, differences, precision)
    alike = math.sqrt(crowding(finite, precision.unit))
    factor = {name: 2 * precision.accumulate * float(np.abs(w * finite).sum()) for name, w in weights.items()}
    lost = {"scale": _underflow(expected, precision), "offset": 0.0, "drift": 0.0}
    return {name: alike * _bound(found[name]) + stored[name] + factor[name] + lost[name] for name in weights}


def _of_all(differences: Array, expected: Array, room: Array) -> dict[str, list[float]]:
    """The same for all runs at once, where everything is finite: (runs, elements), flat."""
    if not expected.size:
        return dict.fromkeys(("scale", "offset", "drift"), [0.0] * len(differences))
    peak = np.abs(expected).max() or 1.0
    e = expected / peak
    squares = float((e * e).sum())
    scales = ((differences + expected) / peak * e).sum(1) / squares - 1 if squares else np.zeros(len(differences))
    with np.errstate(invalid="ignore", over="ignore"):
        shares = np.sign(expected) * differences / room
    shares = np.where(np.isfinite(shares), shares, 0.0)
    return {"scale": scales.tolist(), "offset": differences.mean(1).tolist(), "drift": shares.mean(1).tolist()}


def drift(errors: Array, expected: Array, allowed: Array) -> float:
    """The mean of the errors away from zero, each as a share of what it is allowed."""
    with np.errstate(invalid="ignore"):
        shares = np.sign(expected) * errors / np.maximum(allowed, TINY)
    return _mean(np.where(np.isfinite(shares), shares, 0.0))


def crowding(values: Array, unit: float, *, stored: bool = False) -> float:
    """How many elements are one for all that a format can tell, beside what chance would bring together; at least 1.

    Rows that are alike give results that are, and all of them err alike. Elements are one where they are equal, or lie
    within a sixteenth of a unit and closer than chance has them: that is told by how many lie within four units.
    stored: of numbers that the format holds, within a unit, and by how many lie within 64.
    """
    values = values[values != 0].ravel()
    if values.size < FEW:
        return 1.0
    sample = values[:: -(-values.size // MANY)]
    unit = max(unit, SINGLE) * (CELLS if stored else 1)
    wide = _different(sample, 4 * unit)
    sizes = {size: 4 * unit / size for size in (unit / CELLS, *(() if stored else (FINEST,)))}
    seen = max(_by_chance(len(sample), wide * of_wide) / _different(sample, size) for size, of_wide in sizes.items())
    return seen * values.size / len(sample) if seen > NOTED else 1.0


def _different(values: Array, size: float) -> int:
    """How many cells of an octave's share `size` hold any of the values."""
    mantissa, exponent = np.frexp(values)
    cells = np.sort(exponent.astype(np.int64) * round(1 / size) + np.floor(mantissa / size).astype(np.int64))
    return 1 + int(np.count_nonzero(np.diff(cells)))


def _by_chance(count: int, cells: float) -> float:
    """How many cells hold any of so many values that fall anywhere."""
    return -math.expm1(-count / cells) * cells


def _bound(found: list[float]) -> float:
    """Of a number that is 0 but for rounding, from what the disturbed runs show of it."""
    return DEVIATIONS * math.hypot(*found) / math.sqrt(len(found))


def _stored(values: Array, weights: Mapping[str, Array], differences: Array, precision: Precision) -> dict[str, float]:
    """How far weighted sums stray when their terms are stored.

    Roundings of numbers that are spread out add up by their squares. What lies close together rounds alike: how far
    that goes is seen by storing the numbers as the format has them, moved as far as the runs stray before they store.
    """
    there = values != 0
    strayed = np.abs(differences).max(0, initial=0.0)[there] / precision.unit
    with np.errstate(over="ignore"):  # beside numbers near the smallest there is
        far = float(np.median(np.clip(strayed / np.abs(values[there]) - 1, 0, 1))) if there.any() else 0.0
    moves = far * max(precision.unit, SINGLE) * (MOVES if values.size < MANY else MOVES[::4])
    errors = _stored_errors(values * (1 + moves.reshape(-1, *[1] * values.ndim)), precision).reshape(len(moves), -1)
    return {name: _of_one(values, weight, errors, precision) for name, weight in weights.items()}


def _of_one(values: Array, weight: Array, errors: Array, precision: Precision) -> float:
    terms = weight * values
    peak = float(np.abs(terms).max(initial=0.0)) or 1.0
    independent = 2 * precision.unit * peak * math.sqrt(float(np.square(terms / peak).sum()))
    return independent + float(np.abs(errors @ weight.ravel()).max(initial=0.0))


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
