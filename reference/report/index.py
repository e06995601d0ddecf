"""Many submissions on one page, and as a table for a spreadsheet."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scratchproof.exam.compare import Verdict
from scratchproof.report.document import gravest, of_layers
from scratchproof.report.points import credits, total
from scratchproof.report.render import render
from scratchproof.report.text import plain

FORMULA = ("=", "+", "-", "@")  # a spreadsheet would compute a cell that begins with one of these


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One line of the index: a submission, its points and the gravest verdict on each of its layers.

    page: the address of its own page, relative to the index; empty where it has none. seconds: what it took.
    problem: why it could not be examined at all, or an empty string.
    """

    name: str
    points: int = 0
    of: int = 0
    verdicts: Mapping[str, str] = field(default_factory=dict)
    page: str = ""
    seconds: float | None = None
    problem: str = ""

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many layers got each verdict, in the order of gravity."""
        counted = Counter(self.verdicts.values())
        return [(str(verdict), counted[str(verdict)]) for verdict in Verdict if counted[str(verdict)]]


def submission(name: str, document: Mapping[str, Any], *, page: str = "", seconds: float | None = None) -> Submission:
    """The line of a submission, from what `document` (see document.py) says of it."""
    points, of = total(credits(document))
    verdicts = {layer: gravest(reports) for layer, reports in of_layers(document).items()}
    return Submission(name=name, points=points, of=of, verdicts=verdicts, page=page, seconds=seconds)


def index_page(rows: Sequence[Submission], *, title: str = "submissions") -> str:
    """An HTML page: every submission with its points and a square a layer, and how each layer fared."""
    layers = _layers(rows)
    fared = {layer: Counter(row.verdicts.get(layer, "MISSING") for row in rows) for layer in layers}
    told = {layer: [(str(v), found[str(v)]) for v in Verdict if found[str(v)]] for layer, found in fared.items()}
    return render("index.html", title=title, rows=rows, layers=layers, fared=told)


def index_csv(rows: Sequence[Submission]) -> str:
    """The same for a spreadsheet: name, points, of, seconds, problem, then a column a layer.

    No cell can be taken for a formula, whatever a submission is called.
    """
    layers = _layers(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["submission", "points", "of", "seconds", "problem", *layers])
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.2f}"
        verdicts = [row.verdicts.get(layer, "") for layer in layers]
        writer.writerow([_cell(row.name), row.points, row.of, seconds, _cell(row.problem), *verdicts])
    return text.getvalue()


def _layers(rows: Sequence[Submission]) -> list[str]:
    """Every layer that some submission has, in the order in which they are first met."""
    there = (layer for row in rows for layer, verdict in row.verdicts.items() if verdict != "MISSING")
    order = {layer: place for row in rows for place, layer in enumerate(row.verdicts)}
    return sorted(dict.fromkeys(there), key=lambda layer: order[layer])


def _cell(text: str) -> str:
    shown = plain(text)
    return f"'{shown}" if shown.startswith(FORMULA) else shown
