"""The banks, what is asked of each, and how a run of them goes on where it was stopped."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from scratchproof.bank.kill import Bench
from scratchproof.bank.mechanical import changes
from scratchproof.bank.mistakes import NAMED, SOMETIMES, Slip, subject_of
from scratchproof.progress import Advance
from scratchproof.table.layers import LAYERS, Layer, row

MISTAKES = {"named": NAMED, "sometimes": SOMETIMES}
BANKS = (*MISTAKES, "mechanical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One wrong version of right code. text: what of it is wrong, so that a result is not taken for another's.

    rows: that may tell of it, the likeliest first. equivalent: why it is none should it live, where that is known.
    """

    bank: str
    name: str
    text: str
    kill: Callable[[Bench], str]
    rows: tuple[str, ...] = ()
    equivalent: str = ""

    @property
    def key(self) -> str:
        return f"{self.bank}: {self.name}"


def asked(bank: str, package: ModuleType, layers: Sequence[Layer] = ()) -> Iterator[Asked]:
    """What a bank holds for these rows, or for all. package: whose source is changed mechanically."""
    if bank in MISTAKES:
        wanted = {layer.name for layer in layers}
        for slip in MISTAKES[bank]:
            if not wanted or slip.row in wanted:
                name = f"{slip.row}: {slip.name}"
                yield Asked(
                    bank=bank,
                    name=name,
                    text=f"{name}\n{slip.function}\n{slip.old}\n{slip.new}",
                    kill=partial(_told, slip),
                    rows=(slip.row,),
                )
        return
    for change in changes(package, layers or LAYERS):
        yield Asked(
            bank=bank,
            name=change.name,
            text=f"{change.module}\n{change.mutant.changed}",
            kill=change.kill,
            rows=tuple(dict.fromkeys(layer.name for of_form in change.rows.values() for layer in of_form)),
            equivalent=change.equivalent,
        )


def _told(slip: Slip, bench: Bench) -> str:
    return bench.kill(subject_of(slip), [row(slip.row)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A file of results, one a line, each with what it is the result of: changed code is examined anew.

    again: whether what lived is examined anew too.
    """

    file: Path

    again: bool = False

    def known(self, bench: Bench, every: Sequence[Asked]) -> dict[str, str]:
        """What was told of each, of those examined before under the same conditions."""
        held = {of: told for of, told in self._lines() if told or not self.again}
        found = {one.key: held.get(_digest(one, bench)) for one in every}
        return {key: told for key, told in found.items() if told is not None}

    def examine(self, bench: Bench, every: Sequence[Asked], advance: Advance) -> dict[str, str]:
        """What is told of each; an empty string where nothing is."""
        known = self.known(bench, every)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as lines:
            for done, one in enumerate(every):
                advance(done, len(every))
                if one.key not in known:
                    known[one.key] = one.kill(bench)
                    line = {"of": _digest(one, bench), "mutant": one.key, "told": known[one.key]}
                    lines.write(json.dumps(line) + "\n")
                    lines.flush()
        return known

    def _lines(self) -> Iterator[tuple[str, str]]:
        if self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                held = json.loads(line)
                yield held["of"], held["told"]


def _digest(one: Asked, bench: Bench) -> str:
    whole = f"{one.bank}\n{one.text}\n{bench.effort} {bench.seed} {' '.join(bench.precisions)}"
    return hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How a bank fared: what it holds, what was caught, what of the rest is no other program, and what lives."""

    bank: str
    held: int
    equivalent: int
    caught: int
    lives: tuple[str, ...]

    @property
    def due(self) -> int:
        return self.held - self.equivalent

    @property
    def passed(self) -> bool:
        return self.caught == self.due

    def as_row(self) -> tuple[str, ...]:
        share = f"{100 * self.caught / self.due:.2f} %" if self.due else ""
        return (self.bank, f"{self.held:,}", f"{self.equivalent:,}", f"{self.caught:,}", f"{len(self.lives):,}", share)


def tally(bank: str, every: Sequence[Asked], told: dict[str, str]) -> Tally:
    """Count a bank's results. What has not been examined is neither caught nor alive."""
    alive = [one for one in every if told.get(one.key) == ""]
    return Tally(
        bank=bank,
        held=len(every),
        equivalent=sum(bool(one.equivalent) for one in alive),
        caught=sum(bool(told.get(one.key)) for one in every),
        lives=tuple(one.name for one in alive if not one.equivalent),
    )


def by_row(every: Sequence[Asked], told: dict[str, str]) -> dict[str, tuple[int, int]]:
    """For each row, how many it caught and how many were due. What lives is due from the likeliest row to tell."""
    counted: dict[str, tuple[int, int]] = {}
    for one in every:
        found = told.get(one.key)
        if found is None or (not found and one.equivalent):
            continue
        name = _teller(one, found)
        caught, due = counted.get(name, (0, 0))
        counted[name] = (caught + bool(found), due + 1)
    return counted


def _teller(one: Asked, told: str) -> str:
    """The row whose check told of it: a message names its row first."""
    message = told.partition(": ")[2]
    named = (name for name in sorted(one.rows, key=len, reverse=True) if message.startswith(name))
    return next(named, one.rows[0] if one.rows else "")
