"""A script beside each wrong quantity: shrunk, and run by nobody here."""

import os
from collections.abc import Callable
from dataclasses import replace

from scratchproof.exam.causes.program import program
from scratchproof.exam.causes.shrink import SmallTrial, how_wrong, shrunk
from scratchproof.exam.compare import Result, Verdict
from scratchproof.exam.exam import Exam, Trial
from scratchproof.sandbox.failures import Failure, guarded
from scratchproof.subjects.subject import ContractError, Unsupported

CHECKS = ("values", "corners", "shapes")
MOST = 3  # quantities of a layer that get a script


def reproduced(exam: Exam) -> list[Result]:
    """The exam's results, the first wrong ones of some quantities with a script that shows them.

    In float64, or the only precision that there is: another precision would mostly show the same again.
    """
    wrong = [r for r in exam.results if r.check in CHECKS and r.quantity and r.verdict in (Verdict.FAIL, Verdict.CRASH)]
    if exam.precision.name not in exam.subject.precisions[:1] or not wrong:
        return exam.results
    first = {result.quantity: result for result in reversed(wrong)}
    chosen = [result for result in wrong if first[result.quantity] is result][:MOST]
    small: SmallTrial | None = None
    scripts: dict[int, str] = {}
    for result in chosen:
        trial = _trial(exam, result)
        if trial is None:
            continue
        if small is None or not how_wrong(exam, small, result.quantity):
            small = shrunk(exam, trial, result.quantity)
        if small is not None:
            scripts[id(result)] = _script(exam, small, result)
    return [replace(r, reproducer=scripts[id(r)]) if scripts.get(id(r)) else r for r in exam.results]


def _trial(exam: Exam, result: Result) -> Trial | None:
    """The trial of which a result tells."""
    seen = [one.trial for one in reversed(exam.seen) if (one.check, one.trial.name) == (result.check, result.case)]
    others: tuple[Callable[[], tuple[Trial, ...]], ...] = (lambda: exam.trials, exam.corner_trials)
    asked = (trial for trials in others for trial in trials() if trial.name == result.case)
    return seen[0] if seen else next(asked, None)


def _script(exam: Exam, trial: Trial, result: Result) -> str:
    try:
        spelling = guarded(exam.subject.spelled, trial.layer, trial.case, trial.precision)
    except (Failure, ContractError, Unsupported):
        return ""
    if spelling and _same_file(exam.subject.name, spelling.file):
        spelling = replace(spelling, file=exam.subject.name)
    return program(trial, result.quantity, spelling, (_title(exam, result), result.cause)) if spelling else ""


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _title(exam: Exam, result: Result) -> str:
    message = result.message if result.verdict is Verdict.CRASH else f"{exam.layer.name}: {result.quantity} is wrong"
    return message.removesuffix(f" ({exam.precision.name})")
