"""The checks: plain functions from an exam to its results. A new check is a function here and a line in CHECKS.

Each has planted bugs that it must catch (tests/reference/test_checks.py). `examine` runs them all for one layer.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from scratchproof.exam.arbiters import check_central_differences, check_complex_step
from scratchproof.exam.beyond import REMEMBERED, check_memory, check_orders, check_shapes
from scratchproof.exam.causes.explain import explained
from scratchproof.exam.causes.reproduce import reproduced
from scratchproof.exam.compare import Report, Result, Severity, Verdict, compare
from scratchproof.exam.exam import EFFORTS, Exam, Papers, Trial
from scratchproof.exam.judge import is_zero, judge, quantities, sight, unanswered
from scratchproof.exam.nets import (
    check_dropout,
    check_drops,
    check_kept,
    check_repeatable,
    check_rows,
    check_scores,
    check_start,
)
from scratchproof.exam.refusals import check_errors
from scratchproof.oracle.tolerance import COARSE_UNIT
from scratchproof.sandbox.failures import Died, Failure, OutOfTime, guarded, said, telling
from scratchproof.subjects.subject import ContractError, Subject, Unimplemented, Unsupported
from scratchproof.table.layers import Layer
from scratchproof.vjp import PRECISIONS, Array, Gradients, Outputs, Precision, answer

Check = Callable[[Exam], Iterator[Result]]
LAST = (Verdict.CRASH, Verdict.TIMEOUT, Verdict.UNIMPLEMENTED)  # after these there is nothing to put to further checks


def examine(
    subject: Subject,
    layer: Layer,
    precision: str,
    *,
    seed: int = 0,
    device: str = "cpu",
    effort: str = "normal",
    papers: Papers | None = None,
) -> Report:
    """Put one layer of the subject to every check in one precision ("float64", "float32", ...).

    device: where the float64 oracle runs. The same seed gives the same inputs, cotangents and disturbances.
    effort: quick | normal | thorough.
    papers: a dictionary in which truths and tolerances are kept for the next subject of the same layer, if given.
    """
    exam = Exam(
        subject=subject, layer=layer, precision=PRECISIONS[precision], seed=seed, device=device, effort=EFFORTS[effort]
    )
    exam.papers = exam.papers if papers is None else papers
    began = time.perf_counter()
    return replace(_sat(exam), seconds=time.perf_counter() - began)


def _sat(exam: Exam) -> Report:
    subject, layer, precision = exam.subject, exam.layer, exam.precision.name
    try:
        if guarded(subject.function, layer, layer.cases[0], exam.precision) is None:
            return Report(layer=layer.name, precision=precision, verdict=Verdict.MISSING, results=())
    except Unsupported:
        pass  # for the checks to tell
    except Failure as failure:
        exam.results.append(unanswered(exam, exam.trials[0], "values", exam.trials[0].out, failure))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a stranger's overflow is judged by its result
        for check in ASKED.get(layer.kind, CHECKS):
            if any(r.verdict in LAST for r in exam.results):
                break
            exam.results.extend(run_check(exam, check))
        exam.results = explained(exam)
        exam.results = reproduced(exam)
    verdict = max((r.verdict for r in exam.results), key=lambda v: v.gravity)
    seen = sight(exam.trials[0]) if verdict is Verdict.PASS and exam.trials[0].derived else None
    return Report(layer=layer.name, precision=precision, verdict=verdict, results=tuple(exam.results), sight=seen)


def run_check(exam: Exam, check: Check) -> list[Result]:
    """What a check finds. Whatever the subject does meanwhile, and whatever it returned, ends in a result."""
    found: list[Result] = []
    fields: dict[str, Any] = {"verdict": Verdict.FAIL, "severity": Severity.CRASH}
    try:
        found.extend(check(exam))
        if not found and check in TELL_ONLY_FAULTS:
            found = [exam.result(name_of(check), exam.trials[0], "")]
        return found
    except ContractError as error:
        if any(r.verdict in (Verdict.FAIL, Verdict.UNIMPLEMENTED) for r in exam.results):
            return found  # check_values has told of it; there is nothing to put to further checks
        fields |= {"severity": Severity.SHAPE, "message": f"{error}"}
        if isinstance(error, Unimplemented):
            fields |= {"verdict": Verdict.UNIMPLEMENTED, "severity": None}
    except Failure as failure:
        verdict = {OutOfTime: Verdict.TIMEOUT, Died: Verdict.CRASH}.get(type(failure), Verdict.FAIL)
        fields |= {"verdict": verdict, "message": said(failure)}
    except Exception as error:
        fields |= {"verdict": Verdict.CRASH, "message": f"what it returned cannot be examined: {telling(error)}"}
    return [*found, exam.result(name_of(check), exam.trials[0], "", **fields)]


def name_of(check: Check) -> str:
    """What its results say where they come from."""
    return check.__name__.removeprefix("check_").replace("_", " ")


def names(layer: Layer) -> list[str]:
    """The names of all checks that a layer is put to."""
    return [name_of(check) for check in ASKED.get(layer.kind, CHECKS)]


def check_values(exam: Exam) -> Iterator[Result]:
    """Output and every gradient against torch float64, under two random signed cotangents each."""
    yield from judge(exam, exam.trials, "values")


def check_controls(exam: Exam) -> Iterator[Result]:
    """Negative controls: zeros, a permuted, a sign-flipped and a slightly scaled copy of the truth must be refused.

    If the comparison lets one pass, a PASS of this layer would mean nothing: VACUOUS. In a format of two or three
    digits rounding alone may hide one quantity of a whole net; while others can be judged, that is noted. Of a
    quantity that is zero but for rounding, as the bias before a batch norm has its gradient, nothing is asked.
    """
    trial = exam.trials[0]
    hidden: dict[str, str] = {}
    judged = set()
    for quantity, _, expected, tolerance, cotangent in quantities(trial, trial.truth):
        if expected.dtype.kind != "f":
            continue  # compared exactly: there is no tolerance to be too wide
        if quantity not in trial.outputs and is_zero(expected, trial.truth.grads[cotangent]):
            continue
        passed = [
            name
            for name, control in _controls(exam, expected)
            if compare(control, expected, tolerance, exam.precision).problem is None
        ]
        judged.add(quantity)
        if passed and expected.size:
            hidden[quantity] = f"the tolerance is so wide that the truth {' and '.join(passed)} passes"
    coarse = exam.precision.unit > COARSE_UNIT and len(hidden) < len(judged)
    for quantity, message in hidden.items():
        verdict, severity = (Verdict.PASS, Severity.PRECISION) if coarse else (Verdict.VACUOUS, None)
        yield exam.result("controls", trial, quantity, verdict=verdict, severity=severity, message=message)


def check_corners(exam: Exam) -> Iterator[Result]:
    """Zeros, ties, exact margins, huge, tiny, nan and infinite values; one row and none."""
    yield from judge(exam, exam.corner_trials(), "corners", corner=True)


def check_unwritten(exam: Exam) -> Iterator[Result]:
    """Inputs, cotangents and caches are the same after both passes as before."""
    trial = exam.trials[0]
    seen = exam.observed
    for way, written in {"forward": seen.written, "backward": seen.written_back}.items():
        for name in written:
            yield exam.result(
                "unwritten",
                trial,
                name,
                verdict=Verdict.FAIL,
                severity=Severity.VALUE,
                message=f"{way} wrote to the array it was given",
                cause=f"{name} overwritten: whoever uses it next, the cache included, reads something else",
            )
    if seen.cache:
        yield exam.result(
            "unwritten",
            trial,
            "cache",
            verdict=Verdict.FAIL,
            severity=Severity.VALUE,
            message="backward overwrote the cache that forward returned",
            cause="cache overwritten: a second backward pass would start from other values",
        )


def check_aliases(exam: Exam) -> Iterator[Result]:
    """No output shares memory with an input or with another output: writing to one would change the other."""
    trial = exam.trials[0]
    called = {name: quantity for quantity, name in trial.outputs.items()}
    for name, other in exam.observed.shared:
        message = f"shares its memory with {called.get(other, other)}: writing to one changes the other"
        yield exam.result(
            "aliases",
            trial,
            called.get(name, name),
            verdict=Verdict.SUSPECT,
            severity=Severity.EDGE,
            message=message,
        )


def check_linear(exam: Exam) -> Iterator[Result]:
    """The pullback is linear: zero for zero, so many times for so many times, and the sum for a sum of cotangents.

    Far larger and far smaller ones show what is clipped, and what is taken for zero.
    """
    trial = exam.trials[0]
    if not trial.cotangents:
        return
    _, of_grads = trial.tolerances
    probes = {what: (*of, *_mixed(trial, *of)) for what, of in _probes(exam.precision).items()}
    douts = [*trial.given_cotangents(), *(mixed for *_, mixed, _ in probes.values())]
    (reply,) = exam.ask([(trial, trial.given(), douts)])
    of_u, of_v, *of_probes = reply.answer.grads
    for (what, (a, b, _, lost)), found in zip(probes.items(), of_probes, strict=True):
        for name, of_first in of_grads[0].items():
            if exam.failed(f"d{name}"):
                continue
            if {found[name].shape, of_u[name].shape, of_v[name].shape} != {of_first.allowed.shape}:
                yield _reshaped(exam, trial, name)
                return
            expected = a * of_u[name].astype(np.float64) + b * of_v[name].astype(np.float64) + lost[name]
            allowed = 2 * (abs(a) * of_first.allowed + abs(b) * of_grads[1][name].allowed)
            if (np.abs(found[name] - expected) > allowed).any():
                message = f"is not linear in the cotangent: wrong for {what}"
                yield exam.result(
                    "linear", trial, f"d{name}", verdict=Verdict.FAIL, severity=Severity.VALUE, message=message
                )


def _reshaped(exam: Exam, trial: Trial, name: str) -> Result:
    message = "has another shape when it is called once more"
    fields = {"severity": Severity.SHAPE, "message": message, "cause": REMEMBERED["at call"]}
    return exam.result("linear", trial, f"d{name}", verdict=Verdict.FAIL, **fields)


def _probes(precision: Precision) -> dict[str, tuple[float, float]]:
    # Powers of two are exact but where a format has a short range: there what is small loses its digits.
    powers = (40, -40) if precision.largest > 2.0**80 else (5,)
    asked = {"the zero cotangent": (0.0, 0.0), "-2 times a cotangent": (-2.0, 0.0), "a sum of cotangents": (1.0, 1.0)}
    return asked | {f"2**{k} times a cotangent": (2.0**k, 0.0) for k in powers}


def _mixed(trial: Trial, a: float, b: float) -> tuple[Outputs, Gradients]:
    """The cotangent a u + b v as the format holds it, and the gradients of what was lost in rounding it."""
    u, v = trial.cotangents
    exact = {name: a * u[name] + b * v[name] for name in u}
    held = trial.precision.rounded(exact)
    rest = {name: held[name] - exact[name] for name in u}
    if not any(value.any() for value in rest.values()):
        return replace(trial, inputs=held).given(), {name: np.zeros(()) for name in trial.truth.grads[0]}
    return replace(trial, inputs=held).given(), answer(trial.oracle, trial.inputs, [rest]).grads[0]


def _controls(exam: Exam, truth: Array) -> Iterator[tuple[str, Array]]:
    """Copies of the truth that are wrong, each with how it was spoiled.

    "Slightly" is a thousandth in float32 and float64; a format of two or three digits can only be asked to see more
    (in bfloat16, a doubling), nor to tell elements apart that lie closer together than that.
    """
    slight = max(1e-3, 256 * exam.precision.unit)
    yield "replaced by zeros", np.zeros_like(truth)
    yield "with its sign flipped", -truth
    yield f"scaled by {1 + slight:.4g}", truth * (1 + slight)
    # The largest where the smallest is due, and so on.
    order, flat = np.argsort(truth, axis=None), truth.ravel()
    permuted = np.empty_like(truth)
    permuted.flat[order] = flat[order[::-1]]
    if np.abs(permuted - truth).max() > slight * np.abs(truth).max():
        yield "with its elements permuted", permuted


CHECKS: tuple[Check, ...] = (
    check_values,
    check_controls,
    check_scores,
    check_rows,
    check_unwritten,
    check_central_differences,
    check_complex_step,
    check_corners,
    check_aliases,
    check_linear,
    check_repeatable,
    check_errors,
    check_memory,
    check_orders,
    check_shapes,
)

# What is random can only be asked by statistics.
ASKED: dict[str, tuple[Check, ...]] = {
    "start": (check_start, check_errors),
    "dropout": (check_scores, check_dropout, check_errors),
}
ASKED |= {"drawn": (*CHECKS, check_kept), "seeded": (check_scores, check_drops, check_central_differences)}

# These yield nothing where all is well; that they ran is recorded for them.
TELL_ONLY_FAULTS: tuple[Check, ...] = (
    *(check_controls, check_rows, check_drops, check_unwritten, check_aliases, check_linear, check_repeatable),
    *(check_memory, check_orders),
)
