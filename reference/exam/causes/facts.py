"""What is known of a wrong array where no mistake explains it: which elements are wrong, how they lie to the truth,
and for which sizes it is wrong at all.

Each statement has been checked against the arrays.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from operator import eq, gt, lt
from typing import NamedTuple

import numpy as np

from scratchproof.exam.beyond import RoughTrial, Sizes, drawn, trials_of
from scratchproof.exam.causes.evidence import Item
from scratchproof.exam.compare import Result, Severity, Verdict
from scratchproof.exam.exam import Exam, Trial
from scratchproof.exam.judge import judge
from scratchproof.table.layers import Shapes
from scratchproof.vjp import Array

KNOWN = "no known mistake fits; what is known: "
UNTOUCHED = "it is zero throughout: it is not computed yet, or not what is returned"
FEW = 8  # so many indices are told one by one
CHANCE = 1e-4  # with which a condition on the sizes that says nothing parts the wrong from the right
SHAPES, PATIENCE = 60, 2.0  # so many shapes are tried to see for which sizes a layer is wrong, or so many seconds
SIDE = 4  # so many of them must be right, and so many wrong


def facts(found: Sequence[Item], outputs: Sequence[Item]) -> str:
    """One sentence about the first wrong item, or an empty string. outputs: what was seen of the outputs."""
    item = next((item for item in found if item.wrong), None)
    if item is None:
        return ""
    told = "it is the same whatever dout is: dout takes no part" if _deaf(found) else next(_told(item), "")
    if item.place[0].startswith("d") and any(one.wrong and one.trial is item.trial for one in outputs):
        told = (
            f"{told}; the output is wrong already, and this may follow from it"
            if told
            else ("the output is wrong already, and this may follow from it")
        )
    return KNOWN + told if told else ""


def _deaf(found: Sequence[Item]) -> bool:
    """Whether a gradient is the same for two cotangents for which it should differ."""
    first, *others = found
    return any(
        one.trial is first.trial
        and one.place != first.place
        and first.actual.any()
        and np.array_equal(one.actual, first.actual)
        and not np.array_equal(one.expected, first.expected)
        for one in others
    )


def _told(item: Item) -> Iterator[str]:
    if item.actual.shape != item.expected.shape:
        yield from _shape(item)
        return
    if item.expected.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        actual = item.actual.astype(np.float64)
        bad = ~(np.abs(actual - item.expected) <= item.allowed) & ~(np.isnan(actual) & np.isnan(item.expected))
    if actual.size > 1 and not actual.any():
        yield "it is zero throughout"
    elif not np.isfinite(actual[bad]).all():
        yield f"{_kind(actual[bad])} where numbers are due, {_count(bad)}{_where(item, bad)}"
    else:
        yield from _pattern(item, actual, bad)


def _shape(item: Item) -> Iterator[str]:
    if item.actual.size == item.expected.size and item.actual.size > 1:
        if np.allclose(item.actual.ravel(), item.expected.ravel(), rtol=0, atol=4 * item.allowed.max()):
            yield "its numbers are right, in order, but not its shape"
        elif _same_numbers(item.actual, item.expected, item.allowed):
            yield "its numbers are right, but neither their order nor its shape"


def _pattern(item: Item, actual: Array, bad: Array) -> Iterator[str]:
    expected = item.expected
    if expected.size > 3 and 4 * bad.sum() > bad.size and (factor := _factor(item, actual)):
        yield f"it is {_times(factor)} times the right result throughout"
    difference = (actual - expected)[bad]
    spread = 8 * float(item.allowed.max())
    if difference.size > 1 and np.ptp(difference) <= spread < abs(difference[0]) / 8:
        yield f"{difference[0]:.6g} is added to {_count(bad)}{_where(item, bad)}"
    if _clear(item, actual) and bad.sum() > 1 and _same_numbers(actual, expected, item.allowed):
        yield f"its numbers are right, but {_count(bad)} are in another place{_where(item, bad)}"
    if actual.size > 2 and (actual == actual.flat[0]).all():
        yield f"every element is {actual.flat[0]:.6g}"
    if (digits := _digits(item, actual)) > 4:
        yield f"it is right to about {digits:.0f} digits of its largest element"
    if bad.any():
        what = "zero" if not actual[bad].any() else ""
        what = what or ("of the opposite sign" if _near(actual[bad], -expected[bad], item.allowed[bad]) else "")
        where = _where(item, bad)
        if what or where:
            yield f"{_count(bad)} {'are' if bad.size > 1 else 'is'} {what or 'wrong'}{where}"
    yield from _proportions(actual, expected)


def _proportions(actual: Array, expected: Array) -> Iterator[str]:
    """How large the array is beside the truth, element by element."""
    told = expected != 0
    ratios = actual[told] / expected[told]
    if not ratios.size:
        return
    turned = int((ratios < 0).sum())
    if turned:
        yield f"{turned} of {ratios.size} elements have the wrong sign" if ratios.size > 1 else "its sign is wrong"
    elif ratios.size == 1:
        yield f"it is {_times(float(ratios[0]))} times the right result in this case"
    else:
        yield f"each is {ratios.min():.3g} to {ratios.max():.3g} times the right result, and none has the wrong sign"


def _clear(item: Item, actual: Array) -> bool:
    """Whether the largest error is far more than rounding."""
    return item.speaks and float(np.abs(actual - item.expected).max()) > 1e3 * float(item.allowed.max())


def _digits(item: Item, actual: Array) -> float:
    """To how many digits of its largest element the array is right."""
    worst = float(np.abs(actual - item.expected).max()) / (float(np.abs(item.expected).max()) or 1.0)
    return -float(np.log10(worst)) if worst else np.inf


def _times(factor: float) -> str:
    """The factor to six digits; one near 1 by how far it is from it."""
    more = factor - 1
    return f"{factor:.6g}" if abs(more) > 1e-4 else f"1 {'+' if more > 0 else '-'} {abs(more):.3g}"


def _factor(item: Item, actual: Array) -> float:
    """The one factor by which every element is wrong, or 0."""
    expected = item.expected
    factor = float((actual * expected).sum() / (expected * expected).sum()) if expected.any() else 0.0
    room = 8 * max(1.0, abs(factor)) * item.allowed
    if not np.isfinite(factor) or not (np.abs(actual - factor * expected) <= room).all():
        return 0.0
    apart = abs(factor - 1) * float(np.abs(expected).max())
    return factor if apart > 1e3 * float(item.allowed.max()) else 0.0


def _where(item: Item, bad: Array) -> str:
    """Where the wrong elements lie, if that can be said in few words."""
    if bad.all() or bad.ndim == 0:
        return ""
    for told, mask in _masks(item):
        if np.array_equal(bad, mask):
            return f": all where {told}, and nowhere else"
    for axis in range(bad.ndim):
        others = tuple(a for a in range(bad.ndim) if a != axis)
        touched, filled = bad.any(others), bad.all(others)
        indices = np.flatnonzero(touched)
        if len(indices) < bad.shape[axis] and len(indices) <= max(1, bad.shape[axis] // 2):
            only = "all" if (touched == filled).all() else "all of them"
            return f": {only} at {_listed(indices)} of axis {axis}"
    if bad.ndim >= 2 and min(bad.shape[-2:]) > 2 and not bad[..., 1:-1, 1:-1].any():
        return ": all at the border of the last two axes"
    return ""


def _masks(item: Item) -> Iterator[tuple[str, Array]]:
    """Where the data or dout, if it is of the same shape, has a sign or is zero."""
    trial, (quantity, index) = item.trial, item.place
    douts = [] if quantity in trial.outputs else [("dout", value) for value in trial.cotangents[index].values()]
    for name, value in [(trial.layer.data, trial.inputs[trial.layer.data]), *douts]:
        if value.shape == item.expected.shape:
            yield from (
                (f"{name} is negative", value < 0),
                (f"{name} is positive", value > 0),
                (f"{name} is 0", value == 0),
            )


def _listed(indices: Array) -> str:
    shown = ", ".join(str(int(i)) for i in indices[:FEW])
    noun = "index" if len(indices) == 1 else "indices"
    return f"{noun} {shown}{', ...' if len(indices) > FEW else ''}"


def _same_numbers(a: Array, b: Array, allowed: Array) -> bool:
    return a.size > 1 and bool((np.abs(np.sort(a, None) - np.sort(b, None)) <= 4 * allowed.max()).all())


def _near(a: Array, b: Array, allowed: Array) -> bool:
    return bool((np.abs(a - b) <= 4 * allowed).all())


def _kind(values: Array) -> str:
    nan, inf = bool(np.isnan(values).any()), bool(np.isinf(values).any())
    return "nan and infinities" if nan and inf else "nan" if nan else "infinities"


def _count(bad: Array) -> str:
    return f"{int(bad.sum())} of {bad.size} elements" if bad.size > 1 else "the number"


class Tried(NamedTuple):
    """A shape that was tried: its sizes by letter, and whether each quantity was wrong, as far as it was given."""

    sizes: Sizes
    wrong: Mapping[str, bool]


class WhichSizes:
    """For which sizes the layer of an exam is wrong; tried once it is known to be wrong at all."""

    def __init__(self, exam: Exam) -> None:
        self.exam = exam
        self.tried: list[Tried] | None = None

    def told(self, result: Result) -> str:
        """A sentence on the sizes for which a result's quantity is wrong; empty where nothing can be said."""
        exam, asked = self.exam, result.severity in (Severity.CRASH, Severity.SHAPE, Severity.VALUE)
        late = any(one.verdict is Verdict.TIMEOUT for one in exam.results)
        if not asked or late or exam.layer.shapes is None or exam.precision.name != "float64":
            return ""
        if self.tried is None:
            self.tried = list(self._try(exam.layer.shapes))
        found = [(one.sizes, one.wrong[result.quantity]) for one in self.tried if result.quantity in one.wrong]
        return _parted(found)

    def _try(self, shapes: Shapes) -> Iterator[Tried]:
        began = time.monotonic()
        for trial in self.exam.drawn_once("sizes", lambda: trials_of(self.exam, shapes, drawn(shapes, 1, SHAPES))):
            assert isinstance(trial, RoughTrial)
            results = [] if trial.leftovers else list(judge(self.exam, [trial], "sizes"))
            if results and not any("AssertionError" in result.message for result in results):
                yield Tried({**trial.sizes, **_of_output(trial)}, _wrong(results))
            if time.monotonic() - began > PATIENCE:
                return


