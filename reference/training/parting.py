"""Where a training run parts from torch's: the first step, the parameter, and the term of the update.

Every step of the journal is judged by itself, from the subject's own parameters: first its gradient against
autograd, then its update against torch.optim fed with the subject's gradients. So an error shows in the step
that makes it and in the term that makes it, not in all that follows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from scratchproof.training.journal import BATCH, Journal, Params
from scratchproof.training.oracle_run import (
    RUNS,
    Gradients,
    allowances,
    forced_updates,
    largest_difference,
    modelled_updates,
)
from scratchproof.training.updates import CONVENTIONS, RIGHT, Model, Slip, differences, slips
from scratchproof.vjp import Array

WINDOW = 25  # steps after a parting that a suspected slip must reproduce as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """The first place where subject and torch differ by more than rounding can explain.

    step: counted from 1. quantity: a parameter's name, or "loss". term: gradient | decay | learning rate | momentum |
    second moment | bias correction | epsilon | loss | update | accumulated. cause: a sentence, "" where no known
    slip explains it. message: both values, error and allowance. convention: right in its own way.
    """

    step: int
    quantity: str
    term: str
    cause: str
    message: str
    convention: bool = False

    def __str__(self) -> str:
        cause = f": {self.cause}" if self.cause else ""
        return f"step {self.step}, {self.quantity}, {self.term}{cause} ({self.message})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A known difference of convention, and where it would first show between torch and this subject.

    step: counted from 1, in the run whose learning rate is multiplied by `rate` after every epoch.
    """

    difference: str
    step: int
    quantity: str
    rate: float


def explain(journal: Journal, *, last: int) -> Parting | None:
    """The first parting in the steps up to index `last`, by the term it is in; None where every step is in order."""
    update = first_update(journal)
    last = last if update is None else min(last, update[0])
    gradient = _first_gradient(journal, last)
    if gradient is not None:
        return gradient
    if update is None:
        return None
    step, quantity, message = update
    slip, convention = _suspect(journal, step)
    if slip is None:
        return Parting(step=step + 1, quantity=quantity, term="update", cause="", message=message)
    return Parting(
        step=step + 1, quantity=quantity, term=slip.term, cause=slip.cause, message=message, convention=convention
    )


def first_update(journal: Journal) -> tuple[int, str, str] | None:
    """Step (from 0), parameter and message of the first update that torch.optim would not have made."""
    runs = zip(forced_updates(journal), *_disturbed(journal, RIGHT[journal.rule]), strict=True)
    for step, (expected, *others) in enumerate(runs):
        allowed = allowances(expected, others)
        for name in expected:
            if message := difference(journal.params[step + 1][name], expected[name], allowed[name]):
                return step, name, message
    return None


def known_differences(constant: Journal, falling: Journal) -> tuple[Known, ...]:
    """The known differences of convention of a rule, each with the first step at which it shows.

    Looked for in the run with a constant rate; one that only a changing rate brings out, in the other run.
    """
    found = []
    for slip in (*CONVENTIONS[constant.rule], *differences(constant.rule)):
        for journal in (constant, falling):
            if place := _shows(journal, slip):
                found.append(Known(difference=slip.cause, step=place[0] + 1, quantity=place[1], rate=journal.lr_decay))
                break
    return tuple(found)


def difference(actual: Array, expected: Array, allowed: float) -> str:
    """Empty where actual is within `allowed` of expected; else the worst element, both values, error and allowance."""
    error = largest_difference(actual, expected)
    if error <= allowed:
        return ""
    if actual.shape != expected.shape:
        return f"has shape {actual.shape}, but should be {expected.shape}"
    with np.errstate(all="ignore"):
        errors = np.nan_to_num(np.where(actual == expected, 0.0, np.abs(actual - expected)), nan=np.inf)
    index = tuple(int(i) for i in np.unravel_index(np.argmax(errors), errors.shape))
    place = f" at {index}" if index else ""
    return f"got {actual[index]:.17g}, expected {expected[index]:.17g}{place}; error {error:.2g}, allowed {allowed:.2g}"


def _first_gradient(journal: Journal, last: int) -> Parting | None:
    oracle = Gradients(journal)
    for step in range(min(last + 1, journal.steps)):
        params, X, y = journal.params[step], journal.X[step], journal.y[step]
        actual = {**journal.grads[step], "loss": np.array(journal.losses[step])}
        expected = oracle.at(params, X, y)
        allowed = allowances(expected, [])
        if not _wrong(actual, expected, allowed):  # within the floor already: spare the disturbed runs
            continue
        allowed = allowances(expected, oracle.disturbed(params, X, y, seed=step))
        if wrong := _wrong(actual, expected, allowed):
            term, cause = _name_gradient(journal, step, actual, expected, allowed, wrong)
            message = difference(actual[wrong[0]], expected[wrong[0]], allowed[wrong[0]])
            return Parting(step=step + 1, quantity=_d(wrong[0]), term=term, cause=cause, message=message)
    return None


def _d(name: str) -> str:
    return name if name == "loss" else f"d{name}"


