"""One candidate before its judge: what it is asked, in order, and what is kept of its answers."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scratchproof.exam.compare import Verdict
from scratchproof.judging import asks
from scratchproof.judging.judgement import Judgement, Reason
from scratchproof.judging.marking import conduct, formal, marked, statistics, survivors
from scratchproof.judging.speed import compared
from scratchproof.judging.truth import Ask, Truth, coarse
from scratchproof.kernels.candidate import Called, Candidate
from scratchproof.kernels.problem import Problem, Setting, functional, functionally, named_arguments
from scratchproof.kernels.sizes import resized_copy
from scratchproof.kernels.work import scaled
from scratchproof.sandbox.failures import Failure, OutOfTime, Raised, said
from scratchproof.vjp import PRECISIONS, Array, Inputs

ENOUGH = 4  # reasons after which no more is asked
LEAF = "leaf Variable that requires grad"  # torch's words where an input is written to
MANY, FEW, PATIENCE = 64, 6, 1.0  # calls in a row, as many as fit into so many seconds
HERE = "the candidate is an object and ran in this process: give a file to keep it apart"


class Sitting:
    """One candidate before its judge. `judgement` asks everything once."""

    def __init__(
        self,
        *,
        candidate: Candidate,
        problem: Problem,
        precision: str | None,
        allow: str | None,
        seed: int,
        scale: int | str,
        grad: bool,
        timed: bool = False,
    ) -> None:
        self.began = time.monotonic()
        self.candidate, self.problem, self.seed, self.grad, self.timed = candidate, problem, seed, grad, timed
        self.setting, self.scale = scaled(problem, scale, seed)
        self.precision = PRECISIONS[precision or asks.precision_of(self.setting, seed)]
        self.allowed, self.allow = allow, coarse(self.precision, allow)
        inside = PRECISIONS[allow or self.precision.name]
        self.grid = inside if inside.unit > self.precision.unit else self.precision  # what inputs are rounded to
        self.reasons: list[Reason] = []
        self.notes: list[Reason] = []
        self.asked: list[tuple[str, float | str]] = []
        self.called: tuple[str, ...] = ()
        self.truths: dict[str, Truth] = {}
        self.shared: dict[str, Any] = {"expressions": {}}
        self.calls: dict[str, Called] = {}
        self.survivors: set[tuple[str, str]] | None = None
        self.speedup: float | None = None
        self.times: dict[str, float] = {}

    def judgement(self) -> Judgement:
        """Ask everything, and sum up."""
        try:
            self._ask_all()
            if self.timed and not self.reasons:
                self.speedup, self.times, wrong = compared(self)
                self.reasons += wrong
        except Failure as failure:
            self._failed(failure, "")
        finally:
            self.candidate.close()
        if not self.reasons:
            self.reasons += self._vacuous()
        reasons = sorted(self.reasons, key=lambda r: -r.verdict.gravity)
        own = self.candidate.object
        return Judgement(
            candidate=self.candidate.path or str(getattr(own, "__name__", type(own).__name__)),
            reference=self.problem.name,
            verdict=reasons[0].verdict if reasons else Verdict.PASS,
            precision=self.precision.name,
            allow=self.allowed,
            seed=self.seed,
            scale=self.scale,
            reasons=tuple(reasons),
            notes=tuple(self.notes),
            called=self.called,
            asked=tuple(self.asked),
            remarks=(HERE,) if self.candidate.in_process else (),
            speedup=self.speedup,
            times=tuple(self.times.items()),
            seconds=time.monotonic() - self.began,
        )

    def _ask_all(self) -> None:
        if not self._loaded():
            return
        model, self.state = self._built(self.setting, asks.drawn_state(self.setting, self.grid, self.seed))
        shipped, again = (self._draw(self.setting, self.state, i) for i in range(2))
        self.one(shipped, model)
        self.one(replace(again, name=asks.AGAIN, change=asks.steep), model)
        if any(share == np.inf for _, share in self.asked) or len(self.asked) < 2:
            return  # it is wrong on what the problem ships: what else it is need not be known
        self._in_memory(shipped, again, model)
        if any(reason.quantity for reason in self.reasons):
            return
        for ask in asks.variations(shipped, lambda i: self._draw(self.setting, self.state, 2 + i), self.grid):
            if len(self.reasons) < ENOUGH:
                self.one(ask, model)
        self._other_sizes(shipped, model)
        if self.candidate.alive:
            self.called = self.candidate.listed(model, *self.handed(shipped))

    def _loaded(self) -> bool:
        self.candidate.start(self.text(self.candidate))
        kind = self.candidate.kind
        if kind == "function" and (found := functional(self.setting)) is not None:
            self.setting, self.problem = found, functionally(self.problem)
        modular = bool(self.setting.state)
        if kind == "nothing" or (kind == "function" and modular):
            wanted = "class ModelNew" if modular else f"function {' or '.join(self.problem.wanted[:1])}".strip()
            self.say(Reason(kind="missing", verdict=Verdict.MISSING, message=f"there is no {wanted} in it"))
            return False
        return True

    def text(self, side: Candidate) -> str:
        """What the process of a candidate, or of its rival, loads: its text at the sizes of the problem."""
        if not side.source or not self.problem.source:
            return side.source
        return resized_copy(side.source, self.problem.source, self.setting.sizes)

    def rival(self) -> Candidate:
        """The reference as a candidate."""
        given, model = self.problem.reference, self.setting.model
        name = "Model" if self.setting.state or self.setting.init != ((), {}) else getattr(model, "__name__", "Model")
        subject = f"{str(given).partition(':')[0]}:{name}" if self.problem.source else given
        return Candidate(subject, (), self.candidate.device, self.candidate.limits)

    def _draw(self, setting: Setting, state: Inputs, number: int) -> Ask:
        """One fresh draw of what the problem ships."""
        return asks.base(setting, self.grid, self.seed + number, state, grad=self.grad)

    def _built(self, setting: Setting, state: Inputs) -> tuple[int, Inputs]:
        """A model with the state handed over, or with what it drew itself from the seed of the reference."""
        model, took_over = self.build(self.candidate, setting, state)
        if took_over:
            return model, state
        self.note("own parameters", "it has other parameters than the reference: both drew theirs from one seed")
        return model, self.grid.rounded(asks.built_state(setting))

    def build(self, side: Candidate, setting: Setting, state: Inputs) -> tuple[int, bool]:
        """A model of a candidate's, and whether it took over the state."""
        tensors = asks.tensors_of(state, self.precision.dtype)
        dtype = str(self.precision.dtype).removeprefix("torch.")
        model, matched = side.build(setting.init, tensors, dtype, self.seed)
        return model, set(matched) >= set(setting.parameters)

    def one(self, ask: Ask, model: int, **how: Any) -> Called | None:
        """Put one ask, compare what comes back, and keep what is wrong with it."""
        if not self.candidate.alive:
            return None  # what ended it is told
        seed = self.seed + len(self.asked)
        truth = Truth(ask=ask, precision=self.precision, allow=self.allow, grid=self.grid, seed=seed, **self.shared)
        if not ask.must and not truth.sound:
            self.asked.append((ask.name, "not asked: the reference itself fails there"))
            return None
        try:
            called, found, wrong = self._answered(truth, model, how)
        except Failure as failure:
            self._refused(failure, ask)
            return None
        self._keep(truth, found, wrong)
        self.calls[ask.name] = called
        return called

    def _answered(self, truth: Truth, model: int, how: Any) -> tuple[Called, dict[str, Array], list[Reason]]:
        """Outputs and gradients by name, and what is wrong with the way they came."""
        try:
            called = self._call(truth.ask, model, how)
        except Raised as error:
            if LEAF not in str(error):
                raise
            truth.ask = replace(truth.ask, pulls=False)
            called = self._call(truth.ask, model, how)
        wrong = [*formal(called, truth), *conduct(called, truth)]
        found = {name: array for name, array in called.outs.items() if name in truth.plain.outs}
        fits = all(name in found and found[name].shape == out.shape for name, out in truth.plain.outs.items())
        if truth.cotangents and fits:
            douts = asks.tensors_of(truth.cotangents[0], self.precision.dtype, strided=truth.ask.strided)
            named = [name for name in truth.ask.together if name not in truth.constant]
            try:
                grads = self.candidate.pull(called.number, model, douts, named)
            except Raised:
                if wrong:
                    return called, found, wrong  # no wonder
                raise
            handed = {f"d{n}" for n in named} - (set() if self._takes_parameters else self._parameters)
            for quantity in [q for q in truth.expected if q in handed]:
                found[quantity] = grads.get(quantity[1:], np.zeros(truth.expected[quantity].shape))
        return called, found, wrong

    @property
    def _parameters(self) -> set[str]:
        return {f"d{name}" for name in self.setting.parameters}

    @property
    def _takes_parameters(self) -> bool:
        return not any(note.kind == "own parameters" for note in self.notes)

    def _call(self, ask: Ask, model: int, how: Any) -> Called:
        inputs = [n for n, v in ask.inputs.items() if v.dtype.kind == "f" and n not in ask.setting.constant]
        wanted = inputs + list(ask.setting.parameters)
        return self.candidate.call(model, *self.handed(ask), wanted if ask.pulls else [], **how)

    def handed(self, ask: Ask) -> tuple[Any, list[str]]:
        """The arguments of a call as fresh tensors, and the names of the tensors."""
        _, filled = named_arguments(ask.setting.model, ask.args)
        held = ask.setting.held
        tensors = asks.tensors_of(ask.inputs, self.precision.dtype, strided=ask.strided, but=held)
        return filled(list(tensors.values())), list(ask.inputs)

    def _keep(self, truth: Truth, found: dict[str, Array], wrong: Sequence[Reason]) -> None:
        compared = [marked(truth, quantity, actual, self.truths) for quantity, actual in found.items()]
        self.asked.append((truth.ask.name, max((one.share for one in compared), default=0.0)))
        for reason in [*wrong, *(one.reason for one in compared if one.reason)]:
            self.say(reason)
        if self.survivors is None or self.survivors:
            passed = survivors(truth, self.truths)
            self.survivors = passed if self.survivors is None else self.survivors & passed
        self.truths[truth.ask.name] = truth

    def _in_memory(self, shipped: Ask, again: Ask, model: int) -> None:
        """Inputs changed in place, outputs read again later, and many calls in a row in the same memory."""
        first = self.calls.get(shipped.name)
        if first is None or not self.candidate.alive:
            return
        quiet = replace(again, pulls=False, instead="")
        plain = self.one(replace(shipped, name="without gradients", pulls=False), model)
        if plain is not None:
            self.one(replace(quiet, name="inputs changed in place"), model, into=plain.number)
            few = replace(quiet, name="two numbers changed in place", inputs=asks.exchanged(quiet.inputs))
            self.one(few, model, into=plain.number)
            near = asks.nudged(few.inputs, self.grid)
            self.one(replace(quiet, name="changed by a little in place", inputs=near), model, into=plain.number)
        self._other_parameters(quiet, model)
        self._other_buffers(quiet, model)
        for name, call in list(self.calls.items()):
            later = self.candidate.read(call.number)
            if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(call.outs.values(), later, strict=True)):
                message = "its output is another when it is read again after later calls"
                self.say(Reason(kind="changes after the call", message=message, where=name))
                return
        self._many(shipped, again, model)

    def _other_parameters(self, ask: Ask, model: int) -> None:
        """As after a step of training: other numbers in the same parameters."""
        if not (self.grad and self.setting.parameters and self._takes_parameters):
            return
        state = asks.drawn_state(self.setting, self.grid, self.seed + 1)
        small = asks.small_state(state, self.setting, self.grid)
        old, one = "keeps old parameters", "fits one distribution"
        for name, values, instead in (
            ("other parameters", state, old),
            ("small parameters", small, one),
            ("the parameters before", self.state, old),
        ):
            self.candidate.hand(model, asks.tensors_of(values, self.precision.dtype))
            self.one(replace(ask, name=name, state=values, must=False, instead=instead), model)

    def _other_buffers(self, ask: Ask, model: int) -> None:
        """The buffers that the reference writes in a call, from where they began."""
        if not set(self.setting.state) - set(self.setting.parameters) or not self._takes_parameters:
            return
        self.candidate.hand(model, asks.tensors_of(self.state, self.precision.dtype))
        name = "from the same buffers"
        if self.one(replace(ask, name=name, must=False), model) is not None and name in self.truths:
            held = self.candidate.held(model, asks.tensors_of(self.state, self.precision.dtype))
            for reason in statistics(self.truths[name], held):
                self.say(reason)

    def _many(self, shipped: Ask, again: Ask, model: int) -> None:
        """Two sets of inputs in turn, in one memory, as often as there is time for."""
        truths = [self.truths[name] for name in (shipped.name, asks.AGAIN)]
        (args, names), (other, _) = self.handed(shipped), self.handed(again)
        began = time.monotonic()
        self.candidate.repeat(model, args, other, names, 2)
        count = int(np.clip(2 * PATIENCE / max(1e-3, time.monotonic() - began), FEW, MANY))
        turns, results = self.candidate.repeat(model, args, other, names, count)
        outs = list(truths[0].plain.outs)
        for i, result in enumerate(turns):
            truth = truths[i % 2]
            arrays = results[len(outs) * result : len(outs) * (result + 1)]
            for quantity, actual in zip(outs, arrays, strict=False):
                if reason := marked(truth, quantity, actual, {}).reason:
                    message = f"in call {i + 1} of {count}: {reason.message}"
                    self.say(replace(reason, kind="changes with calls", message=message, where="many calls in a row"))
                    return
        self.asked.append((f"{count} calls in a row", 0.0))

    def _other_sizes(self, shipped: Ask, model: int) -> None:
        """At sizes that the candidate was never shown: another batch, and every size that can be another."""
        for setting in asks.other_sizes(self.problem, self.setting, self.seed):
            if len(self.reasons) >= ENOUGH or not self.candidate.alive:
                return
            try:
                if setting.model is self.setting.model:
                    built, state = model, self.state
                else:
                    built, state = self._built(setting, asks.drawn_state(setting, self.grid, self.seed))
            except Failure as failure:
                self._refused(failure, replace(shipped, name=setting.name, must=False))
                continue
            ask = self._draw(setting, state, 100)
            self.one(replace(ask, name=setting.name, must=False, instead="wrong at another size"), built)

    def _vacuous(self) -> Iterator[Reason]:
        for control, quantity in sorted(self.survivors or ()):
            message = f"{control} would pass as {quantity} wherever it was asked: the problem cannot tell"
            yield Reason(kind=control, verdict=Verdict.VACUOUS, message=message, quantity=quantity)

    def _refused(self, failure: Failure, ask: Ask) -> None:
        """An exception is the candidate's right on anything but what the problem ships."""
        if ask.must or not isinstance(failure, Raised):
            self._failed(failure, ask.name)
        else:
            self.asked.append((ask.name, "refused by the candidate"))
            self.note(f"refuses {ask.name}", f"it raised {failure}")

    def _failed(self, failure: Failure, where: str) -> None:
        late = isinstance(failure, OutOfTime)
        verdict, kind = (Verdict.TIMEOUT, "timeout") if late else (Verdict.CRASH, "crash")
        self.say(Reason(kind=kind, verdict=verdict, message=f"it {said(failure)}", where=where))

    def say(self, reason: Reason) -> None:
        """Keep a reason, one of its kind for a quantity; what is no more than worth knowing is a note."""
        if reason.verdict is Verdict.PASS:
            self.note(reason.kind, reason.message)
            return
        if not any((r.kind, r.quantity) == (reason.kind, reason.quantity) for r in self.reasons):
            self.reasons.append(reason)

    def note(self, kind: str, message: str) -> None:
        if not any(note.kind == kind for note in self.notes):
            self.notes.append(Reason(kind=kind, verdict=Verdict.PASS, message=message))
