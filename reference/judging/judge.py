"""`judge`: a candidate kernel, its output and its gradients, against a reference, and nothing that it says believed."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scratchproof.errors import InputError
from scratchproof.exam.compare import Verdict, compare
from scratchproof.judging import asks
from scratchproof.judging.judgement import Judgement, Reason
from scratchproof.judging.naming import CONTROLS, Evidence, Named, name
from scratchproof.judging.truth import Ask, Truth, coarse
from scratchproof.kernels.candidate import Called, Candidate
from scratchproof.kernels.problem import Problem, Setting, from_file, from_objects, named_arguments
from scratchproof.kernels.sizes import resized_copy
from scratchproof.kernels.tensors import named_dtype
from scratchproof.kernels.work import scaled
from scratchproof.sandbox.failures import Failure, OutOfTime, said
from scratchproof.sandbox.limits import Limits
from scratchproof.vjp import PRECISIONS, Array, Inputs, Precision

ALLOWED = ("tf32", "float16", "bfloat16")
MEMORY = 8 * 2**30
WRONG_ENOUGH = 4  # reasons after which no more is asked


def judge(
    candidate: Any,
    reference: Any,
    *,
    inputs: Any = None,
    init: Sequence[Any] = (),
    precision: str | None = None,
    allow: str | None = None,
    seed: int | None = None,
    scale: int | str = "auto",
    grad: bool = True,
    device: str = "cpu",
    time_limit: float = 30.0,
) -> Judgement:
    """Judge a candidate kernel against a reference in float64, forward and backward.

    candidate, reference: paths of files: in KernelBench's form (`Model`, `ModelNew`, `get_inputs`,
        `get_init_inputs`), in robust-kbench's, or of plain functions (`FILE.py:NAME`). A candidate file runs in a
        process of its own; an object, a function, module or class, runs in this one.
    inputs: for a reference that is no file: the tensors of one call, or a function that draws them.
        init: what its class is constructed with.
    precision: the dtype of all floating tensors; that of the inputs as shipped unless said.
    allow: tf32, float16 or bfloat16: what the candidate may compute in inside; less than the precision is a downgrade.
    seed: of all inputs; drawn anew each time unless said. scale: what sizes are divided by; "auto" bounds the work.
    grad: whether gradients are asked for. device: where the candidate runs. time_limit: seconds for one call.
    Raises: InputError for arguments that make no sense, and for a reference that does not run.

    >>> import torch
    >>> judge(torch.relu, torch.nn.functional.relu, inputs=[torch.rand(6, 7)]).passed
    True
    >>> judge(lambda x: x, torch.nn.functional.relu, inputs=[torch.rand(6, 7)]).kinds
    ('fits one distribution',)
    """
    if allow is not None and allow not in ALLOWED:
        raise InputError(f"{allow!r} cannot be allowed: choose from {', '.join(ALLOWED)}")
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"{precision!r} is no precision: choose from {', '.join(PRECISIONS)}")
    problem = _problem(reference, inputs, init)
    sitting = Sitting(
        candidate=Candidate(candidate, problem.wanted, device, _limits(time_limit, device)),
        problem=problem,
        precision=precision,
        allow=allow,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        scale=scale,
        grad=grad,
    )
    return sitting.judgement()


def _problem(reference: Any, inputs: Any, init: Sequence[Any]) -> Problem:
    if isinstance(reference, str | Path):
        return from_file(str(reference))
    return from_objects(reference, inputs, init)


def _limits(seconds: float, device: str) -> Limits:
    most = 2**46 if device.startswith("cuda") else MEMORY  # a GPU's driver reserves far more than there is
    return replace(Limits.of(seconds), row=10 * seconds, memory=most, written=2**29, files=5000, processes=200)


class Sitting:
    """One candidate before its judge: what was asked so far, and what was found."""

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
    ) -> None:
        self.began = time.monotonic()
        self.candidate, self.problem, self.seed, self.grad = candidate, problem, seed, grad
        self.setting, self.scale = scaled(problem, scale, seed)
        self.precision = PRECISIONS[precision or _shipped(self.setting, seed)]
        self.allowed, self.allow = allow, coarse(self.precision, allow)
        self.reasons: list[Reason] = []
        self.notes: list[Reason] = []
        self.asked: list[tuple[str, float | str]] = []
        self.called: tuple[str, ...] = ()
        self.truths: dict[str, Truth] = {}
        self.survivors: set[tuple[str, str]] | None = None

    def judgement(self) -> Judgement:
        """Ask everything, and sum up."""
        try:
            self._ask_all()
        except Failure as failure:
            self._failed(failure, "")
        finally:
            self.candidate.close()
        if not self.reasons:
            self.reasons += self._vacuous()
        reasons = sorted(self.reasons, key=lambda r: -r.verdict.gravity)
        here = ("the candidate is an object and ran in this process: give a file to keep it apart",)
        return Judgement(
            candidate=self.candidate.path or getattr(self.candidate.object, "__name__", "object"),
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
            remarks=here if self.candidate.in_process else (),
            seconds=time.monotonic() - self.began,
        )

    def _ask_all(self) -> None:
        source = self.candidate.source
        if source and self.problem.source:
            source = _copied(source, self.problem.source, self.setting.sizes)
        self.candidate.start(source)
        if self.candidate.kind not in ("class", "module", "function"):
            wanted = "class ModelNew" if isinstance(self.setting.model, torch.nn.Module) else "function"
            self._say(Reason(kind="missing", verdict=Verdict.MISSING, message=f"there is no {wanted} in it"))
            return
        state = asks.drawn_state(self.setting, self.precision, self.seed)
        model, state = self._built(self.setting, state)
        first = asks.base(self.setting, self.precision, self.seed, state, grad=self.grad)
        self.one(first, model)
        if self._lost():
            return
        again = asks.base(self.setting, self.precision, self.seed + 10**6, state, grad=self.grad, name=asks.AGAIN)
        self.one(again, model)
        if self.reasons:
            return  # it is wrong on what the problem ships: what else it is need not be known
        for ask in asks.variations(self.setting, self.precision, self.seed, state, grad=self.grad):
            if self._lost() or len(self.reasons) >= WRONG_ENOUGH:
                break
            self.one(ask, model)

    def _built(self, setting: Setting, state: Inputs) -> tuple[int, Inputs]:
        """A model with the state handed over, or with what it drew itself from the seed of the reference."""
        tensors = asks.tensors_of(state, self.precision.dtype)
        model, matched = self.candidate.build(setting.init, tensors, named_dtype_of(self.precision), self.seed)
        if set(matched) >= set(setting.parameters):
            return model, state
        self._note("own parameters", "it has other parameters than the reference: both drew theirs from one seed")
        own = {n: t.detach().cpu().double().numpy() for n, t in setting.state.items()}
        return model, self.precision.rounded(own)

    def one(self, ask: Ask, model: int, **how: Any) -> None:
        """Put one ask, compare what comes back, and keep what is wrong with it."""
        truth = Truth(ask=ask, precision=self.precision, allow=self.allow, seed=self.seed + len(self.asked))
        if not ask.must and not truth.sound:
            self.asked.append((ask.name, "not asked: the reference itself fails"))
            return
        try:
            called = self._call(ask, model, **how)
            found, wrong = self._answered(ask, truth, called, model)
        except Failure as failure:
            self._failed(failure, ask.name)
            return
        wrong += self._conduct(ask, called)
        share = 0.0
        for quantity, actual in found.items():
            reason, close = self._compared(ask, truth, quantity, actual)
            wrong += [reason] if reason else []
            share = max(share, close)
        self.asked.append((ask.name, share))
        self.truths[ask.name] = truth
        self._control(truth)
        for reason in wrong:
            self._say(reason)

    def _call(self, ask: Ask, model: int, **how: Any) -> Called:
        _, filled = named_arguments(ask.setting.model, ask.args)
        tensors = asks.tensors_of(ask.inputs, self.precision.dtype, strided=ask.strided)
        wanted = [n for n, v in ask.inputs.items() if v.dtype.kind == "f"] + list(ask.setting.parameters)
        return self.candidate.call(
            model, filled(list(tensors.values())), list(ask.inputs), wanted if ask.pulls else [], **how
        )

    def _answered(self, ask: Ask, truth: Truth, called: Called, model: int) -> tuple[dict[str, Array], list[Reason]]:
        """Outputs and gradients by name, and what is wrong with their form."""
        wrong = [
            Reason(kind="missing output", message=f"{n} is missing", where=ask.name, quantity=n)
            for n in truth.plain.outs
            if n not in called.facts
        ]
        for quantity, fact in called.facts.items():
            if said := _form(fact, truth, quantity, self.precision):
                wrong.append(Reason(kind=said.kind, message=said.clause, where=ask.name, quantity=quantity))
        found = {n: a for n, a in called.outs.items() if n in truth.plain.outs}
        if ask.pulls and truth.cotangents and not wrong:
            douts = asks.tensors_of(truth.cotangents[0], self.precision.dtype)
            names = [n for n in truth.ask.together if n not in truth.constant]
            wanted = [n.removeprefix("parameter ") for n in names]
            grads, _, _ = self.candidate.pull(called.number, model, douts, wanted)
            for quantity, expected in truth.expected.items():
                if quantity not in truth.plain.outs:
                    found[quantity] = grads.get(quantity[1:], np.zeros(expected.shape))
        return found, wrong

    def _conduct(self, ask: Ask, called: Called) -> Iterator[Reason]:
        """What a call did beside computing."""
        for written in called.changed:
            yield Reason(kind="writes an input", message=f"it wrote to {written}", where=ask.name)
        if called.patched:
            message = f"it replaced {', '.join(called.patched)}; nothing of this judge's ran there"
            yield Reason(kind="patches torch", verdict=Verdict.SUSPECT, message=message, where=ask.name)
        if called.threads:
            message = f"threads run on after the call: {', '.join(called.threads)}"
            yield Reason(kind="threads left", verdict=Verdict.SUSPECT, message=message, where=ask.name)

    def _compared(self, ask: Ask, truth: Truth, quantity: str, actual: Array) -> tuple[Reason | None, float]:
        expected, tolerance = truth.expected[quantity], truth.allowed[quantity]
        if expected.dtype.kind != "f" and actual.shape == expected.shape:
            free = truth.undecided[quantity] if not ask.ties else np.ones(expected.shape, bool)
            actual = np.where(free, expected, actual)
        comparison = compare(actual, expected, tolerance, self.precision)
        if comparison.problem in (None, "unmodelled"):
            return None, 1 / comparison.headroom if comparison.headroom else 0.0
        evidence = Evidence(
            actual=actual,
            expected=expected,
            tolerance=tolerance,
            precision=self.precision,
            comparison=comparison,
            inputs=ask.inputs,
            earlier={n: t.expected[quantity] for n, t in self.truths.items() if quantity in t.expected},
            gradient=quantity not in truth.plain.outs,
            derive=lambda coarse: truth.under(coarse)[quantity],
        )
        named = name(evidence)
        return self._reason(ask, quantity, named, comparison.message, comparison.problem), float("inf")

    def _reason(self, ask: Ask, quantity: str, named: Named, message: str, problem: str | None) -> Reason:
        told = "; ".join(part for part in (named.clause, f"{quantity} {message}") if part)
        mild = named.kind == "downgrade" or problem == "precision"
        verdict = Verdict.SUSPECT if mild else Verdict.FAIL
        kind = named.kind
        if not ask.must and not mild and kind != "reads unwritten memory":
            kind, told = "fits one distribution", f"{told}; on what the problem ships it is right"
        return Reason(kind=kind, message=told, verdict=verdict, where=ask.name, quantity=quantity)

    def _control(self, truth: Truth) -> None:
        """Which wrong answers would have passed here; those that pass everywhere are told."""
        passed: set[tuple[str, str]] = set()
        for quantity, expected in truth.expected.items():
            if quantity not in truth.plain.outs or not expected.size:
                continue
            earlier = [t.expected[quantity] for t in self.truths.values() if t is not truth]
            earlier = [e for e in earlier if e.shape == expected.shape]
            for control in CONTROLS:
                wrong = control.make(expected, truth.ask.inputs, earlier, self.precision)
                if wrong is None or self._tells(truth, quantity, wrong):
                    continue
                passed.add((control.name, quantity))
        self.survivors = passed if self.survivors is None else self.survivors & passed

    def _tells(self, truth: Truth, quantity: str, wrong: Array) -> bool:
        comparison = compare(wrong, truth.expected[quantity], truth.allowed[quantity], self.precision)
        return comparison.problem not in (None, "unmodelled")

    def _vacuous(self) -> Iterator[Reason]:
        for control, quantity in sorted(self.survivors or ()):
            message = f"{control} would pass as {quantity} wherever it was asked: the problem cannot tell"
            yield Reason(kind=f"{control} would pass", verdict=Verdict.VACUOUS, message=message, quantity=quantity)

    def _failed(self, failure: Failure, where: str) -> None:
        verdict = Verdict.TIMEOUT if isinstance(failure, OutOfTime) else Verdict.CRASH
        kind = "timeout" if isinstance(failure, OutOfTime) else "crash"
        self._say(Reason(kind=kind, verdict=verdict, message=said(failure), where=where))

    def _lost(self) -> bool:
        return not self.candidate.alive

    def _say(self, reason: Reason) -> None:
        if not any((r.kind, r.quantity) == (reason.kind, reason.quantity) for r in self.reasons):
            self.reasons.append(reason)

    def _note(self, kind: str, message: str) -> None:
        if not any(note.kind == kind for note in self.notes):
            self.notes.append(Reason(kind=kind, verdict=Verdict.PASS, message=message))


def named_dtype_of(precision: Precision) -> str:
    return str(precision.dtype).removeprefix("torch.")


def _form(fact: Mapping[str, Any], truth: Truth, quantity: str, precision: Precision) -> Named | None:
    """What is wrong with an output beside its numbers."""
    if quantity not in truth.plain.outs:
        return Named("another output", f"{quantity} is returned, but the reference returns no such thing")
    if fact.get("type"):
        return Named("not a real tensor", f"{quantity} is a {fact['type']}, but should be a torch.Tensor")
    expected = truth.plain.outs[quantity]
    floats = expected.dtype.kind == "f"
    wanted = named_dtype_of(precision) if floats else str(expected.dtype)
    if fact.get("dtype") != wanted and (floats or expected.dtype.kind != "i"):
        return Named("wrong dtype", f"{quantity} is {fact.get('dtype')}, but should be {wanted}")
    return None


def _shipped(setting: Setting, seed: int) -> str:
    """The precision of the first floating input, or of the first parameter."""
    leaves, _ = named_arguments(setting.model, setting.draw(seed))
    tensors = [*leaves.values(), *setting.state.values()]
    found = next((named_dtype(t) for t in tensors if t.is_floating_point()), "float32")
    return found if found in PRECISIONS else "float32"


def _copied(source: str, problem: str, sizes: Mapping[int, int]) -> str:
    try:
        return resized_copy(source, problem, sizes)
    except SyntaxError:
        return source
