"""Losses: `loss(x, y) -> (loss, dx)`, the mean over rows and its gradient in one call.

N rows, C classes. The loss is a NumPy scalar of x's dtype, dx has x's shape and dtype. Arguments
are only read; NaN and infinity pass through without a warning, as they do in torch; a batch without rows
has no mean and raises a ValueError, as do arrays that do not fit.

Source: CS231n assignment 1 (`svm_loss`, `softmax_loss`).
"""

from typing import Any

import numpy as np

from ._threads import in_parts
from ._types import Array
from ._validate import (
    quiet_nonfinite,
    require_axes,
    require_floating,
    require_labels,
    require_one_dtype,
    require_rows,
    require_shape,
)


@quiet_nonfinite
def softmax_loss(x: Array, y: Array) -> tuple[Any, Array]:
    """Cross-entropy of softmax scores: mean over rows of -log p[n, y[n]].

    x (N, C) scores, floating; y (N,) integer labels in 0..C-1. Returns loss and dx (N, C).

    With p[n, c] = exp(x[n, c]) / Σ_k exp(x[n, k]). A row may be shifted by any number without
    changing p; shifted by its maximum, exp cannot overflow and the sum is at least 1:
        z = x - max(x),  s = Σ_k exp(z[k]),  -log p[y] = log(s) - z[y]
    which stays finite where p itself has underflowed to 0. The gradient follows from ∂log(s)/∂z[c] = p[c]:
        dx[n, c] = (p[n, c] - [c = y[n]]) / N
    Raises ValueError on bad dtypes, shapes or labels, and if there are no rows.
    """
    _require_scores(x, y)
    losses, dx = np.empty(len(x), x.dtype), np.empty_like(x)

    def fill(rows: slice) -> None:
        losses[rows] = _softmax_rows(x[rows], y[rows], len(x), dx[rows])

    in_parts(fill, len(x), x.size)
    return losses.sum() / len(x), dx


def _softmax_rows(x: Array, y: Array, count: int, dx: Array) -> Array:
    """-log p[y] of some of `count` rows, (N,); their gradient is written to dx."""
    own = np.arange(len(x)), y
    np.subtract(x, x.max(axis=1, keepdims=True), out=dx)
    right = dx[own]
    np.exp(dx, out=dx)
    total = dx.sum(axis=1, keepdims=True)  # (N, 1)
    dx /= total
    dx[own] -= 1
    dx /= count
    return np.log(total[:, 0]) - right  # type: ignore[no-any-return]


@quiet_nonfinite
def svm_loss(x: Array, y: Array) -> tuple[Any, Array]:
    """Multiclass hinge loss: mean over rows of Σ_{c ≠ y} max(0, x[c] - x[y] + 1).

    x (N, C) scores, floating; y (N,) integer labels in 0..C-1. Returns loss and dx (N, C).

    Each wrong class whose margin m[c] = x[c] - x[y] + 1 is positive pulls its own score down and
    the right one up, by 1/N:
        dx[n, c] = [m[n, c] > 0] / N for c ≠ y,   dx[n, y] = -(number of positive margins) / N
    At a margin of exactly 0, a kink, the gradient is 0. The sum is divided by N only; torch's
    multi_margin_loss divides by C too.
    Raises ValueError on bad dtypes, shapes or labels, and if there are no rows.
    Source: Weston, Watkins, "Support vector machines for multi-class pattern recognition" (1999).
    """
    _require_scores(x, y)
    rows = np.arange(len(x))
    margins = np.maximum(x - x[rows, y, None] + 1, 0)
    margins[rows, y] = 0  # the right class is no rival of itself
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] = -dx.sum(axis=1)
    dx /= len(x)
    return margins.sum() / len(x), dx


@quiet_nonfinite
def logistic_loss(x: Array, y: Array) -> tuple[Any, Array]:
    """Binary cross-entropy on logits: mean over rows of -log σ(x) where y = 1, -log(1 - σ(x)) where y = 0.

    x (N,) logits, floating; y (N,) integer labels, 0 or 1. Returns loss and dx (N,).

    With softplus(x) = log(1 + exp(x)): -log σ(x) = softplus(-x), -log(1 - σ(x)) = x + softplus(-x); both are
        (1 - y) x + softplus(-x) = (1 - y) x + max(-x, 0) + log(1 + exp(-|x|))
    where exp cannot overflow and, since y is 0 or 1, the first two terms sum without rounding.
        dx = (σ(x) - y) / N
    Raises ValueError on bad dtypes, shapes or labels, and if there are no rows.
    """
    require_floating("x", x)
    require_axes("x", x, "N")
    require_rows(x)
    require_labels(y, len(x), 2)
    z = np.exp(np.where(x >= 0, -x, x))  # exp(-|x|)
    loss = ((1 - y).astype(x.dtype) * x + np.maximum(-x, 0) + np.log1p(z)).sum() / len(x)
    # σ(x) is 1 / (1 + z) or z / (1 + z), 1 - σ(x) the other one: no difference is taken, so none cancels
    share = np.where((x >= 0) == (y == 0), 1, z) / (1 + z)
    return loss, np.where(y == 0, share, -share) / len(x)


@quiet_nonfinite
def squared_loss(x: Array, y: Array) -> tuple[Any, Array]:
    """Half the squared distance to a target: Σ ½ (x - y)² / N.

    x (N, ...) predictions, y targets of the same shape and floating dtype. Returns loss and dx of x's shape.
        dx = (x - y) / N;  for a gradient in y, take -dx
    The sum is divided by N only; torch's mse_loss divides by the number of elements and has no ½.
    Raises ValueError on bad dtypes or shapes, and if there are no rows.
    """
    require_one_dtype(x=x, y=y)
    if not x.ndim:
        raise ValueError("x has shape () but needs axes (N, ...)")
    require_shape("y", y, x.shape, "the shape of x")
    require_rows(x)
    difference = x - y
    return 0.5 * (difference * difference).sum() / len(x), difference / len(x)


def _require_scores(x: Array, y: Array) -> None:
    require_floating("x", x)
    require_axes("x", x, "N, C")
    require_rows(x)
    require_labels(y, *x.shape)
