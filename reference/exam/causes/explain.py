"""From what was seen to the cause of each wrong result: the mistake that reproduces it, or what is known of it.

A mistake explains a quantity if it gives, in every trial, what the subject gave, and in one at least something else
than is due. What also explains everything else that it changes comes first. Several that fit equally are told so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from scratchproof.exam.causes.alone import SUMMED, rows, suspected
from scratchproof.exam.causes.evidence import Item, Place, belonging, items
from scratchproof.exam.causes.facts import KNOWN, UNTOUCHED, WhichSizes, facts
from scratchproof.exam.causes.whole import SELDOM, Mistake, given, mistakes
from scratchproof.exam.compare import Result, Severity, Verdict
from scratchproof.exam.exam import Exam, Seen
from scratchproof.vjp import Array

LARGE = 1_000_000  # elements of an input beyond which no mistakes are tried
MOST = 3  # so many causes that fit equally are told
ENOUGH = 8  # elements of an array that may speak for one case alone


class Candidate(NamedTuple):
    """A sentence that explains a quantity. rank: the lower, the better it fits. mistake: what it says, if computed."""

    rank: tuple[int, ...]
    sentence: str
    mistake: Mistake | None = None


def explained(exam: Exam) -> list[Result]:
    """The exam's results, those that are wrong with their cause where one is known, or with what is known."""
    readings: dict[tuple[str, str], Reading] = {}
    sizes = WhichSizes(exam)

    def caused(result: Result) -> Result:
        key = (result.check, result.case)
        coarse = result.cause if result.severity is Severity.PRECISION else ""  # how it may have been computed
        if result.verdict is Verdict.PASS or (result.cause and not coarse) or not result.quantity:
            return result
        if key not in readings:
            belong = belonging(exam, *key)
            told = {id(one) for one in belong}
            readings[key] = Reading(belong, [one for one in exam.seen if id(one) not in told])
        reading = readings[key]
        cause = reading.cause(result.quantity, result.case, coarse)
        if result.check == "values" and cause.startswith(KNOWN):
            cause = reading.of_case(result.quantity, result.case) or cause
        if result.check == "values" and (not cause or cause.startswith(KNOWN)) and (where := sizes.told(result)):
            cause = f"{KNOWN}{where}; {cause.removeprefix(KNOWN)}" if cause else where
        return replace(result, cause=cause)

    return [caused(result) for result in exam.results]