def _of_output(trial: Trial) -> dict[str, int]:
    """The height and width of images that come out."""
    shapes = [value.shape for value in trial.truth.outs.values() if value.ndim == 4]
    return {"H'": shapes[0][2], "W'": shapes[0][3]} if shapes else {}


def _wrong(results: Sequence[Result]) -> dict[str, bool]:
    """Whether each quantity that was given is wrong; what is not given, as none is after a crash, is left out."""
    found: dict[str, bool] = {}
    for result in results:
        bad = result.verdict is not Verdict.PASS and result.severity is not Severity.PRECISION
        found[result.quantity] = found.get(result.quantity, False) or bad
    return found


def _parted(found: Sequence[tuple[Sizes, bool]]) -> str:
    """The condition on the sizes that tells best which are right and which wrong; empty where chance may do as well."""
    bad = sum(wrong for _, wrong in found)
    if min(bad, len(found) - bad) < SIDE:
        return ""
    best, told = CHANCE, ""
    for condition, holds in _conditions(list(found[0][0])):
        met = [wrong for sizes, wrong in found if holds(sizes)]
        for word, alike, others in (("wrong", all(met), bad), ("right", not any(met), len(found) - bad)):
            chance = math.comb(others, len(met)) / math.comb(len(found), len(met))
            if alike and chance < best:
                left, rest = len(found) - len(met), others - len(met)
                more = f"in {rest} of the other {left}" if rest else "in no other"
                best, told = chance, f"it is {word} in all {len(met)} shapes tried where {condition}, and {more}"
    return told


def _conditions(letters: Sequence[str]) -> Iterator[tuple[str, Callable[[Sizes], bool]]]:
    """What may be said of sizes: of each by itself, then of two of them."""
    for a in letters:
        for value in (0, 1, 2):
            yield f"{a} is {value}", partial(_is, a, value)
    for a, b in combinations(letters, 2):
        for sign, relation in {"=": eq, ">": gt, "<": lt}.items():
            yield f"{a} {sign} {b}", partial(_compare, relation, a, b)


def _is(letter: str, value: int, sizes: Sizes) -> bool:
    return sizes[letter] == value


def _compare(relation: Callable[[int, int], bool], a: str, b: str, sizes: Sizes) -> bool:
    return relation(sizes[a], sizes[b])
