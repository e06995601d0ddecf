"""What speaks for a mistake: the arrays that a subject gave, beside what is due and what the mistake would give."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from scratchproof.exam.exam import Exam, Seen, Trial
from scratchproof.vjp import Answer, Array

Place: TypeAlias = tuple[str, int]
"""A quantity ("out", "loss", "d" and an input's name) and the index of the cotangent that was pulled back."""
Mistaken: TypeAlias = Mapping[Place, Array]
"""What a mistake gives in one trial, for as much as it says something about."""

ROOM = 4.0  # times the allowance within which a mistake is reproduced: its own rounding is another than the truth's
FAR = 16.0  # times as far from the truth must a mistake be to be told from it
LARGER = 3  # shapes beside a shrunk one, where truth is often 0
SIGNAL = 1e3  # times the allowance must the truth reach to say anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One array of one answer: what was given, what is due, and what is allowed between them."""

    trial: Trial
    place: Place
    actual: Array
    expected: Array
    allowed: Array

    @property
    def speaks(self) -> bool:
        """Whether a match would mean anything: the truth and what was given are no mere zeros, dust or nan."""
        if self.expected.dtype.kind != "f":
            return bool(self.expected.size)
        floor = SIGNAL * self.allowed.max(initial=0.0)
        return self.signals and (self.actual.size == 0 or _size(self.actual, odd=np.inf) > floor)

    @property
    def signals(self) -> bool:
        """Whether the truth is finite, and more than what rounding may leave."""
        return bool(np.isfinite(self.expected).all()) and _size(self.expected) > SIGNAL * self.allowed.max(initial=0.0)

    @property
    def wrong(self) -> bool:
        return not _near(self.actual, self.expected, self.allowed)

    def reproduced(self, mistaken: Array) -> bool:
        """Whether the mistake gives what the subject gave."""
        return _near(self.actual, mistaken, self._room(mistaken))

    def changed(self, mistaken: Array, *, clearly: bool = False) -> bool:
        """Whether the mistake can be told from the truth; clearly: by more than half of the digits."""
        apart = FAR * self._room(mistaken)
        if clearly:
            apart = np.maximum(apart, self.trial.precision.unit**0.5 * _size(self.expected))
        return not _near(mistaken, self.expected, apart)

    def _room(self, mistaken: Array) -> Array:
        """What the mistake's own result may stray: as much as the truth, relative to its size."""
        grown = max(1.0, _size(mistaken) / (_size(self.expected) or 1.0))
        if mistaken.shape == self.allowed.shape:
            return ROOM * grown * self.allowed
        return np.full(mistaken.shape, ROOM * grown * self.allowed.max(initial=0.0) * max(1, self.expected.size) ** 0.5)


def items(seen: Iterable[Seen], quantity: str) -> list[Item]:
    """Everything that was given for one quantity."""
    found = []
    for one in seen:
        trial = one.trial
        if quantity in trial.outputs:
            found.append(_item(one, (quantity, 0)))
        else:
            found += [_item(one, (quantity, index)) for index in range(len(one.found.grads))]
    return [item for item in found if item is not None]


def _item(one: Seen, place: Place) -> Item | None:
    trial, (quantity, cotangent) = one.trial, place
    try:
        actual = trial.pick(one.found, quantity, cotangent)
        expected, tolerance = trial.pick(trial.truth, quantity, cotangent), trial.tolerance(quantity, cotangent)
    except (KeyError, IndexError):
        return None
    return Item(trial=trial, place=place, actual=actual, expected=expected, allowed=tolerance.allowed)


def by_place(trial: Trial, found: Answer) -> Mistaken:
    """An answer's arrays by what messages call them."""
    outs = {called: found.outs[name] for called, name in trial.outputs.items() if name in found.outs}
    places: dict[Place, Array] = {(called, 0): out for called, out in outs.items()}
    for index, grads in enumerate(found.grads):
        places |= {(f"d{name}", index): grad for name, grad in grads.items()}
    return places


def belonging(exam: Exam, check: str, case: str) -> Sequence[Seen]:
    """What was seen in the named cases, in the one that is asked about, and in the largest that it was shrunk from."""
    found = [one for one in exam.seen if one.check == "values" or (one.check, one.trial.name) == (check, case)]
    if check != "shapes":
        return found
    others = [one for one in exam.seen if one.check == check and one.trial.name != case]
    return found + sorted(others, key=lambda one: -sum(value.size for value in one.trial.inputs.values()))[:LARGER]


def _near(a: Array, b: Array, allowed: Array) -> bool:
    """Whether two arrays agree, nan with nan and infinity with infinity."""
    if a.shape != b.shape:
        return False
    with np.errstate(all="ignore"):
        same = (a == b) | (np.abs(np.subtract(a, b, dtype=np.float64)) <= allowed) | (np.isnan(a) & np.isnan(b))
    return bool(same.all())


def _size(array: Array, *, odd: float = 0.0) -> float:
    """The largest absolute value; `odd` where there is a nan or an infinity."""
    finite = np.isfinite(array)
    return odd if odd and not finite.all() else float(np.abs(array[finite]).max(initial=0.0))
