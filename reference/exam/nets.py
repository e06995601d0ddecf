"""What nets alone are asked: test mode, first parameters, dropout; what draws a mask; and calls that are repeated.

What is random can only be asked by statistics; each bound is one that right code exceeds less than once in 10⁸
examinations.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scratchproof.exam.compare import Result, Severity, Verdict, compare, number, place, same_float
from scratchproof.exam.draws import ONE_MASK, SIGMAS, distribution, drawn_otherwise, not_dropped, unlike
from scratchproof.exam.exam import Exam, Trial
from scratchproof.exam.judge import Measured, answered, quantities, verdict_of
from scratchproof.oracle.tolerance import tolerances
from scratchproof.sandbox.failures import Failure, Raised, guarded, said
from scratchproof.subjects.subject import ContractError, Unimplemented
from scratchproof.vjp import ONLY, Answer, Array, Inputs, answer, from_torch

ROUNDING = 1024  # units in the last place of the largest score by which a row may differ for its company
CALLS = 60
REPEATS = 8  # calls with the same inputs, where the first two differ


def check_scores(exam: Exam) -> Iterator[Result]:
    """A net without labels is in test mode: loss(X) gives class scores."""
    for trial, with_labels in zip(exam.scores_trials(), exam.trials, strict=False):
        try:
            function = guarded(exam.subject.scores, exam.layer, with_labels.case, exam.precision)
            if function is None:
                return
            found, _ = guarded(function, **trial.given())
        except Unimplemented as error:
            yield exam.result("scores", trial, "scores", verdict=Verdict.UNIMPLEMENTED, message=f"{error}")
            continue
        except (Raised, ContractError) as error:
            told = said(error) if isinstance(error, Raised) else f"{error}"
            message = f"loss(X) without labels {told}; test mode must return the class scores"
            yield exam.result("scores", trial, "scores", verdict=Verdict.FAIL, severity=Severity.CRASH, message=message)
            continue
        tolerance = trial.tolerance(trial.out)
        comparison = compare(found, trial.truth.out, tolerance, exam.precision)
        wrong = comparison.problem is not None and found.shape == trial.truth.out.shape
        cause = not_scores(found, trial.truth.out, tolerance.allowed) if wrong else ""
        yield verdict_of(exam, trial, "scores", "scores", comparison, cause=cause)


def not_scores(found: Array, scores: Array, allowed: Array) -> str:
    """What is returned in place of class scores (N, C); an empty string where that is not known."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    others = {
        "probabilities are returned (a softmax is applied), where scores are due": shares,
        "the logarithms of probabilities are returned, where scores are due": np.log(shares),
        "a ReLU is applied to the scores": np.maximum(scores, 0.0),
        "a sigmoid is applied to the scores": 1 / (1 + np.exp(-scores)),
        "each row's largest score is subtracted": scores - scores.max(axis=-1, keepdims=True),
    }
    near = (told for told, other in others.items() if (np.abs(found - other) <= ROUNDING * allowed.max()).all())
    return next(near, "")


def check_rows(exam: Exam) -> Iterator[Result]:
    """In test mode a net scores every row by itself, whatever else is in the batch."""
    if exam.layer.kind != "net" or exam.layer.scores is not None:
        return  # check_scores has seen the scores themselves
    trial = exam.trials[0]
    function = guarded(exam.subject.scores, exam.layer, trial.case, exam.precision)
    if function is None:
        return
    rows, others = trial.given(), trial.given()
    for name in exam.layer.batched:
        others[name] = others[name][:2]
    together, _ = guarded(function, **rows)
    alone, _ = guarded(function, **others)
    room = ROUNDING * exam.precision.unit * np.abs(together).max(initial=0.0)
    if together[:2].shape != alone.shape or not (np.abs(together[:2] - alone) <= room).all():
        message, cause = "loss(X) scores a row otherwise when other rows are with it", "it stays in training mode"
        yield _failed(exam, trial, "rows", "scores", message, cause)


def check_drops(exam: Exam) -> Iterator[Result]:
    """A net that is told to drop units has another loss than one that is not."""
    trial = exam.trials[0]
    outs, _ = exam.function(trial)(**trial.given())
    comparison = compare(outs[ONLY], trial.truth.out, trial.tolerance(trial.out), exam.precision)
    if comparison.problem is None:
        yield _failed(exam, trial, "drops", "loss", "is the same as without dropout", "nothing is dropped")


def _failed(exam: Exam, trial: Trial, check: str, quantity: str, message: str, cause: str) -> Result:
    fields = {"severity": Severity.VALUE, "message": message, "cause": cause}
    return exam.result(check, trial, quantity, verdict=Verdict.FAIL, **fields)


