"""How small an error is still seen: 2^-k planted in one element, in one row, everywhere, in right results.

The right results are torch's own in the format examined; they are spoilt, rounded to the format and compared as
results of a subject are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scratchproof.exam.compare import compare
from scratchproof.exam.exam import Trial
from scratchproof.exam.judge import quantities
from scratchproof.oracle.tolerance import Tolerance
from scratchproof.table.expressions import normal
from scratchproof.table.layers import LAYERS, Case, Layer, row
from scratchproof.vjp import Array, Precision, answer, from_torch

WHERE = ("one element", "one row", "everywhere")
SMALLEST = 60  # 2^-60 is below half a unit in the last place of every format
KINDS = ("pair", "loss", "net", "forward", "rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The smallest relative error that is still seen in a quantity; infinite where even a doubling is not.

    units: how many units in the last place of the format that is.
    """

    layer: str
    precision: str
    quantity: str
    where: str
    smallest: float
    units: float


def at_scale() -> tuple[Layer, ...]:
    """Rows at the sizes of training: 3,072 features, images of 32 by 32 pixels."""
    affine = Case(name="D = 3072", inputs=normal(x=(128, 3072), w=(3072, 10), b=(10,)))
    conv = Case(name="32x32", inputs=normal(x=(8, 3, 32, 32), w=(16, 3, 7, 7), b=(16,)), options={"pad": 3})
    return (
        replace(row("affine"), name="affine, D = 3072", cases=(affine,)),
        replace(row("conv"), name="conv, 32x32", cases=(conv,)),
    )


def rows(layers: Sequence[Layer] = ()) -> list[Layer]:
    """The rows whose results are numbers to be spoilt; those at the scale of training too, unless some are named."""
    return [layer for layer in layers or (*LAYERS, *at_scale()) if layer.kind in KINDS]


def seen(layer: Layer, precision: Precision, seed: int = 0) -> Iterator[Seen]:
    """For each quantity of a row's first case, and each place, the smallest error that is seen."""
    case = layer.cases[0]
    inputs = precision.rounded(case.inputs(np.random.default_rng([seed, 1])))  # else the cotangent is x itself
    trial = Trial(layer=layer, case=case, name=case.name, precision=precision, inputs=inputs, seed=seed, pulls=1)
    right = from_torch(layer.torch, precision, constant=layer.constant, options=case.options)
    for quantity, actual, expected, tolerance, _ in quantities(trial, answer(right, inputs, trial.cotangents)):
        if expected.dtype.kind != "f" or not expected.any():
            continue
        for where in WHERE:
            smallest = _smallest(actual, expected, tolerance, precision, where)
            yield Seen(
                layer=layer.name,
                precision=precision.name,
                quantity=quantity,
                where=where,
                smallest=smallest,
                units=smallest / precision.unit,
            )


def _smallest(actual: Array, expected: Array, tolerance: Tolerance, precision: Precision, where: str) -> float:
    place = _place(expected, where)
    for k in range(SMALLEST):
        spoilt = np.array(actual, dtype=np.float64)
        spoilt[place] *= 1 + 2.0**-k
        found = precision.rounded({"": spoilt})[""]
        if compare(found, expected, tolerance, precision).problem is None:
            return float("inf") if k == 0 else 2.0 ** (1 - k)
    return 2.0 ** (1 - SMALLEST)


def _place(expected: Array, where: str) -> tuple[int | slice, ...]:
    """The element of median size, the row that it stands in, or all."""
    if where == "everywhere" or not expected.ndim:
        return (...,) if not expected.ndim else (slice(None),)  # type: ignore[return-value]
    order = np.argsort(np.abs(expected), axis=None)
    there = order[np.abs(expected).flat[order] > 0]
    index = np.unravel_index(int(there[len(there) // 2]), expected.shape)
    return tuple(int(i) for i in index) if where == "one element" else (int(index[0]),)
