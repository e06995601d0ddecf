"""How large a problem is: what the reference computes in one call, counted, and the sizes at which that is bounded."""

import math
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from scratchproof.errors import InputError
from scratchproof.kernels.problem import Problem, Setting, expression, named_arguments
from scratchproof.kernels.sizes import LEAST, reduced, sizes_in
from scratchproof.oracle.operations import SUMS, name_of

BUDGET = 2**14  # elements of all results of one call forward; a product or sum of 256 terms counts as one more
PATIENCE = (1, 4, 12, 32)  # times as much, where a problem does not go below
MOST = float(PATIENCE[-1] * BUDGET)
Way = tuple[int, bool]
WAYS: tuple[Way, ...] = (
    *((least, True) for least in (LEAST, 8, 6, 4)),
    *((least, False) for least in (LEAST, 8, 6, 4)),
    *((least, apart) for least in (2, 1) for apart in (True, False)),
)  # the least that a size becomes, and whether different ones stay so
Known = dict[tuple[tuple[int, int], ...], tuple[Setting, float] | None]
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


def work_of(setting: Setting, seed: int = 0, enough: float = math.inf) -> float:
    """The work of one call, which is not made where its inputs alone are more than `enough`: then how many they are.

    Raises: whatever the reference raises at these sizes.
    """
    args = setting.draw(seed)
    leaves, filled = named_arguments(setting.model, args)
    tensors = [*leaves.values(), *setting.state.values()]
    held = float(sum(t.numel() for t in tensors))
    if held > enough:
        return held
    tensors = [t.double() if t.is_floating_point() else t for t in tensors]
    with _Counted() as counted, torch.no_grad():
        expression(setting, filled, torch.float64)(*tensors)
    return max(float(counted.work), held)


def scaled(problem: Problem, scale: int | str, seed: int) -> tuple[Setting, int]:
    """The problem at its own sizes divided by `scale`, or by the least factor at which its work is bounded.

    Raises: InputError where the reference does not run.
    """
    known: Known = {}
    if scale != "auto":
        at = (_running(problem, int(scale), way, seed, known) for way in WAYS)
        found = next((setting for setting, _ in filter(None, at)), None)
        if found is None:
            raise _unusable(problem, int(scale), seed)
        return found, int(scale)
    for patience in PATIENCE:
        for way in WAYS:
            if (best := _largest(problem, way, patience * BUDGET, seed, known)) is not None:
                return best
    ran = [found for found in known.values() if found is not None]
    if not ran:
        raise _unusable(problem, 1, seed)
    return min(ran, key=_work)[0], FACTORS[0]


def _work(found: tuple[Setting, float]) -> float:
    return found[1]


def _largest(problem: Problem, way: Way, budget: float, seed: int, known: Known) -> tuple[Setting, int] | None:
    """The largest of the settings made in one way whose work is within a budget, and its factor."""
    best = None
    for factor in FACTORS if problem.source else (1,):
        found = _running(problem, factor, way, seed, known)
        if found is None:
            continue
        if found[1] > budget:
            break
        best = found[0], factor
    return best


def _running(problem: Problem, factor: int, way: Way, seed: int, known: Known) -> tuple[Setting, float] | None:
    """The setting at a factor and its work, if the reference runs there. known: what was tried before."""
    sizes = sizes_in(problem.source) if problem.source else ()
    reached = tuple(reduced(sizes, factor, way[0], apart=way[1]).items())
    if reached not in known:
        known[reached] = _tried(problem, dict(reached), seed)
    return known[reached]


def _tried(problem: Problem, sizes: dict[int, int], seed: int) -> tuple[Setting, float] | None:
    try:
        setting = problem.at(sizes, seed)
        work = work_of(setting, seed, MOST)
    except Exception:  # of whatever kind: these sizes do not go together
        return None
    if work > MOST:
        work *= MOST  # it may not have been run: any other that was comes before
    return (setting, work) if math.isfinite(work) else None


def _unusable(problem: Problem, factor: int, seed: int) -> InputError:
    sizes = sizes_in(problem.source) if problem.source else ()
    try:
        work_of(problem.at(reduced(sizes, factor), seed), seed)
    except InputError as error:
        return error
    except Exception as error:
        return InputError(f"{problem.name} does not run: {type(error).__name__}: {error}")
    return InputError(f"{problem.name} does not run at these sizes")
