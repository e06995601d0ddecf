"""Whether two gradients differ only where an input lies on a kink: a tied maximum, a ReLU at exactly 0.

Beside the kink, wherever the input is moved a little, the two agree. On the kink the candidate's gradient lies between
those that the truth has beside it: element by element, and along directions in which equal elements move alike, so
that ties stay ties: a tie shared out is a subgradient, one counted twice is none.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from scratchproof.oracle.tolerance import Tolerance
from scratchproof.tracing.sides import Values, index
from scratchproof.vjp import Array

MOVES, DIRECTIONS = 24, 8
STEP = 2.0**-7  # of the root mean square of an input; more where the format could not tell

Again = Callable[[list[Tensor]], Values]


def another_subgradient(
    truth: Again, candidate: Again, given: list[Tensor], allowed: Mapping[str, Tolerance], actual: Values
) -> bool:
    """Whether every gradient is a subgradient at a kink.

    truth, candidate: what a call gives for inputs. allowed, actual: of it and by the candidate at `given`.
    """
    rng = np.random.default_rng(0)
    beside: list[Values] = []
    for _ in range(MOVES):
        moved = [_moved(t, rng.uniform(-0.5, 0.5, tuple(t.shape))) for t in given]
        due = truth(moved)
        if not beside and not _agree(candidate(moved), due, allowed):
            return False
        beside.append(due)
    gradients = [name for name in allowed if name.startswith("d") and name in actual]
    if not all(_between(actual[name], [due[name] for due in beside], allowed[name]) for name in gradients):
        return False
    return all(_along(truth, given, allowed, actual, rng) for _ in range(DIRECTIONS))


def _along(
    truth: Again, given: list[Tensor], allowed: Mapping[str, Tolerance], actual: Values, rng: np.random.Generator
) -> bool:
    """Whether the slope in one direction lies between the truth's slopes on both sides."""
    frequency, phase = rng.uniform(0.5, 2.0), rng.uniform(0.0, 2 * np.pi)
    ways = [np.cos(frequency * t.double().cpu().numpy() / _size(t) + phase) for t in given]
    slopes = []
    for sign in (1.0, -1.0):
        due = truth([_moved(t, sign * way) for t, way in zip(given, ways, strict=True)])
        slopes.append(_slope(due, ways))
    room = sum(
        float((allowed[f"dx{index(i)}"].allowed * np.abs(way)).sum())
        for i, way in enumerate(ways)
        if f"dx{index(i)}" in allowed
    )
    room += abs(slopes[0] - slopes[1]) / 2
    return min(slopes) - room <= _slope(actual, ways) <= max(slopes) + room


def _slope(values: Values, ways: list[Array]) -> float:
    names = [f"dx{index(i)}" for i in range(len(ways))]
    return sum(float((values[n] * way).sum()) for n, way in zip(names, ways, strict=True) if n in values)


def _size(tensor: Tensor) -> float:
    return float(tensor.double().square().mean().sqrt()) or 1.0 if tensor.numel() else 1.0


def _moved(tensor: Tensor, way: Array) -> Tensor:
    step = max(STEP, 8 * torch.finfo(tensor.dtype).eps) * _size(tensor)
    return (tensor.double() + step * torch.from_numpy(np.asarray(way)).to(tensor.device)).to(tensor.dtype)


def _agree(actual: Values, due: Values, allowed: Mapping[str, Tolerance]) -> bool:
    """Within twice what is allowed where nothing was moved."""
    errors = {name: np.abs(actual.get(name, np.zeros_like(value)) - value) for name, value in due.items()}
    return all(bool((error <= 2 * allowed[name].allowed).all()) for name, error in errors.items())


def _between(actual: Array, beside: list[Array], allowed: Tolerance) -> bool:
    low, high = np.min(beside, axis=0), np.max(beside, axis=0)
    room = allowed.allowed + (high - low) * 2.0**-10
    return bool(((actual >= low - room) & (actual <= high + room)).all())
