"""What the exam found as one HTML file that a person would rather look at, and as a fragment for a notebook.

Each layer has its verdict, its errors drawn against what they were allowed, and what there is to say: the cause in
words, where the array is wrong, and code to reproduce it.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scratchproof.exam.compare import Verdict
from scratchproof.report.document import Found, absent, findings, gravest, kind, of_layers, tightest
from scratchproof.report.points import credits, total
from scratchproof.report.render import render

DECADES = 4  # the errors are drawn from a ten-thousandth of their allowance to ten thousand times it
WIDTH = 160  # of that drawing
# The shades of a heat map. Right: the class, and the error over the allowance up to which it is used. Wrong: the class,
# and the part of the worst in the map, so that the pattern shows whether the worst is ten or 1e14 times too much.
RIGHT = (("ok0", 0.1), ("ok1", 0.5), ("ok2", 1.0))
WRONG = (("bad1", 0.01), ("bad2", 0.1), ("bad3", 0.5), ("bad4", 1.0))
ODD = "odd"  # nan or an infinity out of place
CELL, GAP = 10, 4


def page(document: Mapping[str, Any]) -> str:
    """A self-contained HTML page of the document (see document.py): it asks for nothing outside itself."""
    return render("page.html", linked=True, **_view(document))


def fragment(document: Mapping[str, Any]) -> str:
    """The same as a piece of HTML without script or anchors, to be shown in another page, such as a notebook."""
    return render("fragment.html", linked=False, **_view(document))


def _view(document: Mapping[str, Any]) -> dict[str, Any]:
    by_layer = of_layers(document)
    there = {name: found for name, found in by_layer.items() if gravest(found) != "MISSING"}
    counts = Counter(gravest(found) for found in there.values())
    return {
        "document": document,
        "counts": [(str(v), counts[str(v)]) for v in Verdict if counts[str(v)]],
        "points": total(credits(document)),
        "layers": [_layer(name, reports) for name, reports in there.items()],
        "absent": absent(document),
        "scale": _scale(),
        "worth": document.get("certificate", {}).get("told", ()),
    }


def _layer(name: str, reports: Sequence[Found]) -> dict[str, Any]:
    return {
        "name": name,
        "verdict": gravest(reports),
        "reports": [{**report, "drawn": _drawn(report), "tightest": tightest(report)} for report in reports],
        "findings": [_finding(finding) for finding in findings(reports)],
    }


def _finding(finding: Found) -> dict[str, Any]:
    return {**finding, "map": _map(finding.get("grid")), "code": finding.get("reproducer"), "kind": kind(finding)}


def _drawn(report: Found) -> dict[str, Any]:
    """Where each error of a report lies on the scale; one mark for those that would lie on each other."""
    measured = [r for r in report["results"] if r["error"] is not None and r["allowed"]]
    marks = sorted({_place(r["error"] / r["allowed"]) for r in measured})
    return {"marks": [(x, x > WIDTH // 2) for x in marks], "measured": len(measured)}


def _place(ratio: float) -> int:
    if not ratio:
        return 0
    return round(WIDTH / 2 * (1 + max(-1.0, min(1.0, math.log10(ratio) / DECADES))) + (0.5 if ratio > 1 else 0))


def _scale() -> dict[str, Any]:
    ticks = [round(WIDTH / 2 * (1 + decade / DECADES)) for decade in range(-DECADES, DECADES + 1)]
    return {"width": WIDTH, "ticks": ticks, "allowance": WIDTH // 2}


def _map(grid: Found | None) -> dict[str, Any] | None:
    """A heat map: for each shade the path that fills its squares, and what to say of it in words."""
    values = [value for row in grid["rows"] for value in row] if grid else []
    if grid is None or len(values) == 1:
        return None
    worst = max((value for value in values if value is not None), default=0.0)
    paths: dict[str, list[str]] = {}
    right = bottom = 0
    for x, y, value in _squares(grid):
        paths.setdefault(_shade(value, worst), []).append(f"M{x} {y}h{CELL - 1}v{CELL - 1}h-{CELL - 1}z")
        right, bottom = max(right, x + CELL), max(bottom, y + CELL)
    wrong = sum(value is None or value > 1 for value in values)
    elements = math.prod(grid["shape"])
    return {
        "paths": {shade: "".join(moves) for shade, moves in paths.items()},
        "width": right,
        "height": bottom,
        "shape": f"({', '.join(map(str, grid['shape']))}{',' if len(grid['shape']) == 1 else ''})",
        "each": "one element" if elements == len(values) else "the worst of a block of elements",
        "worst": worst if worst > 1 else None,
        "told": f"{wrong} of {len(values)} squares are beyond their allowance",
    }


def _squares(grid: Found) -> Iterator[tuple[int, int, float | None]]:
    """The corner and the value of each square; between two tiles there is a gap."""
    height, width = grid["tile"]
    for i, row in enumerate(grid["rows"]):
        for j, value in enumerate(row):
            yield j * CELL + GAP * (j // width if width else 0), i * CELL + GAP * (i // height if height else 0), value


def _shade(value: float | None, worst: float) -> str:
    if value is None:
        return ODD
    shades, size = (RIGHT, value) if value <= 1 else (WRONG, value / worst)
    return next(shade for shade, bound in shades if size <= bound)
