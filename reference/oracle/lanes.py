"""Disturbed runs side by side: a pass has a lane for each of several runs, where torch can batch the expression.

Each operation disturbs all lanes at once, each with noise of its own; only what no input reaches, a table of
constants, errs alike in all lanes of a pass, so where there is any there are two passes. A pass costs little more than
one run while arrays are small. Whatever cannot be batched (an operation that asks for values, or writes to what all
lanes share), or is another algorithm in a batch, runs by itself.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch._C import _functorch
from torch.utils._python_dispatch import TorchDispatchMode

from scratchproof.oracle.operations import Kind, kind_of, name_of
from scratchproof.oracle.rounding import Rounding, disturbing
from scratchproof.vjp import Answer, Array, Expression, Inputs, Outputs, arithmetic, by_path, floating, pulled_back
from scratchproof.vjp import same_draws as drawing_alike

K = TypeVar("K")
ELEMENTS = 2**20  # of all inputs in all lanes; beyond it a pass is slow for its size, not for its many calls
SMALL = 2**16  # likewise, up to which that is not yet so
TRIED = 13  # lanes when it is found out what can be batched: a number by which sizes are seldom divided
OTHERWISE = {"binary_cross_entropy_with_logits"}  # in a batch torch computes their gradients by another formula
ALIKE = 2.0**-30  # how far an undisturbed lane may be from the truth, of its largest element


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes(Generic[K]):
    """A computation that can be had several times in one pass.

    expression: what is computed. once: one run by itself. together: that many runs in one pass. truth: what an
    undisturbed run gives. shapes: of the inputs.
    """

    expression: Expression
    once: Callable[[], dict[K, Array]]
    together: Callable[[int], list[dict[K, Array]]]
    truth: Mapping[K, Array]
    shapes: tuple[tuple[int, ...], ...]

    def __call__(self) -> dict[K, Array]:
        return self.once()

    @property
    def elements(self) -> int:
        return sum(map(math.prod, self.shapes))

    def disturbed(self, count: int, rounding: Rounding) -> list[dict[K, Array]] | None:
        """That many disturbed runs, or None where torch cannot batch them or batches something else."""
        most = ELEMENTS // max(1, self.elements)
        if min(most, count) < 2:
            return None
        state = rounding.generator.get_state()
        try:
            with _quietly():
                passes = self._passes()
                return list(self._runs(count, min(most, -(-count // passes)), rounding)) if passes else None
        except Exception:  # of whatever kind: run by itself, it raises again if the fault is the expression's own
            rounding.generator.set_state(state)
            return None

    def _runs(self, count: int, lanes: int, rounding: Rounding) -> Iterator[dict[K, Array]]:
        for start in range(0, count, lanes):
            with disturbing(rounding):
                runs = self.together(min(lanes, count - start))
            yield from runs

    def _passes(self) -> int:
        """In how many passes at least; in none, unless lanes that nobody disturbs compute the truth as one run does.

        It is asked once for an expression and its shapes.
        """
        known = _PASSES.setdefault(self.expression, {})
        if self.shapes not in known:
            with _Watch() as alone:
                self.once()
            tried = TRIED if self.elements * TRIED <= min(SMALL, ELEMENTS) else 2
            with _Watch(tried) as watch:
                runs = self.together(tried)
            right = not OTHERWISE & alone.seen and all(_alike(run, self.truth) for run in (runs[0], runs[-1]))
            known[self.shapes] = (2 if watch.shared or tried == 2 else 1) if right else 0
        return known[self.shapes]


_PASSES: WeakKeyDictionary[Expression, dict[tuple[tuple[int, ...], ...], int]] = WeakKeyDictionary()


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, the names of torch's operations are kept, and whether any rounds what all of so many lanes share."""

    def __init__(self, lanes: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lanes = lanes
        self.seen: set[str] = set()
        self.shared = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as of Rounding

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(name_of(func))
        out = func(*args, **(kwargs or {}))
        if kind_of(func) is not Kind.EXACT:
            results = out if isinstance(out, tuple | list) else [out]
            self.shared |= any(isinstance(one, Tensor) and one.numel() % self.lanes > 0 for one in results)
        return out


def repeated(compute: Callable[[], dict[K, Array]], count: int, rounding: Rounding) -> list[dict[K, Array]]:
    """That many disturbed runs of a computation, in one pass if it has lanes."""
    if isinstance(compute, Lanes) and (found := compute.disturbed(count, rounding)) is not None:
        return found
    runs = []
    for _ in range(count):
        with disturbing(rounding):
            runs.append(compute())
    return runs


def stacked(
    expression: Expression,
    inputs: Sequence[Inputs],
    cotangents: Sequence[Sequence[Outputs]],
    count: int,
    *,
    constant: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> list[list[Answer]]:
    """The answers of a torch expression in float64 for each of several inputs of one shape, `count` times in one pass.

    cotangents: as many for each of the inputs. Raises: whatever torch raises where it cannot batch the expression.
    """
    names = floating(inputs[0], constant)
    given = {name: _expanded([one[name] for one in inputs], count) for name in inputs[0]}
    wanted = [given[name].requires_grad_() for name in names]
    with arithmetic(tf32=False), drawing_alike():
        outs = _batched(lambda *values: expression(*values, **(options or {})), given.values(), len(inputs) * count)
    grads = []
    for douts in zip(*cotangents, strict=True):
        stacks = {name: _expanded([dout[name] for dout in douts], count) for name in douts[0]}
        grads.append(dict(zip(names, pulled_back(outs, stacks, wanted), strict=True)))
    of_outs, of_grads = _arrays(outs), [_arrays(of_cotangent) for of_cotangent in grads]
    runs = [
        Answer(outs=_lane(of_outs, i), grads=tuple(_lane(g, i) for g in of_grads)) for i in range(len(inputs) * count)
    ]
    return [runs[start : start + count] for start in range(0, len(runs), count)]


def _batched(expression: Expression, values: Iterable[Tensor], lanes: int) -> dict[str, Tensor]:
    """The outputs of an expression by name, for values with a first axis of lanes.

    `torch.func.vmap` does the same, after importing the compiler's exporter, which takes a second.
    """
    level = _functorch._vmap_increment_nesting(lanes, "same")
    try:
        outs = by_path(expression(*(_functorch._add_batch_dim(value, 0, level) for value in values)))
        return {name: _functorch._remove_batch_dim(out, level, lanes, 0) for name, out in outs.items()}
    finally:
        _functorch._vmap_decrement_nesting()


def _expanded(values: Sequence[Array], count: int) -> Tensor:
    """Each of the values `count` times, one after the other along a new first axis."""
    stack = torch.from_numpy(np.stack(values))
    return stack.unsqueeze(1).expand(len(values), count, *values[0].shape).flatten(0, 1)


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: value.detach().numpy() for name, value in tensors.items()}


def _lane(stacks: Mapping[str, Array], i: int) -> dict[str, Array]:
    return {name: stack[i] for name, stack in stacks.items()}


def _alike(run: Mapping[K, Array], truth: Mapping[K, Array]) -> bool:
    return all(_close(run[name], expected) for name, expected in truth.items())


def _close(value: Array, expected: Array) -> bool:
    if value.shape != expected.shape:
        return False
    room = ALIKE * np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    return bool(np.allclose(value, expected, rtol=0.0, atol=room, equal_nan=True))


@contextmanager
def _quietly() -> Iterator[None]:
    """Without torch's warning that an operation is batched by a loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
