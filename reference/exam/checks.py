"""The checks: plain functions from an exam to its results. A new check is a function here and a line in CHECKS.

Each has planted bugs that it must catch (tests/reference/test_checks.py). `examine` runs them all for one layer.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scratchproof.exam.arbiters import ARBITERS
from scratchproof.exam.beyond import check_memory, check_orders, check_shapes
from scratchproof.exam.causes.explain import explained
from scratchproof.exam.compare import Result, Severity, Verdict, compare
from scratchproof.exam.exam import EFFORTS, Exam, Papers, Report, Trial
from scratchproof.exam.judge import judge, quantities, unanswered, verdict_of
from scratchproof.exam.random import check_dropout, check_kept, check_repeatable, check_start
from scratchproof.exam.refusals import check_errors
from scratchproof.oracle.tolerance import COARSE_UNIT
from scratchproof.sandbox.failures import Died, Failure, OutOfTime, Raised, guarded, said, telling
from scratchproof.subjects.subject import ContractError, Subject, Unsupported
from scratchproof.table.layers import Layer
from scratchproof.vjp import PRECISIONS, Array, Gradients, Outputs, answer, floating

Check = Callable[[Exam], Iterator[Result]]


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
            if any(r.verdict in (Verdict.CRASH, Verdict.TIMEOUT) for r in exam.results):
                break
            exam.results.extend(run_check(exam, check))
        exam.results = explained(exam)
    verdict = max((r.verdict for r in exam.results), key=lambda v: v.gravity)
    return Report(layer=layer.name, precision=precision, verdict=verdict, results=tuple(exam.results))


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
    for trial in exam.trials:
        yield from judge(exam, trial, "values")


def check_controls(exam: Exam) -> Iterator[Result]:
    """Negative controls: zeros, a permuted, a sign-flipped and a slightly scaled copy of the truth must be refused.

    If the comparison lets one pass, a PASS of this layer would mean nothing: VACUOUS. In a format of two or three
    digits rounding alone may hide one quantity of a whole net; while others can be judged, that is noted.
    """
    trial = exam.trials[0]
    hidden: dict[str, str] = {}
    judged = set()
    for quantity, _, expected, tolerance, _ in quantities(trial, trial.truth):
        if expected.dtype.kind != "f":
            continue  # compared exactly: there is no tolerance to be too wide
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


def check_scores(exam: Exam) -> Iterator[Result]:
    """A net without labels is in test mode: loss(X) gives class scores."""
    for trial, with_labels in zip(exam.scores_trials(), exam.trials, strict=False):
        try:
            function = guarded(exam.subject.scores, exam.layer, with_labels.case, exam.precision)
            if function is None:
                return
            found, _ = guarded(function, **trial.given())
        except (Raised, ContractError) as error:
            told = said(error) if isinstance(error, Raised) else f"{error}"
            message = f"loss(X) without labels {told}; test mode must return the class scores"
            yield exam.result("scores", trial, "scores", verdict=Verdict.FAIL, severity=Severity.CRASH, message=message)
            continue
        comparison = compare(found, trial.truth.out, trial.tolerance(trial.out), exam.precision)
        yield verdict_of(exam, trial, "scores", "scores", comparison)


def check_central_differences(exam: Exam) -> Iterator[Result]:
    """Every gradient against central differences of the subject's own forward pass: an arbiter without torch."""
    if exam.precision.name != "float64":
        return
    for trial in exam.answered:
        for name in floating(trial.inputs, exam.layer.constant):
            yield from _slope(exam, trial, name, "central differences")


def check_complex_step(exam: Exam) -> Iterator[Result]:
    """Likewise against complex step, exact to rounding, where the forward pass is analytic and takes complex input."""
    if exam.precision.name != "float64" or not exam.layer.analytic:
        return
    for trial in exam.answered:
        for name in floating(trial.inputs, exam.layer.constant):
            yield from _slope(exam, trial, name, "complex step")


def check_corners(exam: Exam) -> Iterator[Result]:
    """Zeros, ties, exact margins, huge, tiny, nan and infinite values; one row and none."""
    for trial in exam.corner_trials():
        yield from judge(exam, trial, "corners", corner=True)


