"""A truth, what it computes on one input, and what rounding may make of that: candidates are traced beside it.

The truth's own runs and the disturbed ones, which is nearly all of the work, are the same for every candidate in the
same precision.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.errors import InputError
from scratchproof.exam.compare import Comparison, compare
from scratchproof.oracle.explain import as_if
from scratchproof.oracle.tolerance import REPEATS, Tolerance, spread
from scratchproof.progress import progress
from scratchproof.tracing.calls import Call, arguments, floating, in_place_of, mapped, with_numbers
from scratchproof.tracing.compiled import UNSEEN, is_compiled, run_compiled, uncompiled
from scratchproof.tracing.free import Free
from scratchproof.tracing.in_jax import is_in_jax
from scratchproof.tracing.lines import CUT, CallLine, Trace, below, culprit_of, in_order, is_forward, reason_of, severed
from scratchproof.tracing.sides import (
    Held,
    Run,
    Side,
    Values,
    all_of,
    carry,
    index,
    renamed,
    shape_of,
)
from scratchproof.tracing.subgradient import another_subgradient
from scratchproof.vjp import PRECISIONS, Precision

Loss = Callable[[Any], Tensor]
FEW = 3  # runs from which a call's allowance is derived, before what is beyond it is held to the usual number
AGAIN = (2 * REPEATS, 6 * REPEATS)  # so many runs, before the whole is said to stray


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One quantity of a call by itself: how it compares, what it should be and is, and of what shape."""

    comparison: Comparison
    actual: Any
    expected: Any

    @property
    def wrong(self) -> bool:
        return self.comparison.problem is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a call of the truth is given, what it then gives, and what that is allowed to stray."""

    given: list[Tensor]
    douts: list[Tensor | None]
    expected: Values
    allowed: dict[str, Tolerance]


@dataclass(slots=True, kw_only=True)
class Beside:
    """A model as the truth of others that have its parameters; for the arguments see `models.trace`.

    keep: hold what each call may stray for the next candidate.
    """

    truth: nn.Module
    inputs: Any
    loss: Loss | None = None
    precision: Precision
    device: str = "cpu"
    autocast: bool = False
    pairs: Mapping[str, str]
    seed: int = 0
    keep: bool = False
    there: Side = field(init=False)
    run: Run = field(init=False)
    total: Loss = field(init=False)
    free: Free = field(init=False)
    _due: dict[Any, Due] = field(init=False, default_factory=dict)
    _last: tuple[Any, Due] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        model = copy.deepcopy(uncompiled(self.truth)).cpu().double()
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():  # the truth starts from what the candidate's format holds
                tensor.data.copy_(tensor.data.to(self.dtype))
        self.there = Side(model=model, precision=PRECISIONS["float64"], seed=self.seed)
        self.inputs = mapped(lambda t: t.to(self.dtype) if t.is_floating_point() else t, self.inputs)
        self.total = self.loss or self._against_random
        self.run = self.there.run(self.inputs, self.total, keep=Held(self.dtype).keep)
        self.free = Free(
            truth=self.run,
            again=lambda: self.there.run(self.inputs, self.total),
            precision=self.precision,
            computes=self.computes,
            seed=self.seed,
        )

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.autocast else self.precision.dtype

    @property
    def computes(self) -> Precision:
        """What a candidate computes in: under autocast products' operands, parameters among them, are rounded first."""
        return replace(self.precision, operand=self.precision.unit) if self.autocast else self.precision

    def trace(self, candidate: nn.Module) -> Trace:
        """Run a candidate, call by call. Raises: InputError, see `models.trace`."""
        model = copy.deepcopy(uncompiled(candidate)).to(self.device, self.dtype)
        self.there.restore(self.there.model)  # its buffers are carried over as they were before any run
        pairs = {**self.pairs, **carry(self.there.model, model, self.pairs)}
        here = Side(
            model=model,
            precision=self.precision,
            device=self.device,
            dtype=self.dtype,
            autocast=self.autocast,
            seed=self.seed,
        )
        found = here.run(self.inputs, self.total)  # its calls get the truth's arguments
        seen = run_compiled(candidate, here, found, self.inputs, self.total) if is_compiled(candidate) else found
        return _Candidate(self, here, renamed(found, pairs), renamed(seen, pairs)).trace(compiled=seen is not found)

    def due(self, path: str, dtypes: tuple[Any, Any], *, whole: bool, repeats: int) -> Due:
        """What a call by itself should give on the truth's own values, as the candidate's formats hold them.

        repeats: how many runs to derive from.
        """
        key = path, dtypes, repeats
        if whole and self._last is not None and self._last[0] == key:
            return self._last[1]
        if whole or key not in self._due:
            there = self.run.calls[path]
            given = [all_of(t).to(d) for t, d in zip(arguments(there), dtypes[0], strict=True)]
            douts = [all_of(there.grads[i]).to(d) if i in there.grads else None for i, d in enumerate(dtypes[1])]
            expected = self.there.again(there, given, douts, whole=whole)
            again = lambda: self.there.again(there, given, douts, whole=whole)  # noqa: E731
            allowed = self.spread(again, expected, repeats=repeats)
            found = Due(given=given, douts=douts, expected=expected, allowed=allowed)
            if whole:
                self._last = key, found
            if whole or not self.keep:
                return found
            self._due[key] = found
        return self._due[key]

    def spread(
        self, compute: Callable[[], Values], expected: Values, computes: Precision | None = None, repeats: int = REPEATS
    ) -> dict[str, Tolerance]:
        nothing = {name: np.zeros_like(value) for name, value in expected.items()}  # where no gradient arrives
        how: dict[str, Any] = {"seed": self.seed, "repeats": repeats}
        return spread(lambda: {**nothing, **compute()}, expected, computes or self.computes, **how)

    def _against_random(self, out: Any) -> Tensor:
        if not floating(out):
            raise InputError(f"the model returns {type(out).__name__} without a floating tensor in it: give a loss")
        rng = np.random.default_rng(self.seed)
        total = torch.zeros((), dtype=torch.float64)
        for tensor in floating(out):
            dout = torch.from_numpy(np.asarray(rng.standard_normal(tuple(tensor.shape))))
            if tensor.requires_grad:
                total = total + (tensor.double() * dout.to(self.precision.dtype).to(tensor.device).double()).sum()
        return total


