"""What must be refused: inputs that do not fit together, mixed dtypes, options out of range.

Which shapes do not fit is read off the torch expression: an axis that it refuses one longer is bound to another.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from scratchproof.exam.compare import Result, Severity, Verdict
from scratchproof.exam.exam import Exam, Trial
from scratchproof.sandbox.failures import Raised, said
from scratchproof.vjp import Array, Inputs, floating, from_torch


def check_errors(exam: Exam) -> Iterator[Result]:
    """Bad input is refused with a ValueError, by a subject whose docstring promises one.

    Where a package promises it for whatever does not fit, every argument, cotangent and option is asked.
    """
    trial = exam.trials[0]
    if exam.layer.errors and exam.subject.documents_errors(exam.layer):
        for what, spoil in exam.layer.errors.items():
            yield from _refused(exam, trial, what, spoil(trial.given()))
    once = exam.precision.name == "float64" or exam.effort.everywhere
    if once and exam.subject.refuses_all(exam.layer):
        for what, inputs in _unfit(trial):
            yield from _refused(exam, trial, what, inputs)
        for options in exam.layer.unfit_options:
            case = replace(trial.case, options={**trial.case.options, **options})
            what = ", ".join(f"{name} {value!r}" for name, value in options.items())
            yield from _refused(exam, replace(trial, case=case), what, trial.given())
        yield from _cotangents_refused(exam, trial)
        yield from _quiet(exam)


def _refused(exam: Exam, trial: Trial, what: str, inputs: Inputs) -> Iterator[Result]:
    yield _told(exam, trial, what, lambda: exam.function(trial)(**inputs))


def _cotangents_refused(exam: Exam, trial: Trial) -> Iterator[Result]:
    if exam.layer.kind != "pair":
        return  # the backward pass of others takes no cotangent
    (name, dout), *_ = trial.given_cotangents()[0].items()
    wrong = {**_of_another_kind(dout), **_of_another_width(dout), **_of_other_rank(dout), "as a list": dout.tolist()}
    for axis in range(dout.ndim):
        wrong |= _resized(dout, axis)
    for what, spoilt in wrong.items():
        _, pullback = exam.function(trial)(**trial.given())
        yield _told(exam, trial, f"dout {what}", lambda: pullback({name: spoilt}))  # noqa: B023


def _quiet(exam: Exam) -> Iterator[Result]:
    """nan, infinities and what overflows fit: they raise nothing, even where NumPy is told to raise."""
    for trial in exam.corner_trials():
        if trial.corner.nonfinite:
            given = trial.given()
            message = _raised(exam, trial, given) or _raised(exam, trial, _enlarged(trial, given))
            verdict, severity = (Verdict.FAIL, Severity.EDGE) if message else (Verdict.PASS, None)
            yield exam.result("errors", trial, trial.out, verdict=verdict, severity=severity, message=message)


def _enlarged(trial: Trial, given: Inputs) -> Inputs:
    """The data near the largest number of the format."""
    data = given[trial.layer.data]
    return {**given, trial.layer.data: data.clip(-1, 1) * data.dtype.type(0.9 * trial.precision.largest)}


def _raised(exam: Exam, trial: Trial, inputs: Inputs) -> str:
    try:
        with np.errstate(over="raise", invalid="raise"):
            _, pullback = exam.function(trial)(**inputs)
            for dout in trial.given_cotangents():
                pullback(dout)
    except Raised as error:
        return f"{said(error)}, though nan and overflow are to pass in silence"
    return ""


def _told(exam: Exam, trial: Trial, what: str, call: Callable[[], object]) -> Result:
    try:
        call()
    except Raised as error:
        if "ValueError" in error.kinds:
            return exam.result("errors", trial, what)
        message, verdict = f"promises a ValueError but {said(error)}", Verdict.SUSPECT
    else:
        message, verdict = "was accepted, though a ValueError is promised", Verdict.FAIL
    return exam.result("errors", trial, what, verdict=verdict, severity=Severity.EDGE, message=message)


def _unfit(trial: Trial) -> Iterator[tuple[str, Inputs]]:
    """Inputs that do not fit, each with what is wrong: by kind, dtype, rank and size of every argument."""
    given, layer = trial.given(), trial.layer
    for name, value in given.items() if layer.sizes is None else ():  # a net is made to fit
        bound = [axis for axis in range(value.ndim) if _torch_refuses(trial, {**given, name: _longer(value, axis)})]
        spoilt = _of_another_kind(value) if name in floating(given) else {"of float64": value.astype(np.float64)}
        if len(floating(given)) > 1 and name in floating(given):
            spoilt |= _of_another_width(value)
        for what, other in _of_other_rank(value).items():
            if name != layer.data or _torch_refuses(trial, {**given, name: other}):
                spoilt[what] = other
        for axis in bound:
            spoilt |= _resized(value, axis)
        if layer.kind in ("pair", "forward"):  # arrays are made of others' arguments on the way
            spoilt["as a list"] = value.tolist()
        yield from ((f"{name} {what}", {**given, name: other}) for what, other in spoilt.items())
    yield from ((what, spoil(given)) for what, spoil in layer.unfit.items())


def _of_another_kind(value: Array) -> dict[str, Any]:
    return {"of int64": value.astype(np.int64)}


def _of_another_width(value: Array) -> dict[str, Any]:
    other = np.dtype(np.float32 if value.dtype == np.float64 else np.float64)
    return {f"of {other}": value.astype(other)}


def _of_other_rank(value: Array) -> dict[str, Array]:
    return {"with an axis before": value[None], "with an axis behind": value[..., None]}


def _resized(value: Array, axis: int) -> dict[str, Array]:
    """One longer along an axis, and of one value that would be spread."""
    found = {f"one longer along axis {axis}": _longer(value, axis)}
    return found if value.shape[axis] == 1 else found | {f"of one along axis {axis}": value.take([0], axis)}


def _longer(value: Array, axis: int) -> Array:
    return np.concatenate([value, value.take([-1], axis)], axis)


def _torch_refuses(trial: Trial, inputs: Inputs) -> bool:
    try:
        from_torch(trial.layer.torch, constant=trial.layer.constant, options=trial.case.options)(**inputs)
    except Exception:
        return True
    return False
