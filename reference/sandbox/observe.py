"""What becomes of a call and of the pulls after it; and what only the process that holds the arrays can see of it:
which of them it wrote to, and which share their memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from scratchproof.sandbox.failures import Failure
from scratchproof.subjects.protocol import ContractError
from scratchproof.table.layers import Case
from scratchproof.vjp import Answer, Array, Function, Gradients, Inputs, Outputs, by_name

K = TypeVar("K")
DEEPEST, MOST, LARGEST = 50, 10_000, 2**28  # how far a cache is looked into: levels, items, bytes of an array


class Question(NamedTuple):
    """One call of the function for a case, and the cotangents that are pulled back after it."""

    case: Case
    inputs: Inputs
    douts: Sequence[Outputs] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a question, as far as it went. outs: None where forward failed. failure: what ended it, if any."""

    outs: Outputs | None = None
    grads: tuple[Gradients, ...] = ()
    failure: Failure | ContractError | None = None

    @property
    def answer(self) -> Answer:
        """The whole answer. Raises: the failure, if there was one."""
        if self.failure or self.outs is None:
            raise self.failure or ContractError("gave nothing")
        return Answer(outs=self.outs, grads=self.grads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen in one call forward and one backward.

    written, written_back: the inputs (and "dout") that the forward and the backward pass wrote to. cache: whether the
    backward pass wrote to the cache. shared: pairs of an output ("out") or a gradient ("dx") and what shares its
    memory.
    """

    written: tuple[str, ...] = ()
    written_back: tuple[str, ...] = ()
    cache: bool = False
    shared: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def observe(function: Function, inputs: Inputs, dout: Outputs | None) -> Observed:
    """Call `function` once forward and, with a cotangent (by name), once backward, and watch the arrays.

    A function whose arrays live in another process observes itself there: it has a method `observe`.
    """
    own = getattr(function, "observe", None)
    if own is not None:
        seen: Observed = own(inputs, dout)
        return seen
    before = copies(inputs)
    outs, pullback = by_name(function)(**inputs)
    written = _changed(inputs, before)
    if dout is None:
        return Observed(written=written, shared=tuple(_sharing(outs, inputs)))
    cache = dict(enumerate(arrays_in(pullback.cache)))
    given = {**inputs, **{f"d{name}": value for name, value in dout.items()}}
    before, kept = copies(given), copies(cache)
    outputs = {**outs, **{f"d{name}": gradient for name, gradient in pullback(dout).items()}}
    return Observed(
        written=written,
        written_back=_changed(given, before),
        cache=bool(_changed(cache, kept)),
        shared=tuple(_sharing(outputs, given)),
    )


def soil(like: Iterable[Any]) -> None:
    """Leave nan in memory that is free again: what is taken from there without being filled shows."""
    for value in like:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            np.full(value.shape, np.nan, value.dtype)


def arrays_in(value: Any) -> list[Array]:
    """Every array of numbers within a cache of tuples, lists and dictionaries, which may contain themselves."""
    found: dict[int, Array] = {}
    seen: set[int] = set()
    level = [value]
    for _ in range(DEEPEST):
        deeper: list[Any] = []
        for item in level[:MOST]:
            if isinstance(item, np.ndarray):
                if item.dtype.kind in "biufc" and item.nbytes <= LARGEST:
                    found[id(item)] = item
            elif isinstance(item, tuple | list | dict) and id(item) not in seen:
                seen.add(id(item))
                deeper.extend(item.values() if isinstance(item, dict) else item)
        level = deeper
    return list(found.values())


def copies(arrays: Mapping[K, Array]) -> dict[K, Array]:
    """Of each array one that nobody else will write to."""
    return {name: array.copy() for name, array in arrays.items()}


def _changed(after: dict[Any, Array], before: dict[Any, Array]) -> tuple[Any, ...]:
    return tuple(name for name, array in after.items() if not _same(array, before[name]))


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))


def _sharing(outputs: dict[str, Array], sources: dict[str, Array]) -> Iterator[tuple[str, str]]:
    for name, array in outputs.items():
        others = [*sources.items(), *((other, value) for other, value in outputs.items() if other > name)]
        yield from ((name, other) for other, value in others if _share(array, value))


def _share(a: Array, b: Array) -> bool:
    return bool(np.may_share_memory(a, b)) and bool(np.shares_memory(a, b))