def check_start(exam: Exam) -> Iterator[Result]:
    """A new net's parameters are distributed as the row draws them: biases zero, weights by size and by shape."""
    for trial in exam.trials:
        (found,) = exam.function(trial)(**trial.given())[0].values()
        split = np.split(found, np.cumsum([value.size for value in trial.inputs.values()])[:-1])
        for (name, due), start in zip(trial.inputs.items(), split, strict=True):
            message = unlike(start.astype(np.float64), due.ravel())
            fields = _told(message, drawn_otherwise(start.astype(np.float64), due, trial.case.options))
            yield exam.result("start", trial, name, **fields)
        yield from _seeded(exam, trial)


def _told(message: str, cause: str) -> dict[str, Any]:
    """The fields of a result that fails if there is something to say."""
    if not message:
        return {}
    return {"verdict": Verdict.FAIL, "severity": Severity.VALUE, "message": message, "cause": cause}


def _seeded(exam: Exam, trial: Trial) -> Iterator[Result]:
    """Where a constructor takes an rng and a dtype: the same rng gives the same parameters, all of that dtype."""
    found = []
    for _ in range(2):
        more = {"rng": np.random.default_rng(exam.seed), "dtype": exam.precision.array_dtype}
        case = replace(trial.case, options={**trial.case.options, **more})
        try:
            found.append(exam.function(replace(trial, case=case))(**trial.given())[0][ONLY])
        except (ContractError, Failure):
            return  # it takes none: whether it can be made at all has been asked
    message = ""
    if found[0].dtype != exam.precision.array_dtype:
        message = f"is {found[0].dtype} with dtype={exam.precision.array_dtype}"
    elif not np.array_equal(found[0], found[1]):
        message = "is another with the same rng"
    verdict, severity = (Verdict.FAIL, Severity.VALUE) if message else (Verdict.PASS, None)
    yield exam.result("start", trial, "", verdict=verdict, severity=severity, message=message)


def check_dropout(exam: Exam) -> Iterator[Result]:
    """In training a net drops as many inputs and hidden units as it was told, and its loss and gradients are theirs.

    Which were dropped is read off the gradients: a dropped input's row of dW1 is zero, so is a silent unit's of dW2.
    """
    trial = exam.trials[0]
    dout, reg = {ONLY: np.ones((), exam.precision.array_dtype)}, trial.case.options["reg"]
    kept, awake = [], []
    for call, reply in enumerate(exam.ask((trial, trial.given(), [dout]) for _ in range(CALLS))):
        (grads,) = reply.answer.grads
        kept.append(_taking_part(grads["W1"], reg * trial.inputs["W1"]))
        awake.append(_taking_part(grads["W2"], reg * trial.inputs["W2"]))
        if call < 2:
            yield from _masked(exam, trial, reply.answer, kept[-1], awake[-1])
    for what, masks, drop in zip(("inputs", "hidden units"), (kept, awake), trial.case.options["dropout"], strict=True):
        message, cause = not_dropped(np.stack(masks), drop)
        if message:
            yield exam.result("dropout", trial, "loss", **_told(f"{what}: {message}", cause))


def check_repeatable(exam: Exam) -> Iterator[Result]:
    """The same inputs give the same results. How far they differ, where they do, is measured and told.

    Within rounding, as sums whose order changes from call to call, that is a note. Beyond it, the mean over the calls
    tells noise around the right result from a wrong one.
    """
    trial = exam.trials[0]
    calls = _repeated(exam, trial, 2)
    if _unchanged(*calls):
        return
    calls += _repeated(exam, trial, REPEATS - 2)
    for runs in zip(*(quantities(trial, call) for call in calls), strict=True):
        yield from _spread(exam, trial, runs)


def _repeated(exam: Exam, trial: Trial, times: int) -> list[Answer]:
    return [reply.answer for _, reply in answered(exam, times * [trial])]


def _unchanged(a: Answer, b: Answer) -> bool:
    pairs = zip((a.outs, *a.grads), (b.outs, *b.grads), strict=True)
    return all(same_float(one[name], other[name]) for one, other in pairs for name in one)


