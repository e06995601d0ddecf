"""Free-running: everything on the way of a candidate's own values, and how far it may stray there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from scratchproof.exam.compare import Comparison, compare
from scratchproof.oracle.rounding import Rounding
from scratchproof.oracle.tolerance import REPEATS, Tolerance, disturbed, within
from scratchproof.tracing.sides import SAMPLED, Run, Values
from scratchproof.vjp import Array, Precision

ELEMENTS, FEWEST = 2**20, 2**8
NOTHING = np.zeros(())
EXACTLY = Tolerance(allowed=NOTHING, ceiling=NOTHING, scale=0.0, offset=0.0)
ANYTHING = Tolerance(allowed=NOTHING + np.inf, ceiling=NOTHING + np.inf, scale=np.inf, offset=np.inf)


@dataclass(slots=True, kw_only=True)
class Free:
    """What a truth computes in one run, and its disturbed runs so far.

    again: one run more. precision: the candidates'. computes: what they compute in. elements: of all values of a run
    together: where there are more, fewer of each stand for all.
    """

    truth: Run
    again: Callable[[], Run]
    precision: Precision
    computes: Precision
    seed: int
    elements: int = ELEMENTS
    _most: int = field(init=False)
    _rounding: Rounding = field(init=False)
    _runs: list[tuple[set[str], list[Values]]] = field(init=False, default_factory=list)
    _found: dict[tuple[str, int], Tolerance] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._rounding = Rounding(self.computes, self.seed)
        count = sum(value.size for value in {id(v): v for v in self.truth.values.values()}.values())
        self._most = max(FEWEST, SAMPLED * self.elements // max(count, self.elements))
        self.truth = self.truth.thinned(self._most)

    def compared(self, found: Run, repeats: int = REPEATS, names: Iterable[str] | None = None) -> dict[str, Comparison]:
        """What was found, all of it or some names, beside the truth. repeats: from how many disturbed runs."""
        found = found.thinned(self._most)
        same, known = self.truth.same, dict[tuple[str, int], Comparison]()
        wanted = [n for n in (self.truth.values if names is None else names) if n in found.values]
        self._derive(repeats, {same[n] for n in wanted})
        for name in wanted:  # one call's result is mostly another's input
            if (key := (same[name], id(found.values[name]))) not in known:
                known[key] = self._held_to(found, name, self._found[same[name], repeats])
        return {n: known[same[n], id(found.values[n])] for n in wanted}

    def _held_to(self, found: Run, name: str, tolerance: Tolerance) -> Comparison:
        if tolerance is ANYTHING:
            return Comparison(problem=None, message="rounding may route it elsewhere")
        if found.shapes[name] != self.truth.shapes[name]:
            message = f"has shape {found.shapes[name]}, but should be {self.truth.shapes[name]}"
            return Comparison(problem="shape", message=message)
        return compare(found.values[name], self.truth.values[name], tolerance, self.precision)

    def _derive(self, count: int, names: set[str]) -> None:
        """What the names are allowed, from that many runs. Beyond the usual number runs are kept of what strays."""
        lacking = {n for n in names if (n, count) not in self._found}
        if not lacking:
            return
        if any(not lacking <= kept for kept, _ in self._runs[REPEATS:]):
            del self._runs[REPEATS:]
        for repeat in range(len(self._runs), count):
            kept = set(self.truth.same.values()) if repeat < REPEATS else lacking
            runs = disturbed(self._again, self.computes, self._rounding, seed=self.seed + repeat, repeats=1)
            self._runs.append((kept, [{n: run[n] for n in kept if n in run} for run in runs]))
        runs = [run for _, of_one in self._runs[:count] for run in of_one]
        routed = {n for n in lacking if any(_elsewhere(self.truth.values[n], run.get(n)) for run in runs)}
        exact = {n for n in lacking - routed if self.truth.values[n].dtype.kind != "f"}
        held = {n: self.truth.values[n] for n in lacking - routed - exact}
        self._found |= {
            (n, count): tolerance for n, tolerance in within(runs, held, self.computes, self._rounding).items()
        }
        self._found |= {(n, count): ANYTHING for n in routed} | {(n, count): EXACTLY for n in exact}

    def _again(self) -> Values:
        return self.again().thinned(self._most).values


def _elsewhere(expected: Array, disturbed: Array | None) -> bool:
    """Whether a disturbed run has gone another way: what it has there is not to be compared, or are other numbers."""
    if disturbed is None or disturbed.shape != expected.shape:
        return True
    return expected.dtype.kind != "f" and not np.array_equal(disturbed, expected)
