"""One layer's exam: the trials it is put to, the truth and the tolerance of each, and the verdict."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import numpy as np

from scratchproof.errors import InputError
from scratchproof.exam.compare import Result, Severity, Verdict
from scratchproof.exam.corners import CORNERS, ORDINARY, Corner
from scratchproof.oracle.tolerance import Tolerance, tolerances
from scratchproof.sandbox.failures import Failure, guarded, guarded_function
from scratchproof.sandbox.observe import Observed, Question, Reply, copies, observe, soil
from scratchproof.subjects.subject import ContractError, Subject, Unsupported
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import (
    ONLY,
    Answer,
    Array,
    Function,
    Inputs,
    NamedPullback,
    Outputs,
    Precision,
    by_name,
    floating,
    from_torch,
)

T = TypeVar("T")


@dataclass(kw_only=True)
class Trial:
    """One set of inputs: what torch says of it in float64, and how far from that is allowed.

    inputs: float64 arrays, already rounded to the precision under test. cotangents: likewise, each with an array
    for every floating output, by its name and of its shape. mistaken: what known mistakes would give, once computed.
    """

    layer: Layer
    case: Case
    name: str
    precision: Precision
    inputs: Inputs
    seed: int
    device: str = "cpu"
    pulls: int = 2
    corner: Corner = ORDINARY
    mistaken: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def oracle(self) -> Function:
        return from_torch(self.layer.torch, device=self.device, constant=self.layer.constant, options=self.case.options)

    @cached_property
    def cotangents(self) -> tuple[Outputs, ...]:
        """Random and signed: an all-ones cotangent would hide whatever sums to zero."""
        outs, _ = self._forward
        wanted = floating(outs)
        if not self.layer.pulls_back or not wanted:
            return ()
        rng = np.random.default_rng(self.seed)
        drawn = (
            {name: np.asarray(rng.standard_normal(outs[name].shape)) for name in wanted} for _ in range(self.pulls)
        )
        return tuple(self.precision.rounded(dout) for dout in drawn)

    @cached_property
    def truth(self) -> Answer:
        cotangents = self.cotangents
        outs, pullback = self.__dict__.pop("_forward", None) or by_name(self.oracle)(**self.inputs)
        return Answer(outs=outs, grads=tuple(pullback(dout) for dout in cotangents))

    @cached_property
    def _forward(self) -> tuple[Outputs, NamedPullback]:
        """torch's forward pass, held from the cotangents, which need its shapes, to the truth."""
        return by_name(self.oracle)(**self.inputs)

    @cached_property
    def tolerances(self) -> tuple[dict[str, Tolerance], tuple[dict[str, Tolerance], ...]]:
        return tolerances(
            self.layer.torch,
            self.truth,
            self.inputs,
            self.cotangents,
            self.precision,
            constant=self.layer.constant,
            options=self.case.options,
            alternatives=self.layer.alternatives,
            stored=self.layer.stored,
            seed=self.seed,
        )

    @property
    def derived(self) -> bool:
        """Whether anything needed its tolerances."""
        return "tolerances" in self.__dict__

    @cached_property
    def others(self) -> tuple["Trial", ...]:
        """The same by each of the layer's other conventions, kept with truth and tolerance like the trial itself."""
        layers = (replace(self.layer, torch=expression) for expression in self.layer.conventions.values())
        return tuple(replace(self, layer=layer) for layer in layers)

    def given(self) -> Inputs:
        """Fresh copies of the inputs in the dtype under test, for the subject to keep its hands off."""
        return {name: self._handed(value) for name, value in self.inputs.items()}

    def given_cotangents(self) -> list[Outputs]:
        return [{name: self._handed(value) for name, value in dout.items()} for dout in self.cotangents]

    def _handed(self, value: Array) -> Array:
        dtype = self.precision.array_dtype if value.dtype.kind == "f" else value.dtype
        return value.astype(dtype)

    @property
    def leftovers(self) -> bool:
        """Whether the sizes are such as an author may refuse."""
        return self.layer.leftovers(self.inputs, self.case.options)

    @property
    def out(self) -> str:
        """What a lone output is called in messages."""
        return "loss" if self.layer.kind in ("loss", "net") else ONLY

    @property
    def outputs(self) -> dict[str, str]:
        """The name of each output by what it is called in messages."""
        return {self.out if name == ONLY else name: name for name in self.truth.outs}

    def pick(self, found: Answer, quantity: str, cotangent: int = 0) -> Array:
        """The output or the gradient that messages call `quantity`: "out", "loss", or "d" and an input's name."""
        return self._pick(found.outs, found.grads, quantity, cotangent)

    def tolerance(self, quantity: str, cotangent: int = 0) -> Tolerance:
        return self._pick(*self.tolerances, quantity, cotangent)

    def _pick(self, outs: Mapping[str, T], grads: Sequence[Mapping[str, T]], quantity: str, cotangent: int) -> T:
        if quantity in self.outputs:
            return outs[self.outputs[quantity]]
        return grads[cotangent][quantity[1:]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a subject answered to one trial, as far as it did; `check` asked it."""

    check: str
    trial: Trial
    found: Answer


Papers: TypeAlias = dict[tuple[object, ...], tuple[Trial, ...]]
"""Trials drawn before, with truth and tolerance: the same for every subject, so worth keeping for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is asked. cases, shapes, calls: how many. corners: whether any.

    everywhere: whether shapes and orders of calls are asked in every precision, not in float64 alone.
    """

    cases: int | None = None
    corners: bool = True
    shapes: int = 16
    calls: int = 120
    everywhere: bool = False


EFFORTS = {
    "quick": Effort(cases=1, corners=False, shapes=2, calls=4),
    "normal": Effort(),
    "thorough": Effort(shapes=60, calls=1200, everywhere=True),
}


@dataclass(kw_only=True)
class Exam:
    """A subject's layer in one precision, and what has been found so far. seen: the answers that were judged."""

    subject: Subject
    layer: Layer
    precision: Precision
    seed: int = 0
    device: str = "cpu"
    effort: Effort = EFFORTS["normal"]
    results: list[Result] = field(default_factory=list)
    papers: Papers = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """The layer's cases with random inputs, drawn from the seed."""
        drawn = self.drawn_once("cases", self._case_trials)
        observe = self.layer.observed
        return drawn if observe is None else tuple(self._completed(trial, observe) for trial in drawn)

    @property
    def answered(self) -> tuple[Trial, ...]:
        """The trials that the subject was not free to refuse, or did not."""
        refused = {r.case for r in self.results if r.verdict is Verdict.PASS and r.severity is Severity.EDGE}
        return tuple(trial for trial in self.trials if trial.name not in refused)

    def corner_trials(self) -> tuple[Trial, ...]:
        """The first case at each corner that applies to the layer."""
        return self.drawn_once("corners", self._corner_trials)

    def scores_trials(self) -> tuple[Trial, ...]:
        """For nets: the first case without its labels, whose answer is the class scores."""
        return self.drawn_once("scores", self._scores_trials)

    def drawn_once(self, what: str, draw: Callable[[], Iterator[Trial]]) -> tuple[Trial, ...]:
        """What `draw` gives, or gave for an earlier subject; `what` tells its trials from others of this exam."""
        key = (what, id(self.layer), self.precision.name, self.seed, self.device, self.effort)
        if key not in self.papers:
            self.papers[key] = tuple(draw())
        return self.papers[key]

    def _case_trials(self) -> Iterator[Trial]:
        for case in self.layer.cases[: self.effort.cases]:
            yield self._trial(case, case.name, case.inputs(self.rng(case.name)))

    def _corner_trials(self) -> Iterator[Trial]:
        case = self.layer.cases[0]
        for name in self.layer.corners if self.effort.corners else ():
            if name not in CORNERS:
                raise InputError(f"{self.layer.name}: no corner is called {name!r}: choose from {', '.join(CORNERS)}")
            rng, corner = self.rng(name), CORNERS[name]
            inputs = corner.inputs(self.layer, case.inputs(rng), self.precision, rng)
            yield replace(self._trial(case, name, inputs), pulls=1, corner=corner)

    def _scores_trials(self) -> Iterator[Trial]:
        if self.layer.scores is not None:
            layer = replace(self.layer, kind="forward", torch=self.layer.scores)
            for trial in self.trials[:1]:
                yield replace(trial, layer=layer, case=replace(trial.case, options={}))

    def rng(self, name: str) -> np.random.Generator:
        """Randomness that depends on the seed, the layer and the name alone, not on what else is examined."""
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.layer.name}/{name}".encode())])

    def function(self, trial: Trial) -> Callable[..., tuple[Outputs, NamedPullback]]:
        """The subject's own, by name. It fails by a `Failure` alone, or by a ContractError.

        Raises: ContractError if it cannot be had for these options, or lacks outputs.
        """
        renamed = by_name(self._function(trial))

        def complete(**inputs: Array) -> tuple[Outputs, NamedPullback]:
            soil(inputs.values())
            outs, pullback = renamed(**inputs)
            if lacking := _lacking(trial, outs):
                raise ContractError(lacking)
            # Copies: an author may use the same memory for the next answer.
            return copies(outs), _copying(pullback, inputs)

        return complete

    def ask(self, asked: Iterable[tuple[Trial, Inputs, Sequence[Outputs]]]) -> Iterator[Reply]:
        """What becomes of calls whose order does not hang on the answers: forward, then each cotangent pulled back.

        They are made one by one as the replies are taken; a subject that lives apart is sent many at once.
        """
        answers = getattr(self.subject, "answers", None)
        if answers is None:
            yield from self._here(asked)
            return
        asked = list(asked)
        questions = [Question(trial.case, inputs, douts) for trial, inputs, douts in asked]
        for (trial, *_), reply in zip(asked, answers(self.layer, self.precision, questions), strict=True):
            yield _complete(trial, reply)

    def _here(self, asked: Iterable[tuple[Trial, Inputs, Sequence[Outputs]]]) -> Iterator[Reply]:
        function, of = None, None
        for trial, inputs, douts in asked:
            outs = None
            try:
                if function is None or of is not trial:
                    function, of = self.function(trial), trial
                outs, pullback = function(**inputs)
                yield Reply(outs, tuple(pullback(dout) for dout in douts))
            except (Failure, ContractError) as error:
                yield Reply(outs, failure=error)

    @cached_property
    def observed(self) -> Observed:
        """What a call of the subject's function, forward and backward, did to arrays in memory. Raises: likewise."""
        trial = self.trials[0]
        dout = next(iter(trial.given_cotangents()), None)
        return guarded(observe, self._function(trial), trial.given(), dout)

    def _function(self, trial: Trial) -> Function:
        try:
            function = guarded(self.subject.function, self.layer, trial.case, self.precision)
        except Unsupported as error:
            raise ContractError(str(error)) from error
        if function is None:
            raise ContractError("is no longer there")
        return function if hasattr(function, "observe") else guarded_function(function)

    @property
    def found_wrong(self) -> bool:
        """Whether anything is wrong already: what is asked in other ways would only say it again."""
        return any(r.verdict.gravity >= Verdict.FAIL.gravity for r in self.results)

    def failed(self, quantity: str, case: str | None = None) -> bool:
        """Whether the quantity was already found wrong, in that case or in any: corners would only say it again."""
        grave = (Verdict.FAIL, Verdict.CRASH)
        return any(r.quantity == quantity and r.verdict in grave and case in (None, r.case) for r in self.results)

    def result(self, check: str, trial: Trial, quantity: str, **fields: Any) -> Result:
        """A result whose message names layer, quantity, case and precision."""
        if message := fields.get("message"):
            where = f"{self.layer.name} {quantity}" if quantity else self.layer.name
            fields["message"] = f"{where}: {message} [{trial.name}] ({self.precision.name})"
        return Result(check=check, case=trial.name, quantity=quantity, **fields)

    def _trial(self, case: Case, name: str, inputs: Inputs) -> Trial:
        return Trial(
            layer=self.layer,
            case=case,
            name=name,
            precision=self.precision,
            inputs=self.precision.rounded(inputs),
            seed=self.seed,
            device=self.device,
        )

    def _completed(self, trial: Trial, observe: Callable[[Inputs, Outputs], Inputs]) -> Trial:
        """The trial with the inputs that the subject draws itself, read off its own output."""
        try:
            outs, _ = by_name(self._function(trial))(**trial.given())
        except (Failure, ContractError):
            return trial  # which is told where it is judged
        return replace(trial, inputs=observe(trial.inputs, outs))


def _lacking(trial: Trial, outs: Outputs) -> str:
    """What is said of outputs of which there should be more."""
    missing = [name for name in trial.truth.outs if name not in outs]
    return f"gave {', '.join(outs) or 'nothing'}, but should give {', '.join(missing)} too" if missing else ""


def _complete(trial: Trial, reply: Reply) -> Reply:
    """The reply, unless it lacks outputs."""
    lacking = "" if reply.outs is None else _lacking(trial, reply.outs)
    return Reply(failure=ContractError(lacking)) if lacking else reply


def _copying(pullback: NamedPullback, like: Mapping[str, Array]) -> NamedPullback:
    def copying(dout: Any) -> dict[str, Array]:
        soil(like.values())
        return copies(pullback(dout))

    return replace(pullback, pullback=copying, lone=False)
