"""Arbiters that need no torch: the slope of the subject's own forward pass, found by evaluating it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from scratchproof.exam.compare import Result, Severity, Verdict
from scratchproof.exam.exam import Exam, Trial
from scratchproof.sandbox.failures import Raised
from scratchproof.subjects.subject import ContractError
from scratchproof.vjp import Array, Function, Outputs, by_name, floating

Arbiter = Callable[[Function, Trial, str, Array], tuple[float, float] | None]


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


def central_difference(function: Function, trial: Trial, name: str, direction: Array) -> tuple[float, float] | None:
    """The slope of <dout, f> along `direction` in the input `name`, and how far off it may be.

    Taken with two steps, h and h/2: their disagreement bounds what the steps cut off (and is large beside a kink);
    the rounding of f, divided by h, is the rest. Source: h = eps^(1/3), which balances the two.
    """
    size = max(1.0, float(np.abs(trial.inputs[name]).max(initial=0.0)))
    h = float(np.finfo(np.float64).eps) ** (1 / 3) * size
    coarse, fine = (_difference(function, trial, name, direction, step) for step in (h, h / 2))
    noise = _paired(trial, {k: t.allowed for k, t in trial.tolerances[0].items()}, size=np.abs) / h
    return fine, 2 * abs(coarse - fine) + 4 * noise


def complex_step(function: Function, trial: Trial, name: str, direction: Array) -> tuple[float, float] | None:
    """The same slope as Im <dout, f(x + i h v)> / h with h = 1e-20: no subtraction, so exact to rounding.

    None if the forward pass does not take complex numbers, or is not analytic in them: np.var and np.abs take the
    modulus of what they are given, and then the imaginary part is not the slope that differences measure.
    Source: Squire and Trapp, SIAM Review 40 (1998).
    """
    h = 1e-20
    inputs = {k: v.astype(np.complex128) if v.dtype.kind == "f" else v for k, v in trial.given().items()}
    try:
        outs, _ = by_name(function)(**{**inputs, name: inputs[name] + 1j * h * direction})
    except (Raised, ContractError):
        return None
    if not all(key in outs and np.iscomplexobj(outs[key]) for key in trial.cotangents[0]):
        return None
    slope = _paired(trial, {key: outs[key].imag for key in trial.cotangents[0]}) / h
    allowed = float((np.abs(direction) * trial.tolerances[1][0][name].allowed).sum())
    difference = central_difference(function, trial, name, direction)
    analytic = difference is not None and abs(difference[0] - slope) <= difference[1] + allowed
    return (slope, allowed) if analytic else None


def _difference(function: Function, trial: Trial, name: str, direction: Array, h: float) -> float:
    def value(step: float) -> Outputs:
        inputs = trial.given()
        return by_name(function)(**{**inputs, name: inputs[name] + step * direction})[0]

    # Subtracted element by element first: the sums would lose digits.
    up, down = value(h), value(-h)
    return _paired(trial, {key: up[key] - down[key] for key in trial.cotangents[0]}) / (2 * h)


def _paired(trial: Trial, values: Outputs, size: Callable[[Array], Array] = np.asarray) -> float:
    """<dout, values> for the trial's first cotangent, over all outputs; `size` is applied to dout before."""
    return sum(float((size(dout) * values[key]).sum()) for key, dout in trial.cotangents[0].items())


ARBITERS = {"central differences": central_difference, "complex step": complex_step}


def _slope(exam: Exam, trial: Trial, name: str, rule: str) -> Iterator[Result]:
    """Compare <gradient, v> for a random direction v with the slope of the subject's forward pass along v."""
    if not trial.cotangents:
        return
    function = exam.function(trial)
    outs, pullback = function(**trial.given())
    if any(outs[name].shape != due.shape for name, due in trial.truth.outs.items()):
        return
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
    verdict, severity = Verdict.FAIL, Severity.VALUE
    if abs(own - slope) <= allowed + _lost(exam, trial, name, direction):
        verdict, severity = Verdict.SUSPECT, Severity.PRECISION
    yield exam.result(rule, trial, f"d{name}", verdict=verdict, severity=severity, message=message, **numbers)


def _lost(exam: Exam, trial: Trial, name: str, direction: Array) -> float:
    """How far a slope may be off where the forward pass itself was found imprecise: as much as its gradient may."""
    imprecise = (Verdict.SUSPECT, Severity.PRECISION)
    doubted = any(
        (r.verdict, r.severity) == imprecise and r.case == trial.name and r.quantity in trial.outputs
        for r in exam.results
    )
    return float((np.abs(direction) * trial.tolerances[1][0][name].ceiling).sum()) if doubted else 0.0
