"""What numbers drawn at random say of how they were drawn: masks, and a net's first parameters.

What is random can only be asked by statistics; each bound is one that right code exceeds less than once in 10⁸
examinations.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from scratchproof.vjp import Array

CHANCE = 1e-8
SIGMAS = 5.8  # beyond so many standard deviations lies less than CHANCE of a normal distribution
SAMPLE = 20_000  # so many of a weight's numbers are looked at
CLOSE = 0.05  # relative difference of two deviations within which one explains the other
USUAL = (1e-4, 1e-3, 1e-2, 0.1)  # deviations that are written where none is given
ONE_MASK = "one mask is drawn for all rows: each element's is to be drawn by itself, in the shape of x"
KEPT_FOR_DROPPED = "the share that is kept is taken for that which is dropped"


def distribution(share: float, p: float, spread: float) -> str:
    """The numbers that were compared with p, if they were not uniform on [0, 1)."""
    below = {q: 0.5 * (1 + math.erf(q / math.sqrt(2))) for q in (p, 1 - p)}
    normal = [chance for one in below.values() for chance in (one, 1 - one)]
    if min(abs(share - chance) for chance in normal) <= spread:
        return "the mask is drawn from normal numbers (randn), where uniform ones (rand) are due"
    if share > 1 - spread:
        return "nothing is dropped: there is no mask"
    if share < spread:
        return "everything is dropped"
    return ""


def not_dropped(masks: Array, drop: float) -> tuple[str, str]:
    """What is wrong with masks (calls, units) that should keep each unit with probability 1 - drop, and why."""
    share, spread = 1 - masks.mean(), SIGMAS * math.sqrt(drop * (1 - drop) / masks.size)
    if abs(share - drop) > spread:
        turned = abs(share - (1 - drop)) <= spread
        cause = KEPT_FOR_DROPPED if turned else "nothing is dropped" if not share else ""
        return f"{share:.3f} of them are dropped, but {drop} +- {spread:.2g} should be", cause
    if (masks == masks[0]).all():
        return "every call drops the same ones", "the mask is drawn once, not anew in every pass"
    always = (masks == masks[0]).all(axis=0)
    if max(drop, 1 - drop) ** len(masks) * masks.shape[1] < CHANCE and always.any():
        return f"number {np.argmax(always)} is always dropped, or never", "some units are left out of the mask"
    return "", ""


def unlike(found: Array, due: Array) -> str:
    """How numbers differ in distribution from other draws that are right, or an empty string."""
    every = max(1, found.size // SAMPLE)
    found, due = found[::every], due[::every]
    if not due.any():
        return "" if not found.any() else f"starts at {found[np.argmax(np.abs(found))]:.4g}, but should start at 0"
    spread, wanted = float(found.std()), float(due.std())
    room = SIGMAS * wanted / math.sqrt(due.size)
    if abs(spread - wanted) > room:
        return f"has a deviation of {spread:.4g}, but should have {wanted:.4g} +- {room:.2g}"
    if abs(found.mean() - due.mean()) > 1.5 * room:
        return f"has a mean of {found.mean():.4g}, but should have 0 +- {1.5 * room:.2g}"
    if len(np.unique(found)) < 0.9 * len(np.unique(due)) and found.size > 1:
        return "repeats its numbers: they should be drawn one by one"
    return _other_shape(found, due)


def _other_shape(found: Array, due: Array) -> str:
    """Kolmogorov and Smirnov: the largest distance between the two distributions, and what chance allows."""
    points = np.sort(np.concatenate([found, due]))
    shares = [np.searchsorted(np.sort(x), points, side="right") / x.size for x in (found, due)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    allowed = math.sqrt(-math.log(CHANCE / 2) / 2) * math.sqrt(2 / due.size)
    if distance <= allowed:
        return ""
    return f"has the right deviation, but another distribution (distance {distance:.3f}, allowed {allowed:.3f})"


def drawn_otherwise(found: Array, due: Array, options: Mapping[str, Any]) -> str:
    """How a parameter was drawn, where that is not how it is due; an empty string where that is not known.

    due: a right draw, of the parameter's shape: normal, of mean 0, or zeros. options: what the net was made with.
    """
    spread, wanted = float(found.std()), float(due.std())
    if not wanted:
        began = "it is drawn at random" if spread else f"it starts at {found[0]:g}"
        return f"{began}: {'weight_scale is 0' if due.ndim > 1 else 'a bias starts at 0'}"
    if not spread:
        return f"every weight starts at {found[0]:g}: the units stay alike"
    for sentence, deviation, mean in _draws(wanted, due.shape):
        if abs(spread / deviation - 1) < CLOSE and abs(found.mean() / deviation - mean / deviation) < 4 * CLOSE:
            return sentence
    given = options.get("weight_scale")
    for usual in USUAL:
        if abs(spread / usual - 1) < CLOSE:
            told = "weight_scale never arrives: the deviation is {0:g}, whatever it is"
            return (told if given else "weight_scale is {0:g} unless it is given: {1:.2g} is due").format(usual, wanted)
    return ""


def _draws(scale: float, shape: tuple[int, ...]) -> Iterator[tuple[str, float, float]]:
    """Other ways to draw weights, each with the deviation and the mean that it gives."""
    fan_in = shape[0] if len(shape) == 2 else math.prod(shape[1:])
    yield "weight_scale is missing: standard normal numbers", 1.0, 0.0
    rand = "the weights are drawn from uniform numbers (rand), all positive, where normal ones (randn) are due"
    yield rand, scale / math.sqrt(12), scale / 2
    yield f"{rand}; weight_scale is missing", 1 / math.sqrt(12), 0.5
    yield (
        "the weights are uniform between -weight_scale and weight_scale: normal ones are due",
        scale / math.sqrt(3),
        0.0,
    )
    yield "weight_scale is taken for the variance: its root scales the weights", math.sqrt(scale), 0.0
    yield "weight_scale scales the weights twice", scale * scale, 0.0
    yield "the weights are scaled by 1/sqrt(fan in), not by weight_scale", 1 / math.sqrt(fan_in), 0.0
    yield "the weights are scaled by sqrt(2/fan in), not by weight_scale", math.sqrt(2 / fan_in), 0.0
    yield "the weights are scaled by sqrt(2/fan in) too", scale * math.sqrt(2 / fan_in), 0.0
    yield "the weights are scaled by 1/sqrt(fan in) too", scale / math.sqrt(fan_in), 0.0
    yield "weight_scale is added to the weights, not multiplied", 1.0, scale
