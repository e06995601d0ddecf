"""The smallest inputs, with the shortest decimals, at which a mistake still shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from scratchproof.exam.beyond import RoughTrial
from scratchproof.exam.causes.alone import rows
from scratchproof.exam.compare import compare
from scratchproof.exam.exam import Exam, Trial
from scratchproof.exam.judge import quantities
from scratchproof.oracle.tolerance import Tolerance
from scratchproof.sandbox.failures import Raised
from scratchproof.table.layers import Case
from scratchproof.vjp import Array, Inputs, Outputs

ATTEMPTS = 40
SMALL = 3  # as many sizes of each letter, the smallest, are tried
DIGITS = (0, 1, 2, 3)  # decimals, if so few will do
RAISED = "raised"


@dataclass(kw_only=True)
class SmallTrial(RoughTrial):
    """A trial whose cotangents may be given, and are 1 where they are numbers."""

    douts: tuple[Outputs, ...] = field(default=())

    @cached_property
    def cotangents(self) -> tuple[Outputs, ...]:
        drawn = self.douts or super().cotangents[:1]
        return tuple({k: v if v.ndim else np.ones(()) for k, v in dout.items()} for dout in drawn)


def shrunk(exam: Exam, trial: Trial, quantity: str) -> SmallTrial | None:
    """The smallest trial found in which the quantity is wrong as it is in this one; None if it is not even here."""
    start = SmallTrial(**_fields(trial))
    wanted = how_wrong(exam, start, quantity)
    if not wanted:
        return None
    small = next((t for t in smaller(exam, start) if how_wrong(exam, t, quantity) == wanted), start)
    return next((t for t in _shorter(small) if how_wrong(exam, t, quantity) == wanted), small)


def how_wrong(exam: Exam, trial: Trial, quantity: str) -> str:
    """The kind of problem that the subject has with a quantity in a trial, or an empty string.

    Nothing is wrong where the truth, whoever wrote it, refuses the inputs.
    """
    try:
        assert trial.tolerances
    except Exception:
        return ""
    douts = [] if quantity in trial.outputs else trial.given_cotangents()
    (reply,) = exam.ask([(trial, trial.given(), douts)])
    if reply.failure or reply.outs is None:
        return RAISED if isinstance(reply.failure, Raised) else ""
    for measured in quantities(trial, reply.answer):
        if measured.quantity == quantity:
            return _clearly(measured.actual, measured.expected, exam, measured.tolerance)
    return ""


def _clearly(actual: Array, expected: Array, exam: Exam, tolerance: Tolerance) -> str:
    found = compare(actual, expected, tolerance, exam.precision)
    if found.problem != "value" or found.error is None:
        return found.problem or ""
    return "value" if found.error > 1e-3 * np.abs(expected).max(initial=0.0) else "a little"


def smaller(exam: Exam, trial: SmallTrial) -> Iterator[SmallTrial]:
    """Trials with fewer elements, those with the fewest first; the same for every subject."""
    key = ("smaller", id(trial.layer), trial.name, exam.precision.name, exam.seed)
    if key not in exam.papers:
        exam.papers[key] = tuple(_smaller(exam, trial))
    for one in exam.papers[key]:
        assert isinstance(one, SmallTrial)
        yield one


def _smaller(exam: Exam, trial: SmallTrial) -> Iterator[SmallTrial]:
    size = _elements(trial.inputs)
    found = [(c, i) for c, i in (*_other_sizes(exam, trial), *_fewer_rows(trial)) if 0 < _elements(i) < size]
    for case, inputs in sorted(found, key=lambda one: _elements(one[1]))[:ATTEMPTS]:
        yield replace(trial, case=case, inputs=exam.precision.rounded(inputs), name=trial.name)


def _other_sizes(exam: Exam, trial: Trial) -> Iterator[tuple[Case, Inputs]]:
    shapes = trial.layer.shapes
    if shapes is None:
        return
    letters = [sorted(sizes)[:SMALL] for sizes in shapes.letters.values()]
    every = [dict(zip(shapes.letters, sizes, strict=True)) for sizes in product(*letters)]
    legal = [sizes for sizes in every if shapes.legal(**sizes)]
    rng = np.random.default_rng(exam.seed)
    settings = shapes.settings_in(trial.case.options)
    for sizes in sorted(legal, key=lambda s: sum(s.values()))[: 8 * ATTEMPTS]:
        case = shapes.case(sizes, settings)
        yield case, trial.corner.inputs(trial.layer, case.inputs(rng), trial.precision, rng)


def _fewer_rows(trial: Trial) -> Iterator[tuple[Case, Inputs]]:
    batched = trial.layer.batched
    for count in range(1, rows(trial)):
        yield trial.case, {name: value[:count] if name in batched else value for name, value in trial.inputs.items()}


def _shorter(trial: SmallTrial) -> Iterator[SmallTrial]:
    """The same with every number rounded to few decimals."""
    for digits in DIGITS:
        inputs = {name: _rounded(value, digits) for name, value in trial.inputs.items()}
        douts = tuple({name: _rounded(value, digits) for name, value in dout.items()} for dout in trial.cotangents)
        yield replace(trial, inputs=inputs, douts=douts)


def _rounded(value: Array, digits: int) -> Array:
    return np.round(value, digits) + 0.0 if value.dtype.kind == "f" else value


def _elements(inputs: Inputs) -> int:
    return sum(value.size for value in inputs.values())


def _fields(trial: Trial) -> dict[str, Any]:
    names: Sequence[str] = ("layer", "case", "name", "precision", "inputs", "seed", "device", "corner")
    return {name: getattr(trial, name) for name in names} | {"pulls": 1}
