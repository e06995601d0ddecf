"""A model's trace as a tree on the terminal, and as JSON (format "scratchproof-model-trace", version 1).

Each cell is the error over its allowance where it comes closest to (or goes farthest beyond) it: below 1 is within
rounding. "forced" is on the truth's own values, "free" on the way of the candidate's own. A module stands above what
it calls.
"""

import io
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scratchproof.exam.compare import Comparison
from scratchproof.report.text import plain
from scratchproof.tracing.calls import ROOT
from scratchproof.tracing.lines import CallLine, Trace

LEGEND = (
    "Each number is an error over what rounding may make of it, where that is worst: above 1 is too much.\n"
    "forced: on the truth's own values, which shows where an error is made; free: on what came before."
)
FORMAT, VERSION = "scratchproof-model-trace", 1
WIDTH = 120


def show_model(console: Console, found: Trace) -> None:
    """Print one line a call in order of computation, and what follows."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("call", no_wrap=True)
    for heading in ("out, forced", "out, free", "gradients, forced", "gradients, free"):
        table.add_column(heading, justify="right", no_wrap=True)
    for path, lines in _by_path(found):
        culprit = path == found.culprit
        told = Text(
            f"{indented(path)}{'  <- first divergence' if culprit else ''}", style="bold red" if culprit else ""
        )
        table.add_row(told, *(_cell(c) for c in _columns(lines)))
    console.print(table, highlight=False)
    console.print(Text(f"\n{LEGEND}", style="dim"), soft_wrap=True)
    console.print(Text(f"\n{plain(found.verdict)}", style="green" if found.passed else "bold red"), soft_wrap=True)
    for note in found.notes:
        console.print(Text(f"note: {plain(note)}", style="yellow"), soft_wrap=True)


def printed(found: Trace) -> str:
    """What `show_model` prints, as text."""
    stream = io.StringIO()
    show_model(Console(file=stream, width=WIDTH), found)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def document(found: Trace, model: str = "a model", environment: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every line with its error and allowance, teacher-forced and free-running; JSON's numbers alone.

    model: what the candidate is called. environment: versions and the machine.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": model,
        "environment": dict(environment or {}),
        "precision": found.precision,
        "seed": found.seed,
        "passed": found.passed,
        "culprit": found.culprit or None,
        "drifts": found.drifts,
        "verdict": found.verdict,
        "notes": list(found.notes),
        "only_in_candidate": list(found.only_here),
        "only_in_truth": list(found.only_there),
        "lines": [
            {
                "path": line.path,
                "quantity": line.quantity,
                "shape": list(line.shape),
                "forced": _numbers(line.forced),
                "free": _numbers(line.free),
            }
            for line in found.lines
        ],
    }


def _by_path(found: Trace) -> Iterator[tuple[str, list[CallLine]]]:
    lines: dict[str, list[CallLine]] = {}
    for line in found.lines:
        lines.setdefault(line.path, []).append(line)
    yield from ((path, lines[path]) for path in above(lines))


def above(paths: Iterable[str]) -> list[str]:
    """The same paths, in order but for every module's standing above what it calls."""
    there, found = dict.fromkeys(paths), dict[str, None]()
    for path in there:
        module = path.partition(" ")[0]
        parts = [] if module == ROOT else module.split(".")
        for holder in (ROOT, *(".".join(parts[:i]) for i in range(1, len(parts) + 1))):
            if holder in there:
                found[holder] = None
        found[path] = None
    return list(found)


def _columns(lines: list[CallLine]) -> Iterator[list[Comparison]]:
    forward = [line for line in lines if not line.quantity.startswith(("d", "in"))]
    backward = [line for line in lines if line.quantity.startswith("d")]
    for group in (forward, backward):
        yield [line.forced for line in group if line.forced is not None]
        yield [line.free for line in group if line.free is not None]


def _cell(comparisons: list[Comparison]) -> Text:
    if not comparisons:
        return Text("")
    worst = max(comparisons, key=_ratio)
    wrong = any(c.problem for c in comparisons)
    ratio = _ratio(worst)
    return Text(share(ratio), style="bold red" if wrong else "")


def share(ratio: float) -> str:
    """An error over its allowance, to two digits; "wrong" where it has no size."""
    if math.isinf(ratio):
        return "wrong"
    return f"{float(f'{ratio:.2g}'):,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _ratio(comparison: Comparison) -> float:
    if comparison.error is None or not comparison.allowed:
        return math.inf if comparison.problem else 0.0
    return comparison.error / comparison.allowed


def indented(path: str) -> str:
    """A path as deep in the tree as it has parts, by its last part."""
    if path == ROOT:
        return path
    module, arrow, function = path.partition(" -> ")
    depth = 0 if module == ROOT else module.count(".")
    return "  " * (depth + 1) + f"-> {function}" if arrow else "  " * depth + path.rpartition(".")[2]


def _numbers(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "problem": comparison.problem,
        "message": comparison.message,
        "error": _finite(comparison.error),
        "allowed": _finite(comparison.allowed),
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
