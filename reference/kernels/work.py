"""How large a problem is: what the reference computes in one call, counted, and the sizes at which that is bounded."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from scratchproof.errors import InputError
from scratchproof.kernels.problem import Problem, Setting, expression, named_arguments
from scratchproof.kernels.sizes import reduced, sizes_in
from scratchproof.oracle.operations import SUMS, name_of

BUDGET = 2**14  # elements of all results of one call forward; a product or sum of 256 terms counts as one more
TOO_MUCH = 32.0
FACTORS = tuple(2**i for i in range(14, -1, -1))


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, what torch computes is counted."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = 0.0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # importing the compiler takes a second and a half

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        sizes = [t.numel() for t in (out if isinstance(out, tuple | list) else (out,)) if isinstance(t, torch.Tensor)]
        self.work += sum(sizes)
        if (count := SUMS.get(name_of(func))) is not None:
            terms = count(out, *args)
            self.work += sum(sizes) * (max(terms) if isinstance(terms, tuple) else terms) / 256
        return out


def work_of(setting: Setting, seed: int = 0) -> float:
    """The work of one call. Raises: whatever the reference raises at these sizes."""
    args = setting.draw(seed)
    leaves, filled = named_arguments(setting.model, args)
    tensors = [*leaves.values(), *setting.state.values()]
    tensors = [t.double() if t.is_floating_point() else t for t in tensors]
    with _Counted() as counted, torch.no_grad():
        expression(setting, filled, torch.float64)(*tensors)
    return max(float(counted.work), float(sum(t.numel() for t in tensors)))


def scaled(problem: Problem, scale: int | str, seed: int) -> tuple[Setting, int]:
    """The problem at its own sizes divided by `scale`, or by the least factor at which its work is bounded.

    Raises: InputError where the reference does not run.
    """
    if scale != "auto":
        found = next((s for s, _ in _running(problem, int(scale), seed)), None)
        if found is None:
            raise _unusable(problem, int(scale), seed)
        return found, int(scale)
    best: tuple[Setting, int] | None = None
    least: tuple[Setting, int] | None = None  # where none is within
    factors: Sequence[int] = FACTORS if problem.source else (1,)
    for factor in factors:
        ways = list(_running(problem, factor, seed))
        within = [setting for setting, work in ways if work <= BUDGET]
        if within:
            best = within[0], factor
        elif ways:
            least = least or (min(ways, key=_work)[0], factor)
            if best or min(map(_work, ways)) > TOO_MUCH * BUDGET:
                break
    if not (best or least):
        raise _unusable(problem, 1, seed)
    return best or least  # type: ignore[return-value]


def _work(found: tuple[Setting, float]) -> float:
    return found[1]


def _running(problem: Problem, factor: int, seed: int) -> Iterator[tuple[Setting, float]]:
    """The settings at a factor at which the reference runs, the best first, and their work."""
    sizes = sizes_in(problem.source) if problem.source else ()
    tried: list[dict[int, int]] = []
    for way in reduced(sizes, factor):
        if way in tried:
            continue
        tried.append(way)
        try:
            setting = problem.at(way, seed)
            work = work_of(setting, seed)
        except Exception:  # of whatever kind: these sizes do not go together
            continue
        if math.isfinite(work):
            yield setting, work


def _unusable(problem: Problem, factor: int, seed: int) -> InputError:
    sizes = sizes_in(problem.source) if problem.source else ()
    try:
        work_of(problem.at(next(reduced(sizes, factor)), seed), seed)
    except InputError as error:
        return error
    except Exception as error:
        return InputError(f"{problem.name} does not run: {type(error).__name__}: {error}")
    return InputError(f"{problem.name} does not run at these sizes")