def _spread(exam: Exam, trial: Trial, runs: Sequence[Measured]) -> Iterator[Result]:
    """What repeated calls gave for one quantity, under what rounding allows between two of them."""
    quantity, first, expected, tolerance, _ = runs[0]
    fields: dict[str, Any] = {"verdict": Verdict.FAIL, "severity": Severity.VALUE}
    if len({run.actual.shape for run in runs}) > 1:
        yield exam.result("repeatable", trial, quantity, message="repeated calls give other shapes", **fields)
        return
    values = np.stack([run.actual.astype(np.float64) for run in runs])
    same = (values == values[0]).all(0) | np.isnan(values).all(0)
    if same.all():
        return
    apart = np.where(same, 0.0, np.nan_to_num(values.max(0) - values.min(0), nan=np.inf))
    allowed = 2 * tolerance.allowed if first.shape == expected.shape else np.zeros(apart.shape)
    worst = tuple(map(int, np.unravel_index(np.argmax(apart - allowed), apart.shape)))
    numbers = {"error": float(apart[worst]), "allowed": float(allowed[worst])}
    told = f"{len(runs)} calls with the same input differ by up to {number(apart[worst])} {place(worst)}"
    if (apart <= allowed).all():
        message = f"{told}: within rounding ({number(allowed[worst])}), as where sums change their order"
        yield exam.result("repeatable", trial, quantity, severity=Severity.PRECISION, message=message, **numbers)
        return
    right = first.shape == expected.shape and (np.abs(values.mean(0) - expected) <= tolerance.allowed + apart).all()
    drawn = bool(exam.layer.drawn)  # is noise by design, which says nothing of this mistake
    cause = "noise around the right result: the mean of the calls is right" if right and not drawn else ""
    message = f"{told}; rounding explains {number(allowed[worst])}{'' if right else ', and their mean is wrong too'}"
    yield exam.result("repeatable", trial, quantity, message=message, cause=cause, **fields, **numbers)


def check_kept(exam: Exam) -> Iterator[Result]:
    """A layer that draws a mask keeps as many elements as it was told, each by itself and by the seed."""
    if not exam.layer.drawn:
        return
    for trial in exam.trials:
        p = trial.case.options["p"]
        ones = {name: np.ones((150, 100), exam.precision.array_dtype) for name in trial.inputs}
        (out,) = exam.function(trial)(**ones)[0].values()
        kept = out != 0
        spread = SIGMAS * math.sqrt(p * (1 - p) / kept.size)
        message = cause = ""
        if abs(kept.mean() - p) > spread:
            message = f"{kept.mean():.3f} of the elements are kept, but {p} +- {spread:.2g} should be, or that dropped"
            cause = distribution(float(kept.mean()), p, spread)
        elif (kept == kept[0]).all() or (kept == kept[:, :1]).all():
            message = "the same elements are kept in every row, or whole rows: each should be drawn by itself"
            cause = ONE_MASK
        elif (_of_seed(exam, trial, 1) == _of_seed(exam, trial, 2)).all():
            message, cause = "the same elements are kept whatever the seed", "the seed is fixed, or the mask made once"
        yield exam.result("kept", trial, trial.out, **_told(message, cause))


def _of_seed(exam: Exam, trial: Trial, seed: int) -> Array:
    """Which elements of a row are kept."""
    case = replace(trial.case, options={**trial.case.options, "seed": seed})
    ones = {name: np.ones((3, 40), exam.precision.array_dtype) for name in trial.inputs}
    function = guarded(exam.subject.function, exam.layer, case, exam.precision)
    assert function is not None  # it was there without a seed
    kept: Array = guarded(function, **ones)[0] != 0
    return kept


def _masked(exam: Exam, trial: Trial, found: Answer, kept: Array, awake: Array) -> Iterator[Result]:
    """The loss and the gradients against torch with the same inputs and units dropped."""
    inputs: Inputs = {**trial.inputs, "kept": kept, "awake": awake}
    constant, options = trial.layer.constant, trial.case.options
    cotangents = ({ONLY: np.ones(())},)
    truth = answer(from_torch(trial.layer.torch, constant=constant, options=options), inputs, cotangents)
    of_out, of_grads = tolerances(
        trial.layer.torch, truth, inputs, cotangents, exam.precision, constant=constant, options=options
    )
    yield verdict_of(exam, trial, "dropout", "loss", compare(found.out, truth.out, of_out[ONLY], exam.precision))
    for name, expected in truth.grads[0].items():
        comparison = compare(found.grads[0][name], expected, of_grads[0][name], exam.precision)
        yield verdict_of(exam, trial, "dropout", f"d{name}", comparison)


def _taking_part(gradient: Array, decay: Array) -> Array:
    """Which rows of a weight's gradient hold more than its decay."""
    rest = np.abs(gradient - decay).max(axis=1)
    taking_part: Array = rest > 1e-3 * rest.max()
    return taking_part
