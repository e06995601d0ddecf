"""From what people write for inputs to samplers of named arrays: shapes, arrays and samplers, nested or not."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from scratchproof import trees
from scratchproof.errors import InputError
from scratchproof.table.expressions import Rng, Sampler
from scratchproof.vjp import Array

Given: TypeAlias = Any
"""A dictionary of shapes, arrays, samplers `rng -> array`, and nested ones; or a sampler of such a dictionary."""


def names_of(inputs: Given) -> dict[str, Any]:
    """Each argument as a tree of the names of its leaves.

    Raises: InputError for an input that is no shape, array or sampler.
    """
    given = _tree(inputs(np.random.default_rng(0)) if callable(inputs) else inputs)
    return dict(trees.rebuild(given, trees.flat(given)))


def sampler(inputs: Given) -> Sampler:
    """Draw every input: a shape from the standard normal distribution, an array as it is."""

    def sample(rng: Rng) -> dict[str, Array]:
        drawn = trees.flat(_tree(inputs(rng) if callable(inputs) else inputs))
        return {name: as_array(draw(rng), name) for name, draw in drawn.items()}

    return sample


def around(value: Tensor) -> Callable[[Rng], Array]:
    """Draw a parameter around its own value, as far away as it is large: no weight is 1 and no bias 0 by chance."""
    own = as_array(value.detach(), "parameter")
    spread = float(np.sqrt(np.mean(own * own))) if own.any() else 1.0
    return lambda rng: own + spread * rng.standard_normal(own.shape)


def device_of(inputs: Given) -> str:
    """Where the first tensor among the inputs is, or "cpu"."""
    leaves = trees.flat(inputs).values() if isinstance(inputs, Mapping) else ()
    return next((str(leaf.device) for leaf in leaves if isinstance(leaf, Tensor)), "cpu")


def as_array(value: Any, name: str) -> Array:
    """A private array: floating values in float64, whole numbers and truth values as they are.

    Raises: InputError for complex numbers and for what is no array of numbers.
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.double().numpy() if value.is_floating_point() else value.numpy()
    array = np.array(value)
    if array.dtype.kind == "c":
        raise InputError(f"{name} is {array.dtype}, but should be real: give its real and imaginary parts")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} is a {type(value).__name__}, but should be an array of numbers")
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _tree(given: Any, name: str = "") -> Any:
    """The same tree with a sampler for every leaf."""
    if callable(given):
        return given
    if isinstance(given, np.ndarray | np.generic | Tensor):
        return lambda rng: given
    if _is_shape(given):
        return lambda rng: rng.standard_normal(given)
    if isinstance(given, Mapping):
        return {key: _tree(value, f"{name}.{key}" if name else key) for key, value in given.items()}
    if isinstance(given, tuple | list):
        values = [_tree(value, f"{name}.{i}") for i, value in enumerate(given)]
        return type(given)(*values) if hasattr(given, "_fields") else type(given)(values)
    raise InputError(
        f"{name or 'inputs'} is {given!r}, but should be a shape, an array or a sampler: options go into a lambda"
    )


def _is_shape(given: Any) -> bool:
    return isinstance(given, torch.Size) or (isinstance(given, tuple) and all(type(size) is int for size in given))