def _wrong(actual: Params, expected: Params, allowed: Mapping[str, float]) -> list[str]:
    """The quantities beyond their allowance: gradients first, the loss last."""
    missing = [name for name in expected if name not in actual]
    return missing or [n for n in expected if largest_difference(actual[n], expected[n]) > allowed[n]]


def _name_gradient(
    journal: Journal, step: int, actual: Params, expected: Params, allowed: Mapping[str, float], wrong: Sequence[str]
) -> tuple[str, str]:
    """The term and the cause of a wrong gradient or loss, from what it differs by."""
    params, reg = journal.params[step], journal.case.reg
    if wrong[0] == "loss":
        weights = [w for w in params.values() if w.ndim > 1]
        penalty = np.array(0.5 * reg * sum(np.vdot(w, w) for w in weights))
        times = _multiple(actual, expected, {"loss": penalty}, allowed)
        causes = {1.0: "the 1/2 is missing from the penalty in the loss", -1.0: "the loss lacks its penalty"}
        return ("decay", causes[times]) if times in causes else ("loss", "")
    wrong = [name for name in wrong if name != "loss"]
    if any(name not in actual or actual[name].shape != expected[name].shape for name in wrong):
        return "gradient", "a gradient is missing or has another shape"
    times = _multiple(actual, expected, {name: reg * params[name] for name in wrong}, allowed)
    if times is not None:
        return "decay", _decay_cause(times, biases=all(params[name].ndim <= 1 for name in wrong))
    data = {n: expected[n] - (reg * params[n] if params[n].ndim > 1 else 0.0) for n in wrong}
    for part in (data, {name: expected[name] for name in wrong}):
        times = _multiple(actual, expected, part, allowed)
        if times is not None:
            return "gradient", _scale_cause(1 + times)
    return "gradient", ""


def _multiple(actual: Params, expected: Params, part: Params, allowed: Mapping[str, float]) -> float | None:
    """The one number c with actual - expected = c * part within rounding, over all of part's quantities; else None."""
    excess = {name: actual[name] - expected[name] for name in part}
    square = sum(float(np.vdot(value, value)) for value in part.values())
    size = sum(value.size for value in part.values())
    if not square or not all(np.isfinite(value).all() for value in excess.values()):
        return None
    c = sum(float(np.vdot(excess[name], part[name])) for name in part) / square
    if size == 1:  # one number is a multiple of any other: believe only what has a name
        c = float(np.round(c))
    # The difference carries up to one allowance, c what it inherits from it, and what was multiplied its multiple.
    fits = all(np.abs(excess[name] - c * part[name]).max() <= (2 + abs(c)) * allowed[name] for name in part)
    return float(np.round(c, 6)) if fits and c else None


def _decay_cause(times: float, *, biases: bool) -> str:
    if biases:
        return f"biases decay too: their gradient holds {times:g} * reg * b, but should hold none"
    causes = {
        -1.0: "reg * w is missing from the gradient of the weights",
        1.0: "the weights' gradient holds 2 * reg * w: the 1/2 of the penalty is missing, or reg is applied twice",
        -0.5: "the weights' gradient holds half of reg * w: a 1/2 too many",
    }
    return causes.get(times, f"the weights' gradient holds {1 + times:g} * reg * w, but should hold reg * w")


def _scale_cause(scale: float) -> str:
    causes = {
        -1.0: "its sign is flipped",
        float(BATCH): f"it is {BATCH} times too large, N being {BATCH}: the division by N is missing",
        2.0: "it is twice the right gradient",
        0.5: "it is half the right gradient",
        0.0: "the loss does not reach it: it is zero",
    }
    return causes.get(round(scale, 6), f"it is {scale:g} times the right gradient throughout")


def _suspect(journal: Journal, step: int) -> tuple[Slip | None, bool]:
    """The slip that reproduces the subject's updates, and whether it is a convention."""
    stop = min(step + 1 + WINDOW, journal.steps)
    for slip in CONVENTIONS[journal.rule]:
        if _reproduces(journal, slip, journal.steps):
            return slip, True
    return next((slip for slip in slips(journal.rule) if _reproduces(journal, slip, stop)), None), False


def _reproduces(journal: Journal, slip: Slip, stop: int) -> bool:
    runs = zip(modelled_updates(journal, slip.move), *_disturbed(journal, slip.move), strict=True)
    for step, (expected, *others) in enumerate(islice(runs, stop)):
        if _wrong(journal.params[step + 1], expected, allowances(expected, others)):
            return False
    return True


def _shows(journal: Journal, slip: Slip) -> tuple[int, str] | None:
    """The first step (from 0) and parameter at which a slip would differ from torch on this journal."""
    right = RIGHT[journal.rule]
    runs = zip(
        modelled_updates(journal, right), modelled_updates(journal, slip.move), *_disturbed(journal, right), strict=True
    )
    for step, (expected, slipped, *others) in enumerate(runs):
        if wrong := _wrong(slipped, expected, allowances(expected, others)):
            return step, wrong[0]
    return None


def _disturbed(journal: Journal, move: Model) -> list[Iterator[Params]]:
    return [modelled_updates(journal, move, seed=seed) for seed in range(RUNS)]
