"""What is right, and how far a right computation may be from it, for one call: torch in float64 on the CPU."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten

from scratchproof.kernels.problem import Setting, expression, named_arguments, written_buffers
from scratchproof.oracle.elementary import Elementary
from scratchproof.oracle.tolerance import REPEATS, Tolerance, tolerances
from scratchproof.vjp import (
    PRECISIONS,
    Answer,
    Array,
    Inputs,
    Outputs,
    Precision,
    answer,
    by_path,
    floating,
    from_torch,
)

HALF = 2.0**-12
WIDENED = 2.0  # times what eager torch itself needs, where that is more than is derived
FEW = 2  # disturbed runs where only the size of an error is to be known
FORMULA = 4.0  # times what the reference's formula may err, another right formula may; half of that in half precision
DRAWS = 6  # of inputs, in which an element that is zero in each is never anything else
UNDECIDED = 6  # disturbed runs of whole numbers that come out of a comparison


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One call of the candidate: at these sizes, on these inputs (in float64, already rounded to the format).

    pulls: whether gradients are asked for. ties: whether equal elements make a choice of index or subgradient free.
    strided: whether inputs are handed over as every second column of a wider memory. must: whether it is what the
    problem ships; anything else may be refused by an exception, and is not asked where the reference itself fails.
    instead: what a wrong number here is called, on inputs of which the problem ships no such. hard: whether a formula
    that is as right loses digits here: they are noted. change: what is made of cotangents, drawn normal else.
    """

    name: str
    setting: Setting
    args: tuple[Any, ...]
    inputs: Inputs
    state: Inputs
    pulls: bool = True
    ties: bool = False
    strided: bool = False
    must: bool = False
    instead: str = ""
    hard: bool = False
    change: Callable[[Array], Array] | None = None

    @property
    def together(self) -> Inputs:
        return {**self.inputs, **self.state}


