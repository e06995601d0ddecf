"""Free-running: everything on the way of a candidate's own values, and how far it may stray there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scratchproof.exam.compare import Comparison, compare
from scratchproof.oracle.rounding import Rounding
from scratchproof.oracle.tolerance import REPEATS, Tolerance, disturbed, within
from scratchproof.tracing.sides import Run, Values
from scratchproof.vjp import Precision


@dataclass(slots=True, kw_only=True)
class Free:
    """What a truth computes in one run, and its disturbed runs so far.

    again: one run more. precision: the candidates'. computes: what they compute in.
    """

    truth: Run
    again: Callable[[], Run]
    precision: Precision
    computes: Precision
    seed: int
    _rounding: Rounding = field(init=False)
    _runs: list[list[Values]] = field(init=False, default_factory=list)
    _found: dict[tuple[str, int], Tolerance] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._rounding = Rounding(self.computes, self.seed)

    def compared(self, found: Run, repeats: int = REPEATS, names: Iterable[str] | None = None) -> dict[str, Comparison]:
        """What was found, all of it or some names, beside the truth. repeats: from how many disturbed runs."""
        wanted = [n for n in (self.truth.values if names is None else names) if n in found.values]
        compared = {n: _shapes(found, self.truth, n) for n in wanted if found.shapes[n] != self.truth.shapes[n]}
        return compared | self._held_to(found, repeats, [n for n in wanted if n not in compared])

    def _held_to(self, found: Run, count: int, names: list[str]) -> dict[str, Comparison]:
        known: dict[tuple[str, int], Comparison] = {}  # one call's result is mostly another's input
        self._derive(count, {self.truth.same[n] for n in names})
        for name in names:
            key = self.truth.same[name], id(found.values[name])
            if key not in known:
                tolerance = self._found[key[0], count]
                known[key] = compare(found.values[name], self.truth.values[name], tolerance, self.precision)
        return {n: known[self.truth.same[n], id(found.values[n])] for n in names}

    def _derive(self, count: int, names: set[str]) -> None:
        """What the names are allowed, from that many runs. Beyond the usual number runs are kept of what strays."""
        lacking = {n for n in names if (n, count) not in self._found}
        if not lacking:
            return
        if any(n not in run for runs in self._runs[REPEATS:] for run in runs for n in lacking):
            del self._runs[REPEATS:]
        for repeat in range(len(self._runs), count):
            kept = set(self.truth.same.values()) if repeat < REPEATS else lacking
            self._runs.append([{n: run[n] for n in kept} for run in self._disturbed(repeat)])
        runs, truth = [run for of_one in self._runs[:count] for run in of_one], self.truth.values
        allowed = within(runs, {n: truth[n] for n in lacking}, self.computes, self._rounding)
        self._found |= {(n, count): tolerance for n, tolerance in allowed.items()}

    def _disturbed(self, repeat: int) -> list[Values]:
        seed = self.seed + repeat
        return disturbed(lambda: self.again().values, self.computes, self._rounding, seed=seed, repeats=1)


def _shapes(found: Run, truth: Run, name: str) -> Comparison:
    message = f"has shape {found.shapes[name]}, but should be {truth.shapes[name]}"
    return Comparison(problem="shape", message=message)