class Reading:
    """What some trials say together. others: further trials, asked where several mistakes fit equally."""

    def __init__(self, seen: Sequence[Seen], others: Sequence[Seen] = ()) -> None:
        self.seen, self.others = seen, others
        self.by_quantity: dict[str, list[Item]] = {}
        self.whole: list[tuple[Mistake, Standing]] | None = None

    def cause(self, quantity: str, case: str, coarse: str = "") -> str:
        """A sentence on why the quantity is wrong in a case; empty where nothing is known.

        coarse: the arithmetic that would explain it, told if no mistake does.
        """
        here = [item for item in self.items(quantity) if item.trial.name == case]
        if not here:
            return coarse
        found = sorted(self.candidates(quantity), key=lambda one: one.rank) if self.telling(quantity) else []
        equal = [one for one in found if one.rank == found[0].rank]
        best = list(dict.fromkeys(one.sentence for one in self._unrefuted(equal, quantity)))
        if best:
            first = next((item for item in here if item.wrong), here[0])
            return _joined([_filled(sentence, first) for sentence in best])
        if coarse in here[0].trial.layer.careless:
            return coarse
        if self._untouched(quantity):
            return UNTOUCHED
        known = facts(here, [item for one in self.outputs() for item in self.items(one)])
        return "; ".join(one for one in (coarse, known) if one)

    def of_case(self, quantity: str, case: str) -> str:
        """What explains a case by itself, this one or another, where all are wrong: elsewhere another hides it."""
        names = dict.fromkeys((case, *(one.trial.name for one in self.seen)))
        if len({item.trial.name for item in self.items(quantity) if item.wrong}) < len(names):
            return ""
        for name in names:
            if said := self._by_itself(quantity, name):
                return (
                    f"in this case {said}; elsewhere more is wrong"
                    if name == case
                    else f"in the case of {name} {said}; here more is wrong"
                )
        return ""

    def _by_itself(self, quantity: str, case: str) -> str:
        alone = Reading([one for one in self.seen if one.trial.name == case])
        item = next((item for item in alone.items(quantity) if item.wrong), None)
        if len(alone.seen) == len(self.seen) or item is None or item.expected.size < ENOUGH:
            return ""
        found = sorted(alone.candidates(quantity), key=lambda one: one.rank) if alone.telling(quantity) else []
        best = list(dict.fromkeys(one.sentence for one in found if one.rank == found[0].rank))
        return _filled(best[0], item) if len(best) == 1 else ""

    def _unrefuted(self, equal: list[Candidate], quantity: str) -> list[Candidate]:
        """Of those that fit equally, the ones that also give what was given in the other trials; all if none does."""
        if len(equal) < 2:
            return equal
        elsewhere = [item for item in items(self.others, quantity) if item.expected.dtype.kind == "f"]

        def holds(one: Candidate) -> bool:
            said = ((item, given(one.mistake, item.trial).get(item.place)) for item in elsewhere if one.mistake)
            return all(made is None or item.reproduced(made) for item, made in said)

        return [one for one in equal if holds(one)] or equal

    def _untouched(self, quantity: str) -> bool:
        """Whether the gradient of a loss is in every case the zeros that it is handed out with."""
        found = [item for item in self.items(quantity) if item.signals]
        layer = self.seen[0].trial.layer
        return bool(found) and layer.kind == "loss" and not any(item.actual.any() for item in found)

    def items(self, quantity: str) -> list[Item]:
        if quantity not in self.by_quantity:
            self.by_quantity[quantity] = items(self.seen, quantity)
        return self.by_quantity[quantity]

    def outputs(self) -> list[str]:
        return list(self.seen[0].trial.outputs)

    def telling(self, quantity: str) -> list[Item]:
        """The items from which something can be concluded; none if none of them is wrong."""
        found = [item for item in self.items(quantity) if item.speaks]
        return found if any(item.wrong for item in found) else []

    def candidates(self, quantity: str) -> Iterator[Candidate]:
        if any(value.size > LARGE for value in self.seen[0].trial.inputs.values()):
            return  # each mistake is a computation of its own
        for mistake, standing in self.standings():
            if quantity in standing.explains:
                partly = bool(standing.contradicted)
                rank = (max(mistake.rank, int(partly)), int(partly), -len(standing.explains))
                yield Candidate(rank, f"{self._way(quantity) if partly else ''}{mistake.sentence}", mistake)
        for sentence in self._alone(quantity):
            yield Candidate((1, 0, -2 if sentence.startswith(SUMMED) else -1), sentence)

    def standings(self) -> "list[tuple[Mistake, Standing]]":
        if self.whole is None:
            found = ((mistake, self._standing(mistake)) for mistake in mistakes(self.seen[0].trial.layer))
            self.whole = [(mistake, standing) for mistake, standing in found if self._counts(mistake, standing)]
        return self.whole

    def _counts(self, mistake: Mistake, standing: "Standing") -> bool:
        """Whether it explains anything; what is seldom done must explain all that it changes, or an output."""
        if mistake.rank < SELDOM or not standing.contradicted:
            return bool(standing.explains)
        return bool(standing.explains.intersection(self.outputs()))

    def _standing(self, mistake: Mistake) -> "Standing":
        explains, contradicted = set(), set()
        for quantity in self._quantities():
            found = self.items(quantity)
            said = [(item, made) for item in found if (made := given(mistake, item.trial).get(item.place)) is not None]
            if not any(item.changed(made, clearly=mistake.rank > 0) for item, made in said):
                continue
            telling = [i for i in self.telling(quantity) if mistake.rank == 0 or i.expected.dtype.kind == "f"]
            if telling and _fits(telling, {(item.trial.name, item.place): made for item, made in said}):
                explains.add(quantity)
            else:
                contradicted.add(quantity)
        return Standing(frozenset(explains), frozenset(contradicted))

    def _alone(self, quantity: str) -> Iterator[str]:
        """The sentences about this array alone that hold in every trial."""
        telling = [item for item in self.telling(quantity) if item.expected.dtype.kind == "f"]
        said = [list(suspected(item)) for item in telling]
        for sentence in dict.fromkeys(sentence for one in said for sentence, _ in one):
            for made in zip(*(_all_of(sentence, one) for one in said), strict=False):
                pairs = [(item, one) for item, one in zip(telling, made, strict=True) if one is not None]
                if not any(item.changed(one, clearly=True) for item, one in pairs):
                    continue
                if _fits(telling, {(item.trial.name, item.place): one for item, one in pairs}):
                    yield sentence
                    break

    def _quantities(self) -> list[str]:
        trial = self.seen[0].trial
        return [*trial.outputs, *(f"d{name}" for name in (trial.truth.grads[0] if trial.truth.grads else ()))]

    def _way(self, quantity: str) -> str:
        return "in forward, " if quantity in self.outputs() else "in backward, "


class Standing(NamedTuple):
    """How a mistake stands to what was seen. contradicted: what it changes, but not to what was given."""

    explains: frozenset[str]
    contradicted: frozenset[str]


def _fits(found: Sequence[Item], made: dict[tuple[str, Place], Array]) -> bool:
    """Whether a mistake gives all that was given, and shows.

    What it says nothing of must be right, or of another shape: where a mistake makes no sense, so does the result.
    """
    shows = False
    for item in found:
        mistaken = made.get((item.trial.name, item.place))
        if mistaken is None:
            if item.wrong and item.actual.shape == item.expected.shape:
                return False
        elif not item.reproduced(mistaken):
            return False
        else:
            shows = shows or (item.wrong and item.changed(mistaken))
    return shows


def _all_of(sentence: str, said: list[tuple[str, Array]]) -> list[Array | None]:
    """What a sentence would make of one item, in each of its variants."""
    return [made for other, made in said if other == sentence] or [None]


def _filled(sentence: str, item: Item) -> str:
    return sentence.replace("{N}", str(rows(item.trial)))


def _joined(sentences: list[str]) -> str:
    if len(sentences) == 1:
        return sentences[0]
    more = f" (and {len(sentences) - MOST} more)" if len(sentences) > MOST else ""
    return f"these fit equally: {'; or '.join(sentences[:MOST])}{more}"
