"""From what came back to reasons: the form of an output, what a call did beside computing, and how numbers compare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchproof.exam.compare import Verdict, compare
from scratchproof.judging.judgement import Reason
from scratchproof.judging.naming import CONTROLS, Evidence, Named, name
from scratchproof.judging.truth import WIDENED, Truth
from scratchproof.kernels.candidate import Called
from scratchproof.oracle.explain import effective_bits
from scratchproof.vjp import Array, Precision

AGREES = (None, "unmodelled")
STATISTICS = "running statistics"
ROUGH = 6.0  # bits that are right of what is hard: more is no wrong formula
ANYWHERE = ("reads unwritten memory", "stale output", "not finite")  # called so wherever they are seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One quantity: what is wrong with it, if anything, and its largest error as a share of what is allowed."""

    reason: Reason | None
    share: float


def marked(truth: Truth, quantity: str, actual: Array, earlier: Mapping[str, Truth]) -> Marked:
    """Compare one output or gradient, and name what is wrong."""
    if truth.is_torchs(quantity, actual):
        return Marked(reason=None, share=1 / WIDENED)  # or less: twice torch's own error is allowed wherever it is made
    ask, expected, tolerance = truth.ask, truth.expected[quantity], truth.allowed[quantity]
    if expected.dtype.kind != "f" and actual.shape == expected.shape:
        free = np.ones(expected.shape, bool) if ask.ties else truth.undecided[quantity]
        actual = np.where(free, expected, actual)
    comparison = compare(actual, expected, tolerance, truth.precision)
    if comparison.problem not in AGREES and (of := quantity.removeprefix("d")) in ask.inputs and of != quantity:
        actual = np.where(truth.always_zero(of), expected, actual) if actual.shape == expected.shape else actual
        comparison = compare(actual, expected, tolerance, truth.precision)
    if comparison.problem in AGREES:
        return Marked(reason=None, share=1 / comparison.headroom if comparison.headroom else 0.0)
    evidence = Evidence(
        actual=actual,
        expected=expected,
        tolerance=tolerance,
        precision=truth.allow,
        comparison=comparison,
        inputs=ask.inputs,
        earlier={n: t.expected[quantity] for n, t in earlier.items() if quantity in t.expected},
        gradient=quantity not in truth.plain.outs,
        derive=lambda coarse: truth.under(coarse)[quantity],
    )
    named = name(evidence)
    rough = truth.hard and effective_bits(np.nan_to_num(actual - expected, posinf=0, neginf=0), expected) >= ROUGH
    mild = rough or named.kind in ("downgrade", "less accurate")
    told = "; ".join(part for part in (named.clause, f"{quantity} {comparison.message}") if part)
    kind = named.kind
    if ask.instead and not mild and kind not in ANYWHERE:
        kind, told = ask.instead, f"{told}; on what the problem ships it is right"
    verdict = Verdict.FAIL if not mild else Verdict.PASS if truth.hard else Verdict.SUSPECT
    kind = f"{kind} {ask.name}" if verdict is Verdict.PASS else kind
    reason = Reason(kind=kind, message=told, verdict=verdict, where=ask.name, quantity=quantity)
    return Marked(reason=reason, share=float("inf"))


def formal(called: Called, truth: Truth) -> Iterator[Reason]:
    """What is wrong with outputs beside their numbers."""
    ask = truth.ask
    for quantity in truth.plain.outs:
        if quantity not in called.facts:
            yield Reason(kind="missing output", message=f"{quantity} is missing", where=ask.name, quantity=quantity)
    for quantity, fact in called.facts.items():
        for kind, message in _form(fact, truth, quantity):
            yield Reason(kind=kind, message=f"{quantity} {message}", where=ask.name, quantity=quantity)


def _form(fact: Mapping[str, Any], truth: Truth, quantity: str) -> Iterator[Named]:
    if quantity not in truth.plain.outs:
        yield Named("another output", "is returned, but the reference returns no such thing")
        return
    if fact.get("type"):
        yield Named("not a real tensor", f"is of type {fact['type']}, but should be a torch.Tensor")
        return
    expected, dtype = truth.plain.outs[quantity], str(fact.get("dtype"))
    wanted = str(truth.precision.dtype).removeprefix("torch.") if expected.dtype.kind == "f" else str(expected.dtype)
    if dtype != wanted and not (expected.dtype.kind == "i" and dtype.startswith("int")):
        yield Named("wrong dtype", f"is {dtype}, but should be {wanted}")
    if fact.get("layout") != "torch.strided":
        yield Named("not a real tensor", f"has layout {fact.get('layout')}, but should be strided")
    shared = [str(other) for other in fact.get("shared") or ()]
    if others := [other for other in shared if other not in truth.shared]:
        yield Named("shares storage", f"lies in the same memory as {', '.join(others[:3])}")


def conduct(called: Called, truth: Truth) -> Iterator[Reason]:
    """What a call did beside computing."""
    where = truth.ask.name
    if written := [name for name in called.changed if name not in truth.written]:
        yield Reason(kind="writes an input", message=f"it wrote to {', '.join(written)}", where=where)
    if called.patched:
        message = f"it replaced {', '.join(called.patched)}: nothing that judges it runs there"
        yield Reason(kind="patches torch", verdict=Verdict.SUSPECT, message=message, where=where)
    if called.threads:
        message = f"threads of its own run on after the call: {', '.join(called.threads)}"
        yield Reason(kind="threads left", verdict=Verdict.SUSPECT, message=message, where=where)


def statistics(truth: Truth, held: Mapping[str, Array]) -> Iterator[Reason]:
    """What is wrong with the buffers that the reference changes in a call, such as running statistics."""
    right, allowed = truth.kept
    for buffer, expected in right.outs.items():
        if buffer not in held or np.array_equal(held[buffer], truth.ask.state[buffer]):
            message = f"the reference changes {buffer} in a call, it does not"
            yield Reason(kind=STATISTICS, verdict=Verdict.PASS, message=message)
            continue
        comparison = compare(held[buffer], expected, allowed[buffer], truth.precision)
        if comparison.problem not in AGREES:
            told, where = f"{buffer} {comparison.message}", truth.ask.name
            yield Reason(kind=STATISTICS, verdict=Verdict.SUSPECT, message=told, where=where, quantity=buffer)


def survivors(truth: Truth, earlier: Mapping[str, Truth]) -> set[tuple[str, str]]:
    """Which wrong answers would pass here, by output."""
    passed: set[tuple[str, str]] = set()
    for quantity, expected in truth.plain.outs.items():
        others = [t.expected[quantity] for t in earlier.values() if t is not truth and quantity in t.expected]
        others = [other for other in others if other.shape == expected.shape]
        for control in CONTROLS if expected.size else ():
            wrong = control.make(expected, truth.ask.inputs, others, truth.allow)
            if wrong is not None and _agrees(truth, quantity, wrong, truth.precision):
                passed.add((control.name, quantity))
    return passed


def _agrees(truth: Truth, quantity: str, wrong: Array, precision: Precision) -> bool:
    return compare(wrong, truth.expected[quantity], truth.allowed[quantity], precision).problem in AGREES
