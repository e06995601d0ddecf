"""Kinks: where a layer has no derivative, any subgradient is right, and the declared one is a convention.

Whether a gradient found at a kink is *a* subgradient is decided by sampling: the oracle's gradients at points
moved off the kink by a hair, in every direction, span the set of valid ones (Clarke's generalised gradient). A hair
is small beside the largest number there, so that tiny ones stay on their side. An element must lie between the
smallest and the largest of the gradients, and so must the gradient's total: a tied maximum may send its gradient
to any one of the tied, or share it out, but not send it to all of them.
"""

from dataclasses import dataclass

import numpy as np

from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Array, Inputs, Outputs, answer, from_torch

NUDGE = 1e-7
SAMPLES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgradients:
    """Bounds of the valid gradients with respect to one input: elementwise, and of the sum over the array."""

    low: Array
    high: Array
    low_total: float
    high_total: float

    def hold(self, gradient: Array, allowed: Array) -> bool:
        """Whether `gradient` is a valid choice, up to rounding."""
        if gradient.shape != self.low.shape or not np.isfinite(gradient).all():
            return False
        inside = (gradient >= self.low - allowed) & (gradient <= self.high + allowed)
        slack = float(allowed.sum())
        total = self.low_total - slack <= gradient.sum() <= self.high_total + slack
        return bool(inside.all() and total)


def subgradients(layer: Layer, case: Case, inputs: Inputs, name: str, dout: Outputs) -> Subgradients:
    """Sample the gradients with respect to the input `name` around a kink."""
    function = from_torch(layer.torch, constant=layer.constant, options=case.options)
    rng = np.random.default_rng(0)
    points = [inputs[name] + nudge for nudge in _nudges(inputs[name], rng)]
    found = [answer(function, {**inputs, name: point}, [dout]).grads[0][name] for point in points]
    totals = [float(gradient.sum()) for gradient in found]
    return Subgradients(
        low=np.min(found, axis=0), high=np.max(found, axis=0), low_total=min(totals), high_total=max(totals)
    )


def _nudges(x: Array, rng: np.random.Generator) -> list[Array]:
    hair = NUDGE * (np.abs(x).max(initial=0.0) or 1.0)
    together = [np.full_like(x, hair), np.full_like(x, -hair)]
    return together + [hair * rng.standard_normal(x.shape) for _ in range(SAMPLES)]
