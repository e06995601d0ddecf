"""Corner cases: inputs on which correct-looking code goes wrong, made from a layer's ordinary random inputs.

Most mistakes that survive random inputs die on one of these: zeros and small integers bring exact kinks, ties and
exact margins; huge and tiny values bring overflow and underflow; the rest is about rows and memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchproof.table.layers import Layer
from scratchproof.vjp import Array, Inputs, Precision

Spoil = Callable[[Layer, Inputs, Precision, np.random.Generator], Inputs]


def zeros(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """The data all zero: every ReLU at its kink, every window tied, a batch without variance."""
    return {**inputs, layer.data: np.zeros_like(inputs[layer.data])}


def integers(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Data from -2 to 2: exact zeros, ties within windows and among scores, margins of exactly zero."""
    return {**inputs, layer.data: rng.integers(-2, 3, size=inputs[layer.data].shape).astype(np.float64)}


def sparse(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Exact zeros among the numbers of every input, the first one of each; of the data a whole row too.

    A gamma of zero cannot be divided by; a step without a gradient still has its momentum.
    """
    found = dict(inputs)
    for name, value in inputs.items():
        if value.dtype.kind == "f" and name not in layer.constant:
            found[name] = value * (rng.random(value.shape) >= 0.3)
            found[name].flat[:1] = 0
    found[layer.data][1:2] = 0
    return found


def no_bias(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Every vector of parameters zero, as biases are before the first step."""
    vectors = [name for name, value in inputs.items() if value.ndim == 1 and value.dtype.kind == "f"]
    return inputs | {name: np.zeros_like(inputs[name]) for name in vectors if name not in (layer.data, *layer.constant)}


def huge(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Data around +-1e4, as logits after divergence have: exp overflows unless it is shifted.

    Less in a format whose largest number is not far beyond that.
    """
    return {**inputs, layer.data: min(1e4, precision.largest / 1000) * inputs[layer.data]}


def mixed(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Numbers of every size at once in every input, from 1e-5 to 1e4: what is cut off anywhere shows.

    Up to less in a format whose largest number is not far beyond that.
    """
    most = min(13.0, np.log2(precision.largest) / 2)
    found = dict(inputs)
    for name, value in inputs.items():
        if value.dtype.kind == "f" and name not in layer.constant:
            found[name] = value * 2 ** rng.uniform(-17, most, value.shape)
    return found


def sure(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Each row's own class far ahead: no margin is missed, and next to nothing is left for the others."""
    x, labels = inputs[layer.data].copy(), next(v for v in inputs.values() if v.dtype.kind in "iu")
    x[np.arange(len(x)), labels] += 20
    return {**inputs, layer.data: x}


def offset(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Data with a mean a hundred times its spread: E[x^2] - E[x]^2 loses its digits.

    Less in formats that could not hold the spread beside such a mean.
    """
    return {**inputs, layer.data: inputs[layer.data] + min(100.0, 0.05 / precision.unit)}


def tiny(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Data near the bottom of the format's range, where squares underflow."""
    return {**inputs, layer.data: precision.tiny**0.75 * inputs[layer.data]}


def one_row(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    return _rows(layer, inputs, 1)


def one_huge_row(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """One row of huge values: whoever subtracts the maximum of the whole batch has subtracted the row's."""
    return _rows(layer, huge(layer, inputs, precision, rng), 1)


def empty(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """No rows at all: the last batch of an unlucky split."""
    return _rows(layer, inputs, 0)


def nonfinite(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """One nan and one infinity in the data; they must come out where arithmetic says, not be swallowed."""
    x = inputs[layer.data].copy()
    where = rng.choice(x.size, size=2, replace=False)
    x.flat[where] = [np.nan, np.inf]
    return {**inputs, layer.data: x}


def strewn(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    """Nan and infinities here and there, in the first and the last place too: at every tap of some window."""
    x = inputs[layer.data].copy()
    chance = rng.random(x.shape)
    x[chance < 0.12] = np.nan
    x[chance < 0.08] = np.inf
    x[chance < 0.04] = -np.inf
    x.flat[0] = x.flat[-1] = np.nan
    return {**inputs, layer.data: x}


def unchanged(layer: Layer, inputs: Inputs, precision: Precision, rng: np.random.Generator) -> Inputs:
    return inputs


def strided(value: Array) -> Array:
    """The same values in memory that is not contiguous: axes reversed, every second element unused."""
    wide = np.zeros((*value.shape[::-1], 2), dtype=value.dtype)
    view = wide[..., 0].T
    view[...] = value
    return view


def fortran(value: Array) -> Array:
    """The same values with the first axis running fastest."""
    return np.array(value, order="F")


def reversed_memory(value: Array) -> Array:
    """The same values, the last one first in memory."""
    back: tuple[Any, ...] = (..., *(slice(None, None, -1) for _ in value.shape))
    turned: Array = np.array(value[back], order="C")[back]
    return turned


def within(value: Array) -> Array:
    """The same values as a part of a larger array."""
    wide = np.full([size + 3 for size in value.shape], 7, dtype=value.dtype)
    place: tuple[Any, ...] = (..., *(slice(1, 1 + size) for size in value.shape))
    view: Array = wide[place]
    view[...] = value
    return view


def read_only(value: Array) -> Array:
    """The same values in memory that may not be written."""
    copy = value.copy()
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """A corner case: what it makes of the inputs, and what it is about.

    overflows: exp overflows unless the data is shifted first. empty: there are no rows. nonfinite: the data holds
    nan and infinity.
    """

    inputs: Spoil = unchanged
    overflows: bool = False
    empty: bool = False
    nonfinite: bool = False


ORDINARY = Corner()
CORNERS: dict[str, Corner] = {
    "zeros": Corner(inputs=zeros),
    "integers": Corner(inputs=integers),
    "sparse": Corner(inputs=sparse),
    "no bias": Corner(inputs=no_bias),
    "huge": Corner(inputs=huge, overflows=True),
    "one huge row": Corner(inputs=one_huge_row, overflows=True),
    "every size": Corner(inputs=mixed, overflows=True),
    "sure": Corner(inputs=sure),
    "offset": Corner(inputs=offset),
    "tiny": Corner(inputs=tiny),
    "one row": Corner(inputs=one_row),
    "empty": Corner(inputs=empty, empty=True),
    "nonfinite": Corner(inputs=nonfinite, nonfinite=True),
    "nan and infinities": Corner(inputs=strewn, nonfinite=True),
}
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "in Fortran order": fortran,
    "strided": strided,
    "reversed": reversed_memory,
    "part of a larger array": within,
    "read-only": read_only,
}
LABELS = ("int32", "uint8", "int8", "uint64")


def _rows(layer: Layer, inputs: Inputs, count: int) -> Inputs:
    return {name: value[:count].copy() if name in layer.batched else value for name, value in inputs.items()}
