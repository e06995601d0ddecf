"""Mistakes that speak of one array alone: its scale, its shape, the axes over which it is summed."""

from collections.abc import Callable, Iterator
from itertools import chain, combinations, permutations
from typing import TypeAlias

import numpy as np

from scratchproof.exam.causes.evidence import Item
from scratchproof.exam.causes.regularisation import of_regularisation
from scratchproof.exam.exam import Trial
from scratchproof.vjp import ONLY, Array, answer, from_torch

SUMMED = "dout is "  # so begins what is said of the sum of dout, which says more than a mere factor
APART = 0.01  # relative, how far apart the numbers of a mask must lie
Suspicion: TypeAlias = Callable[[Item], Iterator[tuple[str, Array]]]
"""Sentences, {N} standing for the number of rows, each with what the array would be."""


def suspected(item: Item) -> Iterator[tuple[str, Array]]:
    """Every mistake in one array, by its sentence."""
    for suspicion in SUSPICIONS:
        yield from suspicion(item)


def rows(trial: Trial) -> int:
    """The number of rows, N."""
    shape = trial.inputs[trial.layer.data].shape
    return shape[0] if shape else 1


def _scales(item: Item) -> Iterator[tuple[str, Array]]:
    expected, count = item.expected.astype(np.float64), rows(item.trial)
    yield "its sign is flipped", -expected
    yield "it is {N} times too large, N being {N}: the division by N is missing", count * expected
    yield "it is {N} times too small, N being {N}: divided by N once too often", expected / max(1, count)
    yield "it is twice the right result: a factor 1/2 is missing", 2 * expected
    yield "it is half the right result: a factor 1/2 too many", expected / 2
    yield "it is 1 - the right result", 1 - expected
    yield "it is the square of the right result", expected * expected
    yield "it is the absolute value of the right result", np.abs(expected)
    with np.errstate(all="ignore"):
        yield "it is the root of the right result", np.sqrt(np.maximum(expected, 0))
        yield "it is the reciprocal of the right result", 1 / expected


def _shapes(item: Item) -> Iterator[tuple[str, Array]]:
    expected = item.expected
    if expected.ndim == 2:
        yield "it is the transpose of the right result", expected.T
        yield "it is the transpose of the right result, read in the right shape", expected.T.reshape(expected.shape)
    if expected.ndim == 1:
        yield "it has an axis too many: the sum over rows kept its axis (keepdims=True)", expected[None]
        yield "it has an axis too many: a column where a vector is due", expected[:, None]
        yield "it is summed over everything instead of over rows alone", np.asarray(expected.sum())
    if expected.ndim == 4:
        yield "its kernel is flipped: true convolution where cross-correlation is due", expected[:, :, ::-1, ::-1]
        yield "its height and width are swapped", expected.swapaxes(2, 3)
        yield "its first two axes are swapped", expected.swapaxes(0, 1)
        last = np.moveaxis(expected, 1, 3)
        yield "its channels are moved to the last axis and not back", last
        yield (
            "its channels are moved to the last axis, and that is reshaped, not transposed, back",
            _like(last, expected),
        )
        first = expected.reshape(*(expected.shape[i] for i in (0, 2, 3, 1)))
        yield "it is reshaped where its channels are to be moved by a transpose", np.moveaxis(first, 3, 1)
    if expected.ndim == 4 and item.actual.shape != expected.shape:
        yield from _of_another_size(item)
    if expected.ndim > 2:
        yield "it is still flat, (N, D): not given the shape of its input again", expected.reshape(len(expected), -1)
    for axis in range(expected.ndim if expected.ndim > 1 or expected.size > 3 else 0):
        yield f"it is in reversed order along axis {axis}", np.flip(expected, axis)
        yield f"it is the running sum of the right result along axis {axis}", np.cumsum(expected, axis)
        yield f"it is shifted by one along axis {axis}", np.roll(expected, 1, axis)
        yield f"it is shifted by one along axis {axis}", np.roll(expected, -1, axis)