@dataclass(kw_only=True)
class Truth:
    """The right answer to an ask, and what follows from it.

    precision: of the problem. allow: the coarsest arithmetic that is permitted inside. grid: what inputs are rounded
    to, so that a permitted cast of them loses nothing. expressions: shared by all truths of a sitting.
    """

    ask: Ask
    precision: Precision
    allow: Precision
    grid: Precision
    seed: int
    expressions: dict[Any, Any] = field(default_factory=dict)

    @property
    def constant(self) -> tuple[str, ...]:
        parameters = self.ask.setting.parameters
        return (*self.ask.setting.constant, *(name for name in self.ask.state if name not in parameters))

    @cached_property
    def cotangents(self) -> tuple[Outputs, ...]:
        if not self.ask.pulls:
            return ()
        rng = np.random.default_rng(self.seed)
        outs = {name: self.plain.outs[name] for name in floating(self.plain.outs)}
        change = self.ask.change or np.asarray
        drawn = {name: np.asarray(change(rng.standard_normal(out.shape))) for name, out in outs.items()}
        return (self.grid.rounded(drawn),) if drawn else ()

    @cached_property
    def kept(self) -> tuple[Answer, dict[str, Tolerance]]:
        """The buffers that a call changes, as they are after it, and what each of them may be off."""
        filled = named_arguments(self.ask.setting.model, self.ask.args)[1]
        inner = written_buffers(self.ask.setting, filled, torch.float64)
        found = answer(from_torch(inner, constant=self.constant), self.ask.together)
        changed = {n: a for n, a in found.outs.items() if not np.array_equal(a, self.ask.state[n], equal_nan=True)}
        if not changed:
            return Answer(outs={}, grads=()), {}

        def written(*tensors: torch.Tensor) -> dict[str, torch.Tensor]:
            return {name: value for name, value in inner(*tensors).items() if name in changed}

        right = Answer(outs=changed, grads=())
        inside = self.ask.together
        allowed, _ = tolerances(written, right, inside, (), self.allow, constant=self.constant, seed=self.seed)
        return right, {name: _times(FORMULA, tolerance) for name, tolerance in allowed.items()}

    @property
    def repeats(self) -> int:
        """Disturbed runs: half as many where much is asked, and a formula's share is left besides."""
        return REPEATS if self.ask.must and self.ask.pulls else REPEATS // 2

    @cached_property
    def plain(self) -> Answer:
        return answer(self._function(PRECISIONS["float64"]), self.ask.together)

    @cached_property
    def answer(self) -> Answer:
        return answer(self._function(PRECISIONS["float64"]), self.ask.together, self.cotangents)

    @cached_property
    def eager(self) -> Answer:
        """What the reference itself gives in the problem's precision, or in that which is allowed inside."""
        return answer(self._function(self.grid), self.ask.together, self.cotangents)

    def is_torchs(self, quantity: str, actual: Array) -> bool:
        """Whether floating numbers are bit for bit what the reference itself gives: nothing is to be derived then."""
        own = quantities(self.eager).get(quantity)
        return own is not None and own.dtype.kind == "f" and np.array_equal(own, actual)

    @cached_property
    def written(self) -> tuple[str, ...]:
        """The inputs that the reference itself writes to."""
        return self._habits[0]

    @property
    def shared(self) -> tuple[str, ...]:
        """The inputs whose memory the reference returns."""
        return self._habits[1]

    def always_zero(self, name: str) -> Array:
        """The elements of an input that are zero in every draw, as half of a triangular matrix: a gradient of nobody.

        None of them where all of it is zero.
        """
        found = self.ask.inputs[name] == 0
        for seed in range(DRAWS if found.any() else 0):
            leaves, _ = named_arguments(self.ask.setting.model, self.ask.setting.draw(seed))
            found &= leaves[name].numpy() == 0
        return np.zeros_like(found) if found.all() else found

    @cached_property
    def _habits(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        tensors = {n: torch.from_numpy(np.array(v)) for n, v in self.ask.together.items()}
        before = {name: tensor.clone() for name, tensor in tensors.items()}
        with torch.no_grad():
            outs = by_path(self._expression(torch.float64)(*tensors.values()))
        places = {out.untyped_storage().data_ptr() for out in outs.values() if isinstance(out, torch.Tensor)}
        written = tuple(n for n, t in tensors.items() if not torch.equal(t.nan_to_num(), before[n].nan_to_num()))
        return written, tuple(n for n, t in tensors.items() if t.untyped_storage().data_ptr() in places)

    @cached_property
    def allowed(self) -> dict[str, Tolerance]:
        """Of each output and gradient by name; wide enough for the reference itself at what the problem ships."""
        derived = self.under(self.allow, self.repeats)
        return {name: self._widened(name, tolerance) for name, tolerance in derived.items()}

    @cached_property
    def expected(self) -> dict[str, Array]:
        return quantities(self.answer)

    @cached_property
    def undecided(self) -> dict[str, Array]:
        """Of outputs of whole numbers, which come out otherwise when the inputs are disturbed by a rounding."""
        whole = {n: out for n, out in self.plain.outs.items() if out.dtype.kind != "f"}
        free = {name: np.zeros(out.shape, bool) for name, out in whole.items()}
        rng = np.random.default_rng(self.seed)
        unit = 4 * max(self.allow.unit, self.allow.accumulate, self.allow.operand)
        for _ in range(UNDECIDED if whole else 0):
            near = {n: _disturbed(v, unit, rng) for n, v in self.ask.together.items()}
            found = answer(self._function(PRECISIONS["float64"]), near)
            free = {name: mask | (found.outs[name] != whole[name]) for name, mask in free.items()}
        return free

    def under(self, precision: Precision, repeats: int = FEW) -> dict[str, Tolerance]:
        """What would be allowed in some arithmetic."""
        if (precision, repeats) not in self._under:
            outs, grads = tolerances(
                self._expression(torch.float64),
                self.answer,
                self.ask.together,
                self.cotangents,
                precision,
                constant=self.constant,
                alternatives=self._alternatives,
                seed=self.seed,
                repeats=repeats,
            )
            self._under[precision, repeats] = quantities(Answer(outs=outs, grads=grads))  # type: ignore[arg-type]
        return self._under[precision, repeats]

    @cached_property
    def _under(self) -> dict[tuple[Precision, int], dict[str, Tolerance]]:
        return {}

    @property
    def sound(self) -> bool:
        """Whether the problem means something here: the truth is finite, and so is the reference in its format."""
        found = [*self.expected.values(), *quantities(self.eager).values()]
        return all(np.isfinite(value).all() for value in found if value.dtype.kind == "f")

    @cached_property
    def hard(self) -> bool:
        """Whether a formula that is as right loses digits here: it is known to, or the reference's own does."""
        return self.ask.hard or (not self.ask.must and any(over > FORMULA for over in self._over.values()))

    @cached_property
    def _over(self) -> dict[str, float]:
        """The largest error of the reference in its format, as a share of what is derived, by quantity."""
        eager, derived = quantities(self.eager), self.under(self.allow, self.repeats)
        found = {}
        for name, value in self.expected.items():
            with np.errstate(all="ignore"):
                shares = np.abs(eager[name] - value) / derived[name].allowed if value.dtype.kind == "f" else np.zeros(1)
            found[name] = float(shares[np.isfinite(shares)].max(initial=0.0))
        return found

    def _widened(self, name: str, tolerance: Tolerance) -> Tolerance:
        """Wide enough for another right formula, and for the reference itself."""
        return _times(max(FORMULA if self.allow.unit < HALF else FORMULA / 2, WIDENED * self._over[name]), tolerance)

    def _function(self, precision: Precision) -> Any:
        return from_torch(self._expression(precision.dtype), precision, constant=self.constant)

    def _expression(self, dtype: torch.dtype) -> Callable[..., Any]:
        """The reference in a dtype: one and the same for all asks of a setting that differ in tensors alone."""
        if (key := (*self._key, dtype)) not in self.expressions:
            _, filled = named_arguments(self.ask.setting.model, self.ask.args)
            self.expressions[key] = expression(self.ask.setting, filled, dtype)
        found: Callable[..., Any] = self.expressions[key]
        return found

    @property
    def _alternatives(self) -> tuple[Callable[..., Any], ...]:
        """The reference written out, if anything in it can be."""
        if (key := (*self._key, "written out")) not in self.expressions:
            inner, mode = self._expression(torch.float64), Elementary()

            def written_out(*tensors: torch.Tensor) -> Any:
                with mode:
                    return inner(*tensors)

            from_torch(written_out, constant=self.constant)(**self.ask.together)
            self.expressions[key] = (written_out,) if mode.used else ()
        found: tuple[Callable[..., Any], ...] = self.expressions[key]
        return found

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        leaves = tree_flatten(self.ask.args)[0]
        others = tuple(repr(leaf) for leaf in leaves if not isinstance(leaf, torch.Tensor))
        return (self.ask.setting.model, others)


def quantities(found: Answer) -> dict[str, Any]:
    """Outputs by name, and gradients as `dx` of an input x and `dweight` of a parameter."""
    grads = found.grads[0] if found.grads else {}
    return {**found.outs, **{f"d{name}": grad for name, grad in grads.items()}}


def _times(factor: float, tolerance: Tolerance) -> Tolerance:
    return replace(
        tolerance,
        allowed=factor * tolerance.allowed,
        ceiling=factor * tolerance.ceiling,
        scale=factor * tolerance.scale,
        offset=factor * tolerance.offset,
        unmodelled=(),
    )


def _disturbed(value: Array, unit: float, rng: np.random.Generator) -> Array:
    return value * (1 + unit * rng.uniform(-1, 1, value.shape)) if value.dtype.kind == "f" else value


def coarse(precision: Precision, allow: str | None) -> Precision:
    """The arithmetic that is permitted inside: the problem's own, or the one that is said."""
    if allow is None:
        return precision
    inside = PRECISIONS[allow]
    unit = max(precision.unit, inside.unit)
    return replace(precision, unit=unit, operand=max(inside.operand, unit if unit > precision.unit else 0.0))
