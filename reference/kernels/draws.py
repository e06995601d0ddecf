"""Inputs of the kind that a problem ships, in other distributions: each made from a fresh shipped draw.

All but the last two work element by element and keep zeros, so that a triangular or a symmetric matrix stays one.
What carries a meaning of its own (labels, signs, rows of probabilities) is left as it is drawn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scratchproof.vjp import Array, Inputs

Change = Callable[[Array], Array]
FEW = 4  # distinct values: labels and signs, not measurements


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A way to change an input.

    ties: whether elements become equal, so that a maximum or a kink is met exactly. hard: whether a formula that is as
    right loses digits here, such as a variance in one pass.
    """

    name: str
    change: Change
    ties: bool = False
    hard: bool = False


def _spread(x: Array) -> float:
    return float(np.sqrt(np.square(x).mean())) or 1.0


def _of_both_signs(x: Array) -> Array:
    """Centred where it had one sign, without it where it had both."""
    if (x >= 0).all() or (x <= 0).all():
        return np.where(x != 0, 2 * (x - x[x != 0].mean()), 0.0)
    return np.abs(x)


def _hashed(x: Array) -> Array:
    """A number from 0 to 1 that depends on an element's value alone."""
    return np.modf(np.abs(x) / _spread(x) * 7919.0)[0]


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1]) if x.ndim else x.reshape(1, 1)


def _outliers(x: Array) -> Array:
    """One element of each row a thousand times as large."""
    rows = _rows(x.copy())
    rows[np.arange(len(rows)), np.arange(len(rows)) % rows.shape[1]] *= 1000
    return rows.reshape(x.shape)


def _cancelling(x: Array) -> Array:
    """Neighbours in a row are opposite numbers, but for a little."""
    rows = _rows(x.copy())
    half = rows.shape[1] // 2
    left, right = rows[:, : 2 * half : 2], rows[:, 1 : 2 * half : 2]
    right[...] = np.where((left != 0) & (right != 0), -left * (1 + 2.0**-6), right)
    return rows.reshape(x.shape)


DISTRIBUTIONS = (
    Distribution(name="of other signs", change=_of_both_signs),
    Distribution(name="37 times as large", change=lambda x: 37.0 * x),
    Distribution(name="a 53rd as large", change=lambda x: x / 53.0),
    Distribution(name="far from zero", change=lambda x: np.where(x != 0, x + 64 * _spread(x), 0.0), hard=True),
    Distribution(name="far below zero", change=lambda x: np.where(x != 0, x - 64 * _spread(x), 0.0), hard=True),
    Distribution(name="negated", change=lambda x: -x),
    Distribution(name="sparse", change=lambda x: np.where(_hashed(x) < 0.9, 0.0, x), ties=True),
    Distribution(
        name="of few values", change=lambda x: np.round(_of_both_signs(x) / _spread(x) * 2) / 2 * _spread(x), ties=True
    ),
    Distribution(name="in clusters", change=lambda x: np.sign(_of_both_signs(x)) * _spread(x) + x / 256, hard=True),
    Distribution(name="with outliers", change=_outliers, hard=True),
    Distribution(name="cancelling", change=_cancelling, hard=True),
)


def changed(inputs: Inputs, distribution: Distribution, fixed: Mapping[str, bool]) -> Inputs:
    """The inputs with those that are not fixed changed."""
    return {name: value if fixed[name] else distribution.change(value) for name, value in inputs.items()}


def carries_meaning(value: Array) -> bool:
    """Whether a change of values would make it something else: whole numbers, few values, rows of probabilities."""
    if value.dtype.kind != "f" or value.size == 0 or not np.isfinite(value).all():
        return True
    if (value == np.round(value)).all() or (value.size > FEW and len(np.unique(value.ravel()[:4096])) <= FEW):
        return True
    return any(_sums_to_one(value, axis) for axis in range(value.ndim))


def _sums_to_one(value: Array, axis: int) -> bool:
    return value.shape[axis] > 1 and bool((value >= 0).all() and np.abs(value.sum(axis) - 1).max() < 1e-2)