def check_unwritten(exam: Exam) -> Iterator[Result]:
    """Inputs, cotangents and caches are the same after both passes as before."""
    trial = exam.trials[0]
    seen = exam.observed(trial)
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
    for name, other in exam.observed(trial).shared:
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
    """The pullback is linear: zero for zero, -2 times for -2 times, and the sum for a sum of cotangents."""
    trial = exam.trials[0]
    if not trial.cotangents:
        return
    _, of_grads = trial.tolerances
    _, pullback = exam.function(trial)(**trial.given())
    of_u, of_v = (pullback(_copied(dout)) for dout in trial.given_cotangents())
    for what, (a, b) in PROBES.items():
        mixed, lost = _mixed(trial, a, b)
        found = pullback(mixed)
        for name, of_first in of_grads[0].items():
            if exam.failed(f"d{name}") or found[name].shape != of_u[name].shape:
                continue
            expected = a * of_u[name].astype(np.float64) + b * of_v[name].astype(np.float64) + lost[name]
            allowed = 2 * (abs(a) * of_first.allowed + abs(b) * of_grads[1][name].allowed)
            if (np.abs(found[name] - expected) > allowed).any():
                message = f"is not linear in the cotangent: wrong for {what}"
                yield exam.result(
                    "linear", trial, f"d{name}", verdict=Verdict.FAIL, severity=Severity.VALUE, message=message
                )


PROBES = {"the zero cotangent": (0, 0), "-2 times a cotangent": (-2, 0), "a sum of cotangents": (1, 1)}


def _mixed(trial: Trial, a: int, b: int) -> tuple[Outputs, Gradients]:
    """The cotangent a u + b v as the format holds it, and the gradients of what was lost in rounding it."""
    u, v = trial.cotangents
    exact = {name: a * u[name] + b * v[name] for name in u}
    held = trial.precision.rounded(exact)
    lost = answer(trial.oracle, trial.inputs, [{name: held[name] - exact[name] for name in u}]).grads[0]
    return replace(trial, inputs=held).given(), lost


def _slope(exam: Exam, trial: Trial, name: str, rule: str) -> Iterator[Result]:
    """Compare <gradient, v> for a random direction v with the slope of the subject's forward pass along v."""
    if not trial.cotangents:
        return
    function = exam.function(trial)
    _, pullback = function(**trial.given())
    gradient = pullback(trial.given_cotangents()[0])[name]
    if gradient.shape != trial.inputs[name].shape:
        return
    direction = exam.rng(f"{rule}/{name}").standard_normal(gradient.shape)
    measured = ARBITERS[rule](function, trial, name, direction)
    if measured is None:
        return
    slope, allowed = measured
    of_torch = float((trial.truth.grads[0][name] * direction).sum())
    own = float((gradient * direction).sum())
    numbers: dict[str, Any] = {"error": abs(own - slope), "allowed": allowed}
    numbers["headroom"] = allowed / numbers["error"] if numbers["error"] else float("inf")
    if abs(own - slope) <= allowed:
        doubtful = (
            exam.failed(f"d{name}", trial.name)
            and not any(exam.failed(quantity, trial.name) for quantity in trial.outputs)
            and abs(of_torch - slope) > allowed
        )
        message = f"{rule} of the forward pass side with this gradient against torch autograd" if doubtful else ""
        yield exam.result(rule, trial, f"d{name}", message=message, **numbers)
        return
    sides = "as torch autograd does" if abs(of_torch - slope) <= allowed else f"torch autograd {of_torch:.6g}"
    message = f"along a random direction is {own:.6g}; {rule} of its own forward pass give {slope:.6g}, {sides}"
    yield exam.result(
        rule, trial, f"d{name}", verdict=Verdict.FAIL, severity=Severity.VALUE, message=message, **numbers
    )


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


def _copied(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.copy() for name, array in arrays.items()}


CHECKS: tuple[Check, ...] = (
    check_values,
    check_controls,
    check_scores,
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
ASKED: dict[str, tuple[Check, ...]] = {"start": (check_start,), "dropout": (check_scores, check_dropout)}
ASKED |= {"drawn": (*CHECKS, check_kept), "seeded": (check_scores, check_central_differences)}

# These yield nothing where all is well; that they ran is recorded for them.
TELL_ONLY_FAULTS: tuple[Check, ...] = (
    *(check_controls, check_unwritten, check_aliases, check_linear, check_repeatable, check_memory, check_orders),
)
