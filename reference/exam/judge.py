"""From comparisons to verdicts: what a difference means on random inputs, and what at a corner."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from scratchproof.exam.compare import (
    Comparison,
    Report,
    Result,
    Severity,
    Sight,
    Verdict,
    compare,
    same_dtype,
    wider,
)
from scratchproof.exam.exam import Exam, Seen, Trial
from scratchproof.oracle.explain import as_if
from scratchproof.oracle.kinks import subgradients
from scratchproof.oracle.tolerance import Tolerance
from scratchproof.sandbox.failures import Died, Failure, OutOfTime, Raised, said
from scratchproof.sandbox.observe import Reply
from scratchproof.subjects.subject import ContractError, Unimplemented
from scratchproof.table.expressions import WithoutHalf
from scratchproof.vjp import Answer, Array, Expression, Precision, answer, floating, from_torch

LOST = ("value", "precision", "nan", "inf", "lost")  # problems that a careless formula has
CUT_OFF = 2.0**-16  # of a loss: a small number within the logarithm costs less, a wrong formula more


class Measured(NamedTuple):
    """One quantity of a trial: what the subject gave, what torch gives, and what is allowed between them.

    quantity: "out", "loss", or "d" and the name of an input. cotangent: the index of the one pulled back.
    """

    quantity: str
    actual: Array
    expected: Array
    tolerance: Tolerance
    cotangent: int


def judge(exam: Exam, trials: Iterable[Trial], check: str, *, corner: bool = False) -> Iterator[Result]:
    """Run the subject on each trial and judge its output and each gradient, the first wrong one of its name only.

    A pass that raises is told of its first quantity: the output, or the first gradient.
    """
    for trial, reply in answered(exam, trials):
        yield from judged(exam, trial, reply, check, corner=corner)


def answered(exam: Exam, trials: Iterable[Trial]) -> Iterator[tuple[Trial, Reply]]:
    """Each trial with what became of it."""
    trials = tuple(trials)
    return zip(trials, exam.ask((trial, trial.given(), trial.given_cotangents()) for trial in trials), strict=True)


def judged(exam: Exam, trial: Trial, reply: Reply, check: str, *, corner: bool = False) -> Iterator[Result]:
    """The results for one trial."""
    if reply.outs is None:
        assert reply.failure is not None
        yield unanswered(exam, trial, check, trial.out, reply.failure, corner=corner)
        return
    broken: Result | None = None
    if reply.failure:
        first_gradient = "".join(f"d{name}" for name in floating(trial.inputs, trial.layer.constant)[:1])
        broken = unanswered(exam, trial, check, first_gradient, reply.failure, corner=corner)
    found = Answer(outs=reply.outs, grads=reply.grads)
    if broken is None and _as_begun(trial, found):
        message = "gives a loss of 0 and a gradient of zeros: it is not written yet"
        yield exam.result(check, trial, trial.out, verdict=Verdict.UNIMPLEMENTED, message=message)
        return
    declared = trial
    trial, everything = weighed(exam, trial, found)
    exam.seen.append(Seen(check, trial, found))
    if broken is None and trial is not declared and not _wrong(everything):
        yield _noted(exam, declared, trial, check)
        return
    told: set[str] = set()
    for measured, comparison in everything:
        if measured.quantity in told or (corner and exam.failed(measured.quantity)):
            continue
        result = _one(exam, trial, check, measured, comparison, corner)
        if result.message:
            told.add(measured.quantity)
        yield result
    if broken:
        yield broken


def _as_begun(trial: Trial, found: Answer) -> bool:
    """Whether a loss gives the zeros that its first lines are handed out with, where something else is due."""
    given, due = (
        (*one.outs.values(), *(g for grads in one.grads for g in grads.values())) for one in (found, trial.truth)
    )
    return trial.layer.kind == "loss" and all(one.any() for one in due) and not any(one.any() for one in given)


def quantities(trial: Trial, found: Answer) -> Iterator[Measured]:
    """Each output, then each gradient under each cotangent that was pulled back."""
    of_outs, of_grads = trial.tolerances
    for quantity, name in trial.outputs.items():
        yield Measured(quantity, found.outs[name], trial.truth.outs[name], of_outs[name], 0)
    for index, (actual, expected) in enumerate(zip(found.grads, trial.truth.grads, strict=False)):
        for name in expected:
            yield Measured(f"d{name}", actual[name], expected[name], of_grads[index][name], index)


def sight(trial: Trial) -> Sight | None:
    """How small an error in the trial's results would be told of; None where there is nothing to be wrong."""
    sizes: dict[str, float] = {}
    scales = []
    for quantity, _, expected, tolerance, cotangent in quantities(trial, trial.truth):
        there = np.isfinite(expected) & (expected != 0) if expected.dtype.kind == "f" else np.zeros(0, dtype=bool)
        if not there.any() or (quantity not in trial.outputs and is_zero(expected, trial.truth.grads[cotangent])):
            continue
        room = np.sort(tolerance.allowed[there] / np.abs(expected[there]))
        sizes[quantity] = max(sizes.get(quantity, 0.0), float(room[len(room) // 2]))
        scales.append(tolerance.scale)
    if not sizes:
        return None
    worst = max(sizes, key=sizes.__getitem__)
    return Sight(quantity=worst, element=sizes[worst], scale=max(scales))


ROUNDING = 1024  # so many units in the last place of the others' largest element, a gradient is zero


def is_zero(expected: Array, others: Mapping[str, Array]) -> bool:
    """Whether a gradient is nothing but the rounding of others."""
    largest = max((np.abs(other).max(initial=0.0) for other in others.values()), default=0.0)
    return bool(np.abs(expected).max(initial=0.0) <= ROUNDING * np.finfo(np.float64).eps * largest)


def verdict_of(
    exam: Exam,
    trial: Trial,
    check: str,
    quantity: str,
    comparison: Comparison,
    *,
    corner: bool = False,
    cause: str = "",
) -> Result:
    """What a comparison means. At a corner a wrong number or a nan fails; what merely overflows is suspect."""
    verdict, severity = (CORNER if corner else RANDOM)[comparison.problem]
    return exam.result(
        check,
        trial,
        quantity,
        verdict=verdict,
        severity=severity,
        message=comparison.message,
        cause=cause,
        error=comparison.error,
        allowed=comparison.allowed,
        headroom=comparison.headroom,
        grid=comparison.grid,
    )


RANDOM: dict[str | None, tuple[Verdict, Severity | None]] = {
    None: (Verdict.PASS, None),
    "shape": (Verdict.FAIL, Severity.SHAPE),
    "value": (Verdict.FAIL, Severity.VALUE),
    "nan": (Verdict.FAIL, Severity.VALUE),
    "inf": (Verdict.FAIL, Severity.VALUE),
    "lost": (Verdict.FAIL, Severity.VALUE),
    "precision": (Verdict.SUSPECT, Severity.PRECISION),
    "dtype": (Verdict.SUSPECT, Severity.PRECISION),
    "wider": (Verdict.PASS, Severity.PRECISION),
    "unmodelled": (Verdict.SUSPECT, Severity.PRECISION),
}
CORNER: dict[str | None, tuple[Verdict, Severity | None]] = {
    **RANDOM,
    "value": (Verdict.FAIL, Severity.EDGE),
    "nan": (Verdict.FAIL, Severity.EDGE),
    "inf": (Verdict.SUSPECT, Severity.EDGE),
    "lost": (Verdict.SUSPECT, Severity.EDGE),
}


def unanswered(
    exam: Exam, trial: Trial, check: str, quantity: str, error: Failure | ContractError, *, corner: bool = False
) -> Result:
    """The verdict on a call that gave nothing to judge."""
    if isinstance(error, Unimplemented):
        return exam.result(check, trial, quantity, verdict=Verdict.UNIMPLEMENTED, message=f"{error}")
    if isinstance(error, ContractError):
        may_refuse = _may_refuse(trial)
        verdict, severity = (Verdict.PASS, Severity.EDGE) if may_refuse else (Verdict.FAIL, Severity.SHAPE)
        return exam.result(check, trial, quantity, verdict=verdict, severity=severity, message=f"{error}")
    verdict, severity = Verdict.CRASH, Severity.CRASH
    if isinstance(error, OutOfTime):
        verdict = Verdict.TIMEOUT
    elif isinstance(error, Raised) and _may_refuse(trial):
        verdict, severity = Verdict.PASS, Severity.EDGE
    elif corner and not isinstance(error, Died):
        verdict = Verdict.FAIL
    way = "forward" if quantity in trial.outputs else "backward"
    message = f"{way} {said(error)}"
    return exam.result(check, trial, quantity, verdict=verdict, severity=severity, message=message)


def _may_refuse(trial: Trial) -> bool:
    """Whether a reasonable author may not take these inputs: no rows, nan and infinities, sizes with leftovers."""
    return trial.corner.empty or trial.corner.nonfinite or trial.leftovers


def _one(exam: Exam, trial: Trial, check: str, measured: Measured, comparison: Comparison, corner: bool) -> Result:
    quantity, actual, expected, _, _ = measured
    gradient = quantity not in trial.outputs
    if gradient and trial.corner.nonfinite:
        return _not_swallowed(exam, trial, check, measured)
    if comparison.problem and (trial.corner.nonfinite or trial.corner.empty):
        return exam.result(check, trial, quantity, severity=Severity.EDGE, message=comparison.message)
    rounded = expected.dtype.kind == "f"
    if comparison.problem is None and rounded and not corner and (wrong := same_dtype(actual, exam.precision)):
        problem = "wider" if wider(actual, exam.precision) else "dtype"
        comparison = replace(comparison, problem=problem, message=wrong)
    if comparison.problem == "value" and corner and gradient and exam.layer.kink:
        convention = _convention(exam, trial, check, measured, comparison)
        if convention:
            return convention
    cause = _careless(trial, measured) if comparison.problem in LOST else ""
    if not cause and comparison.problem in ("precision", "value"):
        cause = _as_if(trial, measured, comparison)
    if cause:
        comparison = replace(comparison, problem="precision")
    return verdict_of(exam, trial, check, quantity, comparison, corner=corner, cause=cause)


def _as_if(trial: Trial, measured: Measured, comparison: Comparison) -> str:
    """The coarser arithmetic that would explain a lack of precision.

    A format too short to sum in errs so much if it is done all the same that it may look like a wrong value.
    """
    if comparison.problem == "value" and trial.precision.accumulate == trial.precision.unit:
        return ""

    def derive(coarse: Precision) -> Tolerance | None:
        of_coarse = quantities(replace(trial, precision=coarse), trial.truth)
        return next((m.tolerance for m in of_coarse if m[::4] == measured[::4]), None)

    return as_if(measured.actual.astype(np.float64), measured.expected, trial.precision, derive)


def _careless(trial: Trial, measured: Measured) -> str:
    """The formula, right on paper, that gives what was given: in the precision under test, to its own rounding."""
    for sentence, expression in trial.layer.careless.items():
        if (key := f"as a formula: {sentence}") not in trial.mistaken:
            trial.mistaken[key] = _by_formula(trial, expression)
        other, made = trial.mistaken[key]
        given = trial.pick(made, measured.quantity, measured.cotangent).astype(np.float64)
        allowed = 2 * other.tolerance(measured.quantity, measured.cotangent).allowed
        if given.shape == measured.actual.shape and _same(measured.actual.astype(np.float64), given, allowed):
            return sentence
    return ""


def _by_formula(trial: Trial, expression: Expression) -> tuple[Trial, Answer]:
    """The trial with another formula, and what that gives."""
    due = trial.layer.torch
    formula = WithoutHalf(expression) if isinstance(due, WithoutHalf) else expression
    how: dict[str, Any] = {"constant": trial.layer.constant, "options": trial.case.options}
    made = answer(from_torch(formula, trial.precision, **how), trial.inputs, trial.cotangents)
    return replace(trial, layer=replace(trial.layer, torch=formula)), made


def _same(a: Array, b: Array, allowed: Array) -> bool:
    """Whether two arrays are finite at the same places, and there within what is allowed."""
    with np.errstate(invalid="ignore"):
        near = ~np.isfinite(a) | (np.abs(a - b) <= allowed)
    return bool((near & (np.isfinite(a) == np.isfinite(b))).all())


def _compared(exam: Exam, trial: Trial, measured: Measured) -> Comparison:
    """How a quantity compares with the truth; what a cut-off logarithm lacks is lost precision."""
    comparison = compare(measured.actual, measured.expected, measured.tolerance, exam.precision)
    if comparison.problem == "value" and _cut_off(trial, measured):
        return replace(comparison, problem="precision", message=f"{comparison.message}: the logarithm is cut off")
    return comparison


def _cut_off(trial: Trial, measured: Measured) -> bool:
    """Whether a loss is too small as log(p + 1e-8), or of a p that is clipped, makes it: much where exp overflows."""
    if not trial.out == "loss" == measured.quantity:
        return False
    lost = measured.expected - measured.actual
    most = measured.expected * (1.0 if trial.corner.overflows else CUT_OFF)
    return bool((measured.actual >= 0).all() and (lost > 0).all() and (lost <= most).all())


def _not_swallowed(exam: Exam, trial: Trial, check: str, measured: Measured) -> Result:
    """Gradients at nan are nobody's definition; that what must be nan or infinite looks healthy is noted."""
    quantity, actual, expected, _, _ = measured
    if actual.shape == expected.shape and not (~np.isfinite(expected) & np.isfinite(actual)).any():
        return exam.result(check, trial, quantity)
    message = "is finite where the nan or the infinity of the input must show"
    return exam.result(check, trial, quantity, severity=Severity.EDGE, message=message)


Weighed: TypeAlias = Sequence[tuple[Measured, Comparison]]


def weighed(exam: Exam, trial: Trial, found: Answer) -> tuple[Trial, Weighed]:
    """An answer's quantities with how they compare, in the trial by whose convention most of them are right.

    That is the trial itself if no other's does better.
    """

    def by(one: Trial) -> tuple[Trial, Weighed]:
        return one, [(measured, _compared(exam, one, measured)) for measured in quantities(one, found)]

    declared = by(trial)
    if not trial.layer.conventions or not _wrong(declared[1]):
        return declared
    return min([declared, *map(by, trial.others)], key=lambda one: _wrong(one[1]))


def _noted(exam: Exam, trial: Trial, other: Trial, check: str) -> Result:
    """A note: another right convention, and not the declared one, explains output and gradients."""
    (sentence,) = (told for told, e in trial.layer.conventions.items() if e is other.layer.torch)
    message = f"another convention: {sentence}"
    return exam.result(check, trial, trial.out, severity=Severity.CONVENTION, message=message)


def _wrong(found: Weighed) -> int:
    """How many quantities of an answer are wrong."""
    return sum(comparison.problem is not None for _, comparison in found)


def strictly(report: Report) -> Report:
    """The same with every note raised to SUSPECT: for a library's own tests."""
    results = tuple(
        replace(r, verdict=Verdict.SUSPECT) if r.verdict is Verdict.PASS and r.message and r.severity else r
        for r in report.results
    )
    verdict = max((r.verdict for r in results), key=lambda v: v.gravity, default=report.verdict)
    return replace(report, results=results, verdict=verdict)


def _convention(exam: Exam, trial: Trial, check: str, measured: Measured, comparison: Comparison) -> Result | None:
    """A note if the gradient is another valid choice at the kink than the declared one."""
    quantity, actual, _, tolerance, cotangent = measured
    valid = subgradients(trial.layer, trial.case, trial.inputs, quantity[1:], trial.cotangents[cotangent])
    if not valid.hold(actual.astype(np.float64), tolerance.allowed):
        return None
    message = f"{comparison.message}: another valid convention at the kink; declared is {exam.layer.kink}"
    return exam.result(check, trial, quantity, severity=Severity.CONVENTION, message=message)