def _of_another_size(item: Item) -> Iterator[tuple[str, Array]]:
    """An image whose height or width was computed wrong, and that is right as far as it goes."""
    actual, expected = item.actual, item.expected
    if actual.ndim != 4 or actual.shape[:2] != expected.shape[:2]:
        return
    height, width = expected.shape[2:]
    made = actual.copy()
    made[..., :height, :width] = expected[..., : actual.shape[2], : actual.shape[3]]
    data = item.trial.inputs[item.trial.layer.data].shape[2:]
    sizes = {
        "its width is computed from the height": (height, height),
        "its height is computed from the width": (width, width),
        "its height and width are half the image's, whatever the window and the stride": tuple(n // 2 for n in data),
        "it is as large as the image, whatever the window and the stride": tuple(data),
    }
    numbers = {name: n for name, n in item.trial.case.options.items() if type(n) is int and n > 0}
    for a, b in permutations(numbers, 2):
        told = f"its height is the image's divided by {a}, its width by {b}: how far apart they lie is left out"
        sizes[told] = data[0] // numbers[a], data[1] // numbers[b]
    yield from ((sentence, made) for sentence, size in sizes.items() if actual.shape[2:] == size)


def _like(array: Array, other: Array) -> Array:
    return array.reshape(other.shape)


def _sums(item: Item) -> Iterator[tuple[str, Array]]:
    """A gradient that should be dout summed over some axes: over others, or averaged."""
    trial, (quantity, index) = item.trial, item.place
    dout = None if quantity in trial.outputs else trial.cotangents[index].get(ONLY)
    if dout is None or not 1 <= dout.ndim <= 4:
        return
    every = range(dout.ndim)
    subsets = list(chain.from_iterable(combinations(every, count) for count in range(1, dout.ndim + 1)))
    due = [axes for axes in subsets if np.array_equal(dout.sum(axes).shape, item.expected.shape)]
    due = [axes for axes in due if not item.changed(dout.sum(axes))]
    if not due:
        return
    for axes in subsets:
        if axes != due[0]:
            yield f"{SUMMED}summed over {_axes(axes)}, where {_axes(due[0])} is due", dout.sum(axes)
    for count in range(1, len(due[0]) + 1):
        for averaged in combinations(due[0], count):
            if averaged == (0,):
                continue  # which is to divide by N
            rest = tuple(axis for axis in due[0] if axis not in averaged)
            sentence = f"{SUMMED}averaged over {_axes(averaged)}: a mean where its sum is due"
            yield sentence, dout.mean(averaged, keepdims=True).sum(rest, keepdims=True).reshape(item.expected.shape)
    for axis in due[0]:
        for told, place in {"first": slice(0, 1), "last": slice(-1, None)}.items():
            some = dout[(slice(None),) * axis + (place,)]
            yield f"{SUMMED}not summed over axis {axis}: only its {told} place counts", some.sum(due[0])


def _axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def _others(item: Item) -> Iterator[tuple[str, Array]]:
    """What stands where something else is due: another gradient, an input, dout itself."""
    trial, (quantity, index) = item.trial, item.place
    if quantity in trial.outputs:
        for name, value in trial.inputs.items():
            if value.shape == item.expected.shape:
                yield f"it is {name} itself, unchanged", value
        return
    for name, value in trial.truth.grads[index].items():
        if f"d{name}" != quantity:
            yield f"it is what d{name} should be", value
    for name, value in trial.inputs.items():
        yield f"it is {name} itself, not a gradient", value
    if trial.layer.kind in ("pair", "function", "drawn"):
        for dout in trial.cotangents[index].values():
            if dout.shape == item.expected.shape:
                yield "it is dout, passed on unchanged: the layer's own derivative is missing", dout
                yield "the mask was made from dout, not from the input", np.maximum(dout, 0)
                yield "it is the derivative times dout twice", item.expected * dout


def _cut(item: Item) -> Iterator[tuple[str, Array]]:
    """The gradient of a convolution's data, cut out of the padded one as it should not be."""
    trial, (quantity, index) = item.trial, item.place
    if not trial.layer.convolution or quantity != f"d{trial.layer.data}":
        return
    pad = trial.case.options.get("pad", 0)
    padded = np.pad(item.expected, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    yield "it is cut out by [pad:-pad], which is empty where pad is 0", padded[:, :, pad:-pad, pad:-pad]
    x = np.pad(trial.inputs[trial.layer.data], ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    unpadded = from_torch(trial.layer.torch, constant=trial.layer.constant, options={**trial.case.options, "pad": 0})
    found = answer(unpadded, {**trial.inputs, trial.layer.data: x}, trial.cotangents[index : index + 1])
    whole = found.grads[0][trial.layer.data]
    yield "its padding is not stripped", whole
    for cut in (1, 2):
        yield f"it is cut out by [{cut}:-{cut}], as if pad were {cut}, whatever it is", whole[:, :, cut:-cut, cut:-cut]


def _masked_in_test(item: Item) -> Iterator[tuple[str, Array]]:
    """What a mask would leave where a layer that draws one in training is to do nothing."""
    if item.trial.layer.mode != "test" or item.actual.shape != item.expected.shape:
        return
    kept = item.actual != 0
    p = item.trial.case.options.get("p", 1.0)
    yield "the mask is applied in test mode too", np.where(kept, item.expected / p, 0.0)
    yield "the mask is applied in test mode too", np.where(kept, item.expected, 0.0)
    yield "the mask is applied in test mode too", np.where(kept, item.expected / (1 - p), 0.0)


def _mask_of_numbers(item: Item) -> Iterator[tuple[str, Array]]:
    """What a layer that draws a mask gives if the mask is what was drawn, not what was decided by it."""
    trial, (quantity, index) = item.trial, item.place
    if not trial.layer.drawn or item.actual.shape != item.expected.shape:
        return
    of = trial.inputs[trial.layer.data] if quantity in trial.outputs else trial.cotangents[index].get(ONLY)
    kept = (item.actual != 0) & (item.expected != 0)
    if of is not None and kept.any() and np.array_equal(item.actual != 0, item.expected != 0):
        shares = item.actual[kept] / of[kept]
        if np.ptp(shares) > APART * np.abs(shares).max():
            yield "the mask holds other numbers than 0 and one more: each element is scaled by its own", item.actual


def _factors(item: Item) -> Iterator[tuple[str, Array]]:
    """An input that comes in as a factor once too often, or once too seldom, along the axes that it fits."""
    expected = item.expected.astype(np.float64)
    for name, value in item.trial.inputs.items():
        if value.dtype.kind == "f" and value.ndim and expected.ndim:
            for shape in {value.shape, (*value.shape, *(1,) * (expected.ndim - 2))}:
                if _fits(shape, expected.shape):
                    factor = value.reshape(shape)
                    yield f"{name} is multiplied in once too often", expected * factor
                    with np.errstate(all="ignore"):
                        yield f"{name} is missing as a factor", expected / factor


def _fits(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, other) == other
    except ValueError:
        return False


SUSPICIONS: tuple[Suspicion, ...] = (
    of_regularisation,
    _cut,
    _sums,
    _scales,
    _shapes,
    _others,
    _masked_in_test,
    _mask_of_numbers,
    _factors,
)
