"""A model's trace as one self-contained page: error over allowance along the depth of the model, and every call.

Made from the document (see tree.py). Two drawings, forward and backward; in each a dot for every call where its worst
error is teacher-forced, a ring where it is free-running, and a line at what is allowed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scratchproof.report.render import render
from scratchproof.tracing.shown.tree import above, indented, share

DECADES = 4  # the drawing reaches from 10**-4 of the allowance to 10**4 times it
HEIGHT, STEP, LEFT, NARROW = 180, 8, 34, 640
WAYS = ("forced", "free")


def trace_page(document: Mapping[str, Any]) -> str:
    """A page of the document: it asks for nothing outside itself."""
    made = list(_calls(document))
    drawings = [_drawing("forward", made), _drawing("backward", made)]
    by_path = {call["path"]: call for call in made}
    calls = [by_path[path] for path in above(by_path)]
    return render("trace.html", document=document, calls=calls, drawings=drawings, ticks=_ticks(), left=LEFT)


def _calls(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each call, in order, with its worst lines: forward and backward, forced and free."""
    by_path: dict[str, list[Mapping[str, Any]]] = {}
    for line in document["lines"]:
        by_path.setdefault(line["path"], []).append(line)
    for path, lines in by_path.items():
        forward = [line for line in lines if not line["quantity"].startswith(("d", "in"))]
        backward = [line for line in lines if line["quantity"].startswith("d")]
        yield {
            "path": path,
            "told": indented(path),
            "culprit": path == document["culprit"],
            "forward": {way: _worst(forward, way) for way in WAYS},
            "backward": {way: _worst(backward, way) for way in WAYS},
        }


def _worst(lines: Sequence[Mapping[str, Any]], way: str) -> dict[str, Any] | None:
    judged = [(_ratio(line[way]), line) for line in lines if line[way]]
    if not judged:
        return None
    ratio, line = max(judged, key=lambda pair: pair[0])
    wrong = any(line[way]["problem"] for _, line in judged)
    return {
        "quantity": line["quantity"],
        "ratio": ratio,
        "share": share(ratio),
        "problem": wrong,
        "message": line[way]["message"],
    }


def _ratio(compared: Mapping[str, Any]) -> float:
    """The error over its allowance; infinite where something is wrong that has no size."""
    if compared["error"] is None or not compared["allowed"]:
        return math.inf if compared["problem"] else 0.0
    return float(compared["error"] / compared["allowed"])


def _drawing(way: str, calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where the marks of a drawing lie."""
    marks = [
        {
            "x": LEFT + STEP * (i + 1),
            "y": _height(call[way][run]["ratio"]),
            "run": run,
            "wrong": call[way][run]["problem"],
            "told": f"{call['path']} {call[way][run]['quantity']}, {run}: {call[way][run]['share']} of its allowance",
        }
        for i, call in enumerate(calls)
        for run in WAYS
        if call[way][run]
    ]
    culprit = next((LEFT + STEP * (i + 1) for i, call in enumerate(calls) if call["culprit"]), None)
    width = max(NARROW, LEFT + STEP * (len(calls) + 2))
    return {"way": way, "marks": marks, "culprit": culprit, "width": width, "height": HEIGHT, "allowance": _height(1.0)}


def _height(value: float) -> float:
    """Up is more; what is exact lies at the bottom."""
    decades = (
        -DECADES if value <= 0 else max(-DECADES, min(DECADES, math.log10(value) if value < math.inf else DECADES))
    )
    return round(HEIGHT / 2 * (1 - decades / DECADES * 0.94), 1)


def _ticks() -> list[tuple[float, str]]:
    labels = {-4: "10⁻⁴", -2: "10⁻²", 0: "1", 2: "10²", 4: "10⁴"}
    return [(_height(10.0**decade), label) for decade, label in labels.items()]
