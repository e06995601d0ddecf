"""Arbiters that need no torch: the slope of the subject's own forward pass, found by evaluating it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from scratchproof.exam.compare import Result, Severity, Verdict
from scratchproof.exam.exam import Exam, Trial
from scratchproof.sandbox.failures import Raised
from scratchproof.sandbox.observe import Reply
from scratchproof.subjects.subject import ContractError
from scratchproof.vjp import Array, Function, Inputs, Outputs, by_name, floating

Slope: TypeAlias = tuple[float, float] | None
"""The slope of <dout, f> along a direction in one input, and how far off it may be; None if it cannot be had."""


def check_central_differences(exam: Exam) -> Iterator[Result]:
    """Every gradient against central differences of the subject's own forward pass: an arbiter without torch."""
    if exam.precision.name == "float64":
        yield from _slopes(exam, "central differences")


def check_complex_step(exam: Exam) -> Iterator[Result]:
    """Likewise against complex step, exact to rounding, where the forward pass is analytic and takes complex input."""
    if exam.precision.name == "float64" and exam.layer.analytic:
        yield from _slopes(exam, "complex step")


def central_difference(function: Function, trial: Trial, name: str, direction: Array) -> tuple[float, float]:
    """The slope of <dout, f> along `direction` in the input `name`, and how far off it may be.

    Taken with two steps, h and h/2: their disagreement bounds what the steps cut off (and is large beside a kink);
    the rounding of f, divided by h, is the rest. Source: h = eps^(1/3), which balances the two.
    """
    values = [by_name(function)(**inputs)[0] for inputs in _beside(trial, name, direction)]
    return _differences(trial, name, values)


def _beside(trial: Trial, name: str, direction: Array) -> list[Inputs]:
    """The points at h, -h, h/2 and -h/2."""
    points = [trial.given() for _ in range(4)]
    for inputs, step in zip(points, (1, -1, 0.5, -0.5), strict=True):
        inputs[name] = inputs[name] + step * _step(trial, name) * direction
    return points


def _step(trial: Trial, name: str) -> float:
    size = max(1.0, float(np.abs(trial.inputs[name]).max(initial=0.0)))
    return float(np.cbrt(np.finfo(np.float64).eps)) * size


def _differences(trial: Trial, name: str, values: Sequence[Outputs]) -> tuple[float, float]:
    h, keys = _step(trial, name), trial.cotangents[0]
    # Subtracted element by element first: the sums would lose digits.
    apart = [{key: values[at][key] - values[at + 1][key] for key in keys} for at in (0, 2)]
    coarse, fine = _paired(trial, apart[0]) / (2 * h), _paired(trial, apart[1]) / h
    noise = _paired(trial, {k: t.allowed for k, t in trial.tolerances[0].items()}, size=np.abs) / h
    return fine, 2 * abs(coarse - fine) + 4 * noise


def _central(trial: Trial, name: str, direction: Array, replies: Sequence[Reply]) -> Slope:
    return _differences(trial, name, [reply.answer.outs for reply in replies])


TINY = 1e-20


def _turned(trial: Trial, name: str, direction: Array) -> list[Inputs]:
    """The point at i h, in complex numbers; and those of central differences, which tell whether that means anything.

    Source: Squire and Trapp, SIAM Review 40 (1998).
    """
    inputs = {k: v.astype(np.complex128) if v.dtype.kind == "f" else v for k, v in trial.given().items()}
    return [{**inputs, name: inputs[name] + 1j * TINY * direction}, *_beside(trial, name, direction)]


