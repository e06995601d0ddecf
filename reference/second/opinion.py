"""Both oracles asked the same: where torch and JAX disagree, a third arbiter says who is out.

Of a value the third is the subject under examination; of a gradient it is central differences of the value, along the
direction in which the two part. At a kink both may be right: then the note says so and cites docs/atlas.md.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from scratchproof.errors import InputError
from scratchproof.exam.arbiters import central_difference
from scratchproof.exam.compare import Comparison, Report, Result, Verdict, compare
from scratchproof.exam.exam import EFFORTS, Exam, Trial
from scratchproof.exam.judge import Measured, quantities
from scratchproof.oracle.kinks import subgradients
from scratchproof.sandbox.failures import Failure
from scratchproof.second.in_jax import ATLAS, expressions
from scratchproof.subjects.jax import from_jax
from scratchproof.subjects.subject import ContractError, Subject
from scratchproof.table.layers import Layer
from scratchproof.vjp import PRECISIONS, Answer, Array, Function, by_name

CHECK = "second oracle"
CITED = "docs/atlas.md has it"


@dataclass(kw_only=True)
class Second:
    """JAX beside torch. asked, quantities: rows and numbers that both were asked for so far; parted: how often in vain.

    rows: the rows in JAX, all there are unless given. Raises: InputError where JAX is missing.
    """

    rows: Mapping[str, Callable[..., Any]] | None = None
    asked: int = 0
    quantities: int = 0
    parted: int = 0

    def __post_init__(self) -> None:
        self.rows = expressions() if self.rows is None else self.rows

    def heard(self, report: Report, subject: Subject, layer: Layer, *, seed: int = 0, effort: str = "normal") -> Report:
        """The report with what JAX says of the truth that it rests on; as it is where the row is not written in JAX.

        Where torch is out, or nobody can tell, the row is SUSPECT; JAX's own faults and kinks are told and pass.
        """
        assert self.rows is not None
        expression = self.rows.get(layer.name)
        if expression is None or report.verdict is Verdict.MISSING:
            return report
        exam = Exam(subject=subject, layer=layer, precision=PRECISIONS["float64"], seed=seed, effort=EFFORTS[effort])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of what overflows on purpose
            results = tuple(self._opinions(exam, expression))
        self.asked, self.parted = self.asked + 1, self.parted + len(results)
        verdict = max((report.verdict, *(r.verdict for r in results)), key=lambda v: v.gravity)
        return replace(report, verdict=verdict, results=(*report.results, *results))

    def told(self) -> str:
        """A sentence on what both were asked, and how it went."""
        parted = f"they part in {self.parted}" if self.parted else "they agree in all"
        return f"torch and JAX were both asked for {self.quantities:,} quantities of {self.asked} rows: {parted}"

    def _opinions(self, exam: Exam, expression: Callable[..., Any]) -> Iterator[Result]:
        for trial in (*exam.trials, *exam.corner_trials()):
            if trial.corner.empty:
                continue
            theirs = from_jax(
                partial(expression, **trial.case.options),
                exam.layer.signature.fill if exam.layer.signature else lambda values: list(values.values()),
                exam.precision,
                exam.layer.constant,
            )
            found = _answered(theirs, trial)
            told: set[str] = set()
            for measured in quantities(trial, found):
                if trial.corner.nonfinite and measured.quantity not in trial.outputs:
                    continue  # gradients at nan are nobody's definition
                self.quantities += 1
                comparison = compare(measured.actual, measured.expected, measured.tolerance, exam.precision)
                if comparison.problem and measured.quantity not in told:
                    told.add(measured.quantity)
                    yield _parting(exam, trial, measured, comparison)


def _answered(theirs: Function, trial: Trial) -> Answer:
    """What JAX gives; no gradients where its outputs have other shapes. Raises: InputError for other outputs."""
    outs, pullback = by_name(theirs)(**trial.inputs)
    if list(outs) != list(trial.truth.outs):
        raise InputError(f"{trial.layer.name}: JAX gives {', '.join(outs)}, but torch {', '.join(trial.truth.outs)}")
    fit = all(outs[name].shape == due.shape for name, due in trial.truth.outs.items())
    return Answer(outs=outs, grads=tuple(pullback(dout) for dout in trial.cotangents if fit))


def _parting(exam: Exam, trial: Trial, measured: Measured, comparison: Comparison) -> Result:
    decided = _of_value if measured.quantity in trial.outputs else _of_gradient
    verdict, judgement = decided(exam, trial, measured)
    where = f"{_difference(measured)}: {judgement}"
    return exam.result(
        CHECK, trial, measured.quantity, verdict=verdict, message=where, error=comparison.error,
        allowed=comparison.allowed, headroom=comparison.headroom,
    )  # fmt: skip


def _difference(measured: Measured) -> str:
    """The element in which the two are farthest apart."""
    _, theirs, ours, _, _ = measured
    if theirs.shape != ours.shape:
        return f"torch gives shape {ours.shape}, JAX {theirs.shape}"
    apart = np.nan_to_num(np.abs(theirs - ours), nan=np.inf)
    index = tuple(int(i) for i in np.unravel_index(int(apart.argmax()), ours.shape))
    at = f" at {index}" if index else ""
    return f"torch gives {ours[index]:.6g}, JAX {theirs[index]:.6g}{at}"


def _of_value(exam: Exam, trial: Trial, measured: Measured) -> tuple[Verdict, str]:
    """The subject sides with one of the two, or with neither."""
    quantity, theirs, ours, tolerance, _ = measured
    try:
        outs, _ = exam.function(trial)(**trial.given())
    except (Failure, ContractError):
        return Verdict.SUSPECT, "who is out cannot be told, for the subject gives no third value"
    third = trial.pick(Answer(outs=outs, grads=()), quantity)
    with_torch, with_jax = (compare(third, one, tolerance, exam.precision).problem is None for one in (ours, theirs))
    if with_torch == with_jax:
        return Verdict.SUSPECT, "who is out cannot be told, for the subject sides with neither alone"
    if with_torch:
        return Verdict.PASS, f"JAX is out: {exam.subject.name} sides with torch"
    return Verdict.SUSPECT, f"torch is out: {exam.subject.name} sides with JAX"


def _of_gradient(exam: Exam, trial: Trial, measured: Measured) -> tuple[Verdict, str]:
    """A kink allows both; else the slope of the value decides."""
    quantity, theirs, ours, tolerance, cotangent = measured
    name = quantity[1:]
    if theirs.shape != ours.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return Verdict.SUSPECT, f"who is out cannot be told by differences; {CITED}, if it is known"
    if trial.layer.kink:
        valid = subgradients(trial.layer, trial.case, trial.inputs, name, trial.cotangents[cotangent])
        if valid.hold(ours, tolerance.allowed) and valid.hold(theirs, tolerance.allowed):
            entry = ATLAS.get(trial.layer.name)
            return Verdict.PASS, f"a kink, and both are subgradients; {CITED}" + (f" under {entry}" if entry else "")
    return _by_slope(exam, trial, name, ours, theirs, cotangent)


def _by_slope(exam: Exam, trial: Trial, name: str, ours: Array, theirs: Array, cotangent: int) -> tuple[Verdict, str]:
    direction = (ours - theirs) / np.abs(ours - theirs).max()
    pulled = copy(trial)
    vars(pulled)["cotangents"] = (trial.cotangents[cotangent],)  # the one that differences pull back
    slope, allowed = central_difference(trial.oracle, pulled, name, direction)
    of_torch, of_jax = (float((gradient * direction).sum()) for gradient in (ours, theirs))
    right = [who for who, own in (("torch", of_torch), ("JAX", of_jax)) if abs(own - slope) <= allowed]
    said = (
        f"along the difference torch has {of_torch:.6g}, JAX {of_jax:.6g}, central differences of the value {slope:.6g}"
    )
    if right == ["torch"]:
        return Verdict.PASS, f"JAX is out: {said}"
    if right == ["JAX"]:
        return Verdict.SUSPECT, f"torch is out: {said}"
    who = "both are out" if not right else "who is out is too close to tell"
    return Verdict.SUSPECT, f"{who}: {said}"