class _Candidate:
    """A candidate's runs beside the truth's. found: as its calls make it. seen: what is judged on its own way."""

    def __init__(self, beside: Beside, here: Side, found: Run, seen: Run) -> None:
        self.beside, self.here, self.found, self.seen = beside, here, found, seen
        self.notes: list[str] = []

    def trace(self, *, compiled: bool) -> Trace:
        truth = self.beside.run
        free = self.beside.free.compared(self.seen)
        forced = dict(self._forced(leaves=True))
        right = not any(c.problem for c, _ in forced.values())
        cut = severed(self.found, truth) if right and any(_lost(key, c) for key, c in free.items()) else ""
        if right and not cut and _any(free):
            # Every call is right by itself: has the whole only taken another side of a kink? Look more often, unless
            # a pass forward is beyond doubt: across a kink values do not jump, only gradients do.
            for repeats in AGAIN:
                if _any(free) and not any(c.problem == "value" and is_forward(key) for key, c in free.items()):
                    strays = [key for key, c in free.items() if c.problem]
                    free |= self.beside.free.compared(self.seen, repeats, strays)
            if _any(free) and culprit_of(tuple(in_order(truth, forced, free)), truth) is None:
                forced |= dict(self._forced(leaves=False))
        lines = tuple(in_order(truth, forced, free))
        if compiled:
            self.notes.append(UNSEEN)
        return self._judged(lines, cut, self._strayed_compiling(free) if compiled else "")

    def _strayed_compiling(self, free: Mapping[str, Comparison]) -> str:
        """Where the compiled model strays, if uncompiled it does not."""
        strays = [key for key, c in free.items() if c.problem]
        if not strays or _any(self.beside.free.compared(self.found, AGAIN[-1], strays)):
            return ""
        key, comparison = next((key, c) for key, c in free.items() if c.problem)
        path, quantity = key.split("\0")
        return f"{quantity} of {path} strays where the same model uncompiled does not: {comparison.message}"

    def _forced(self, *, leaves: bool) -> Iterator[tuple[str, tuple[Comparison, tuple[int, ...]]]]:
        """Every call by itself, on the truth's own values."""
        wanted = [(path, call) for path, call in self.beside.run.calls.items() if call.leaf is leaves]
        with progress("tracing") as advance:
            for done, (path, there) in enumerate(wanted):
                advance(done, len(wanted))
                here = self.found.calls.get(path)
                if here is None:
                    here = self._within_jax(path, there)
                elif not _alike(here, there):
                    here = in_place_of(here, there)
                if here is None:
                    continue
                here = with_numbers(here, there)
                judged = self._compared(here, path, whole=False, repeats=FEW)
                if any(one.wrong for one in judged.values()):
                    judged = self._confirmed(here, path)
                shapes = {f"dx{index(i)}": shape_of(t) for i, t in enumerate(arguments(there))}
                for quantity, one in judged.items():
                    yield f"{path}\0{quantity}", (one.comparison, shapes.get(quantity, one.expected.shape))

    def _confirmed(self, here: Call, path: str) -> dict[str, Judged]:
        """A finding in the whole of every tensor; what is hardly beyond its allowance, from more runs; no mere kink."""
        judged = self._compared(here, path, whole=True)
        if {one.comparison.problem for one in judged.values()} == {None, "precision"}:
            judged = self._compared(here, path, whole=True, repeats=AGAIN[-1])
        return self._excused(here, path, judged)

    def _within_jax(self, path: str, there: Call) -> Call | None:
        """The call of a module that JAX computes within another that it computes, where it cannot be seen."""
        module = dict(self.here.model.named_modules()).get(there.module) if there.module else None
        if module is None or not is_in_jax(module):
            return None
        outputs = tuple(t.to(self.beside.dtype) for t in there.outputs)
        args, kwargs = self.here.given((there.args, there.kwargs))
        return replace(there, target=module, args=args, kwargs=kwargs, outputs=outputs, grads={})

    def _compared(self, here: Call, path: str, *, whole: bool, repeats: int = REPEATS) -> dict[str, Judged]:
        due = self.beside.due(path, _dtypes(here), whole=whole, repeats=repeats)
        actual = self.here.again(here, due.given, due.douts, whole=whole)
        judged = {}
        for quantity, expected in due.expected.items():
            got = actual.get(quantity, np.zeros_like(expected))  # no gradient arrives: that is zero
            comparison = compare(got, expected, due.allowed[quantity], self.beside.precision)
            judged[quantity] = Judged(comparison=comparison, actual=got, expected=expected)
        return judged

    def _excused(self, here: Call, path: str, judged: dict[str, Judged]) -> dict[str, Judged]:
        """Gradients alone that are wrong at a kink alone are another subgradient: noted, and right."""
        if any(one.wrong and not quantity.startswith("d") for quantity, one in judged.items()):
            return judged
        due = self.beside.due(path, _dtypes(here), whole=True, repeats=REPEATS)
        there = self.beside.run.calls[path]
        truth = lambda given: self.beside.there.again(there, given, due.douts, whole=True)  # noqa: E731
        candidate = lambda given: self.here.again(here, given, due.douts, whole=True)  # noqa: E731
        if not another_subgradient(truth, candidate, due.given, due.allowed, {q: j.actual for q, j in judged.items()}):
            return judged
        self.notes.append(f"{path} takes another subgradient than the truth where its input lies on a kink")
        right = Comparison(problem=None, message="another subgradient")
        return {q: replace(one, comparison=right) if one.wrong else one for q, one in judged.items()}

    def _why(self, line: CallLine, only_here: tuple[str, ...], only_there: tuple[str, ...]) -> str:
        """The reason, and what else is seen there."""
        also = [reason_of(line), self._explained(line)]
        if not line.wrong and only_there:
            also.append(f"the candidate never calls {only_there[0]}")
        if not line.wrong and only_here:
            also.append(f"the truth never calls {only_here[0]}")
        return "; ".join(words for words in also if words)

    def _explained(self, line: CallLine) -> str:
        """In which coarser arithmetic the culprit's error would be rounding, if in any."""
        here = self.found.calls.get(line.path)
        if not line.wrong or here is None or line.forced is None or line.forced.problem not in ("value", "precision"):
            return ""
        judged = self._compared(here, line.path, whole=True)[line.quantity]
        due = self.beside.due(line.path, _dtypes(here), whole=True, repeats=REPEATS)
        there = self.beside.run.calls[line.path]

        def derive(coarse: Precision) -> Tolerance | None:
            again = lambda: self.beside.there.again(there, due.given, due.douts, whole=True)  # noqa: E731
            tolerance = self.beside.spread(again, due.expected, coarse)[line.quantity]
            found = compare(judged.actual, judged.expected, tolerance, coarse)
            return None if found.problem else tolerance  # nor may it be off on the whole, as rounding is not

        return as_if(judged.actual, judged.expected, self.beside.precision, derive)

    def _judged(self, lines: tuple[CallLine, ...], cut: str, compiling: str) -> Trace:
        truth, found = self.beside.run, self.found
        only_here = tuple(path for path in found.calls if path not in truth.calls)
        unseen = {path for path, module in self.here.model.named_modules() if is_in_jax(module)}
        only_there = tuple(p for p in truth.calls if p not in found.calls and not below(p, unseen))
        line = culprit_of(lines, truth)
        culprit, reason = (line.path, self._why(line, only_here, only_there)) if line else (cut, CUT if cut else "")
        strays = any(other.strays for other in lines)
        if not culprit and compiling:
            culprit, reason = next(reversed(truth.calls)), compiling
        if not culprit and (only_here or only_there) and strays:
            culprit = (only_there or only_here)[0]
            reason = "the candidate never calls it" if only_there else "the truth never calls it"
        return Trace(
            precision=self.beside.precision.name,
            seed=self.beside.seed,
            lines=lines,
            culprit=culprit,
            reason=reason,
            drifts=not culprit and strays,
            notes=tuple(self.notes),
            only_here=only_here,
            only_there=only_there,
        )


def _lost(key: str, compared: Comparison) -> bool:
    """Whether a gradient is off by more than rounding in any arithmetic."""
    return compared.problem == "value" and not is_forward(key)


def _any(compared: Mapping[str, Comparison]) -> bool:
    return any(c.problem for c in compared.values())


def _dtypes(here: Call) -> tuple[Any, Any]:
    return tuple(t.dtype for t in arguments(here)), tuple(t.dtype for t in here.outputs)


def _alike(here: Call, there: Call) -> bool:
    """Whether the two were called with floating tensors of the same shapes."""
    return [shape_of(t) for t in arguments(here)] == [shape_of(t) for t in arguments(there)]