def _complex(trial: Trial, name: str, direction: Array, replies: Sequence[Reply]) -> Slope:
    """Im <dout, f(x + i h v)> / h with h = 1e-20: no subtraction, so exact to rounding.

    None if the forward pass does not take complex numbers, or is not analytic in them: np.var and np.abs take the
    modulus of what they are given, and then the imaginary part is not the slope that differences measure.
    """
    if isinstance(replies[0].failure, Raised | ContractError):
        return None
    outs = replies[0].answer.outs
    if not all(key in outs and np.iscomplexobj(outs[key]) for key in trial.cotangents[0]):
        return None
    slope = _paired(trial, {key: outs[key].imag for key in trial.cotangents[0]}) / TINY
    allowed = float((np.abs(direction) * trial.tolerances[1][0][name].allowed).sum())
    difference, room = _differences(trial, name, [reply.answer.outs for reply in replies[1:]])
    return (slope, allowed) if abs(difference - slope) <= room + allowed else None


def _paired(trial: Trial, values: Outputs, size: Callable[[Array], Array] = np.asarray) -> float:
    """<dout, values> for the trial's first cotangent, over all outputs; `size` is applied to dout before."""
    return sum(float((size(dout) * values[key]).sum()) for key, dout in trial.cotangents[0].items())


class Rule(NamedTuple):
    """Where the forward pass is evaluated, by trial, input and direction; and what slope follows."""

    points: Callable[[Trial, str, Array], list[Inputs]]
    slope: Callable[[Trial, str, Array, Sequence[Reply]], Slope]


RULES = {"central differences": Rule(_beside, _central), "complex step": Rule(_turned, _complex)}


def _slopes(exam: Exam, rule: str) -> Iterator[Result]:
    """Compare <gradient, v>, for each input and a random direction v, with the slope of the forward pass along v."""
    for trial in exam.answered:
        if trial.cotangents:
            yield from _of_trial(exam, trial, rule)


def _of_trial(exam: Exam, trial: Trial, rule: str) -> Iterator[Result]:
    names = floating(trial.inputs, exam.layer.constant)
    along = {name: exam.rng(f"{rule}/{name}").standard_normal(trial.inputs[name].shape) for name in names}
    points = {name: RULES[rule].points(trial, name, direction) for name, direction in along.items()}
    replies = exam.ask(
        [
            (trial, trial.given(), trial.given_cotangents()[:1]),
            *((trial, inputs, ()) for each in points.values() for inputs in each),
        ]
    )
    found = next(replies).answer
    if any(found.outs[name].shape != due.shape for name, due in trial.truth.outs.items()):
        return
    for name, direction in along.items():
        values = list(islice(replies, len(points[name])))
        gradient = found.grads[0][name]
        if gradient.shape != trial.inputs[name].shape:
            continue
        measured = RULES[rule].slope(trial, name, direction, values)
        if measured is not None:
            yield _slope(exam, trial, name, rule, direction, measured, gradient)


def _slope(
    exam: Exam, trial: Trial, name: str, rule: str, direction: Array, measured: tuple[float, float], gradient: Array
) -> Result:
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
        return exam.result(rule, trial, f"d{name}", message=message, **numbers)
    sides = "as torch autograd does" if abs(of_torch - slope) <= allowed else f"torch autograd {of_torch:.6g}"
    message = f"along a random direction is {own:.6g}; {rule} of its own forward pass give {slope:.6g}, {sides}"
    verdict, severity = Verdict.FAIL, Severity.VALUE
    if abs(own - slope) <= allowed + _lost(exam, trial, name, direction):
        verdict, severity = Verdict.SUSPECT, Severity.PRECISION
    return exam.result(rule, trial, f"d{name}", verdict=verdict, severity=severity, message=message, **numbers)


def _lost(exam: Exam, trial: Trial, name: str, direction: Array) -> float:
    """How far a slope may be off where the forward pass itself was found imprecise: as much as its gradient may."""
    imprecise = (Verdict.SUSPECT, Severity.PRECISION)
    doubted = any(
        (r.verdict, r.severity) == imprecise and r.case == trial.name and r.quantity in trial.outputs
        for r in exam.results
    )
    return float((np.abs(direction) * trial.tolerances[1][0][name].ceiling).sum()) if doubted else 0.0
