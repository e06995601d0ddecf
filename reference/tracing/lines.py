"""What a trace found, quantity by quantity in order of computation, and which call is to blame."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from scratchproof.exam.compare import Comparison
from scratchproof.tracing.calls import ROOT
from scratchproof.tracing.sides import Run

CUT = "no gradient goes through it, though one goes through the truth's"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLine:
    """One quantity of one call: `layer1.0.conv1` and `out`, `dx`, `dout`, `dweight` or the name of a buffer.

    forced, free: how it compares; None where that way of running has nothing to compare.
    """

    path: str
    quantity: str
    shape: tuple[int, ...]
    forced: Comparison | None = None
    free: Comparison | None = None

    @property
    def wrong(self) -> bool:
        return self.forced is not None and self.forced.problem is not None

    @property
    def strays(self) -> bool:
        return self.free is not None and self.free.problem is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What `trace` found: its lines in order of computation, and the first divergence, if any. Prints as a tree.

    culprit: the path of the first call that is wrong by itself, or whose input is not the truth's ("" where all
    agree). reason: a sentence. drifts: every call is right by itself, and yet the whole strays beyond what rounding
    explains: it took another side of a kink. notes: sentences that change no verdict: another subgradient at a kink,
    what could not be seen. only_here, only_there: calls that one side alone makes.

    >>> import torch
    >>> from scratchproof import trace
    >>> found = trace(torch.nn.Linear(3, 4), inputs=torch.ones(2, 3))
    >>> found.passed, found.culprit, found.drifts
    (True, '', False)
    """

    precision: str
    seed: int
    lines: tuple[CallLine, ...]
    culprit: str = ""
    reason: str = ""
    drifts: bool = False
    notes: tuple[str, ...] = ()
    only_here: tuple[str, ...] = ()
    only_there: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.culprit

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.culprit:
            return f"first divergence: {self.culprit}: {self.reason}"
        if self.drifts:
            first = next(line for line in self.lines if line.strays)
            return (
                f"every call is right by itself; the whole strays beyond its allowance, first in {first.path} "
                f"{first.quantity}: it drifts across a kink (a ReLU or a maximum that falls on the other side)"
            )
        return f"every call agrees in {self.precision}, by itself and in the whole"

    @property
    def problem(self) -> str:
        """What `assert_passes` says: nothing where all agree or the whole only drifts."""
        return self.verdict if self.culprit else ""

    def __str__(self) -> str:
        from scratchproof.tracing.shown.tree import printed

        return printed(self)


def in_order(truth: Run, forced: Mapping[str, Any], free: Mapping[str, Comparison]) -> Iterator[CallLine]:
    """Forward in order of calls, then backward from the last call to the first."""
    keys = list(dict.fromkeys([*truth.values, *forced]))
    by_path: dict[str, list[str]] = {}
    for key in keys:
        by_path.setdefault(key.split("\0")[0], []).append(key)
    order = [*truth.calls, *(path for path in by_path if path not in truth.calls)]
    for path in order:
        yield from (_line(key, truth, forced, free) for key in by_path.get(path, ()) if is_forward(key))
    for path in reversed(order):
        yield from (_line(key, truth, forced, free) for key in by_path.get(path, ()) if not is_forward(key))


def is_forward(key: str) -> bool:
    """Whether a quantity belongs to the pass forward: all do but gradients."""
    return not key.split("\0")[1].startswith("d")


def culprit_of(lines: tuple[CallLine, ...], truth: Run) -> CallLine | None:
    """The first line, in order of computation, that is wrong by itself, or of a call that gets another input."""
    strayed = False  # something that a call made, before
    for line in lines:
        if line.wrong:
            return _innermost(line, lines)
        wired = line.quantity.startswith("in") and line.path in truth.calls and truth.calls[line.path].leaf
        if wired and line.strays and not strayed:
            return line
        strayed = strayed or (line.strays and line.quantity.startswith("out"))
    return None


def _innermost(line: CallLine, lines: tuple[CallLine, ...]) -> CallLine:
    """Of modules one inside the other that are all wrong, the innermost is to blame."""
    for other in lines:
        if other.wrong and _inside(other.path, line.path):
            line = other
    return line


def _inside(path: str, outer: str) -> bool:
    return path != outer and (outer == ROOT or path.startswith(f"{outer.partition(' ')[0]}."))


def severed(found: Run, truth: Run) -> str:
    """The first call of the candidate through which no gradient goes, where one goes through the truth's; or ""."""
    cut = (path for path, call in found.calls.items() if call.cut)
    return next((path for path in cut if path not in truth.calls or not truth.calls[path].cut), "")


def below(path: str, modules: Set[str]) -> bool:
    """Whether a call is made inside one of the modules, "" being the whole model."""
    module = path.partition(" ")[0]
    parts = module.split(".")
    return "" in modules or any(".".join(parts[:i]) in modules for i in range(1, len(parts) + 1))


def reason_of(line: CallLine) -> str:
    """Why a culprit is one."""
    if line.wrong and line.forced is not None:
        return f"{line.quantity} is wrong on the truth's own values: {line.forced.message}"
    assert line.free is not None
    return f"it does not get what the truth gets: {line.free.message}"


def _line(key: str, truth: Run, forced: Mapping[str, Any], free: Mapping[str, Comparison]) -> CallLine:
    path, quantity = key.split("\0")
    by_itself, shape = forced.get(key, (None, ()))
    shape = truth.shapes.get(key, shape)
    return CallLine(path=path, quantity=quantity, shape=shape, forced=by_itself, free=free.get(key))
