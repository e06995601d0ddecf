"""NumPy code that brings its own gradient, as functions of the contract: pairs, and functions with a pullback."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchproof import trees
from scratchproof.subjects.subject import ContractError
from scratchproof.vjp import ONLY, Array, Function, Gradients, Pullback, by_path, floating


def from_arrays(subject: Any, fill: Callable[[Mapping[str, Any]], Any], constant: Sequence[str] = ()) -> Function:
    """Bring NumPy code to the contract.

    subject: a pair, forward(*inputs) -> (out, cache) and backward(dout, cache) -> gradients; or one function
        (*inputs) -> (out, pullback) with pullback(dout) -> gradients. Gradients are one for each differentiated
        input, in order, nested as the inputs or not, or by name.
    fill: makes the arguments from the inputs by name.
    """
    function = _paired(*subject) if isinstance(subject, tuple) else subject

    def contract(**inputs: Array) -> tuple[Any, Pullback]:
        out, pullback = two(function(*fill(inputs)), "the function returned", "(out, pullback)")
        arrays = {name: array(value, name) for name, value in by_path(out).items()}
        wanted = tuple(floating(inputs, constant))
        return (arrays[ONLY] if list(arrays) == [ONLY] else arrays), _Pulling(pullback, out, wanted)

    return contract


@dataclass(frozen=True, slots=True)
class _Pulling:
    """A stranger's pullback: cotangents in the form of its output, gradients in whatever form it has."""

    pullback: Any
    out: Any
    wanted: tuple[str, ...]

    @property
    def cache(self) -> Any:
        return getattr(self.pullback, "cache", None)

    def __call__(self, dout: Any) -> Gradients:
        names = iter(by_path(self.out))
        given = dout.get if isinstance(dout, Mapping) else lambda _: dout
        found = self.pullback(trees.mapped(lambda _: given(next(names)), self.out))
        by_name = isinstance(found, Mapping) and set(self.wanted) <= set(found)
        grads = {name: found[name] for name in self.wanted} if by_name else self._in_order(found)
        return {name: array(grad, f"d{name}") for name, grad in grads.items()}

    def _in_order(self, found: Any) -> dict[str, Any]:
        grads = list(trees.flat(found).values())
        if len(grads) != len(self.wanted):
            due = ", ".join(f"d{name}" for name in self.wanted)
            raise ContractError(f"backward returned {len(grads)} gradients, but should return {due}")
        return dict(zip(self.wanted, grads, strict=True))


@dataclass(frozen=True, slots=True)
class _Cached:
    backward: Callable[..., Any]
    cache: Any

    def __call__(self, dout: Any) -> Any:
        return self.backward(dout, self.cache)


def _paired(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    def function(*arguments: Any) -> tuple[Any, _Cached]:
        out, cache = two(forward(*arguments), "forward returned", "(out, cache)")
        return out, _Cached(backward, cache)

    return function


def two(found: Any, what: str, wanted: str) -> tuple[Any, Any]:
    """A pair of things. Raises: ContractError if it is none."""
    if not (isinstance(found, tuple | list) and len(found) == 2):
        raise ContractError(f"{what} a {type(found).__name__}, but should return {wanted}")
    return found[0], found[1]


def array(value: Any, what: str) -> Array:
    """An array of real numbers. Raises: ContractError if it is none."""
    try:
        found = np.asarray(value)
    except ValueError:
        found = np.asarray(None)
    if found.dtype.kind not in "fiubc":
        raise ContractError(f"{what} is a {type(value).__name__}, but should be an array of numbers")
    return found
