"""What the exam found, as plain data: the one record from which every report for a reader or a program is made.

The document (format "scratchproof-check", version 1) holds:

    format, version     what this is; the version grows when a reader would have to change
    subject, seed       what was examined, and the seed from which every input was drawn
    oracle              where the float64 truth was computed: "cpu" or "cuda"
    asked               the layers that were asked for by name; empty where everything was to be examined
    remarks             what had to be done so that the subject could be examined: imports stubbed, and the like
    environment         versions of Python, NumPy and torch, the processor, threads and the flags that matter
    reports             one for each layer and precision: layer, of, precision, verdict, properties, results
      of                the layer of which this one is a part or a mode, or an empty string
      properties        what the layer can be right or wrong in, each worth a point: out, dx, ..., corners, conduct
      sight             how small an error would have been told of, by what is allowed: quantity, element, scale
      results           check, case, quantity, verdict, severity, message, cause, error, allowed, headroom, grid, and
                        reproducer: a script that shows what is wrong, where one could be written
    seconds             how long each report took, in the order of the reports; not in a JSON file, which is the same
                        for the same seed
    certificate         what a PASS of these reports is worth: `told` in sentences, and the measurements behind them
                        (see bank/worth.py); empty where nothing passed
    summary             how many reports got each verdict, and whether all passed

Numbers that are not finite are null: JSON has none. headroom is null where the error is exactly 0.
"""

import json
import math
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from scratchproof.exam.compare import Report, Verdict
from scratchproof.table.layers import EVERY_ROW, Layer
from scratchproof.vjp import floating

FORMAT, VERSION = "scratchproof-check", 1
Document = dict[str, Any]
Found = Mapping[str, Any]
"""A report or a result within the document."""


def document(
    reports: Sequence[Report],
    *,
    subject: str,
    seed: int,
    oracle: str,
    asked: Sequence[str] = (),
    remarks: Sequence[str] = (),
    certificate: Mapping[str, Any] | None = None,
) -> Document:
    """The document described at the top of this module."""
    counts = Counter(str(r.verdict) for r in reports)
    return {
        "format": FORMAT,
        "version": VERSION,
        "subject": subject,
        "seed": seed,
        "oracle": oracle,
        "asked": list(asked),
        "remarks": list(remarks),
        "environment": environment(oracle),
        "reports": [
            {
                "layer": r.layer,
                "of": _part_of(r.layer),
                "precision": r.precision,
                "verdict": str(r.verdict),
                "properties": properties(r.layer),
                "sight": finite(asdict(r.sight)) if r.sight else None,
                "results": [finite(result.as_dict()) for result in r.results],
            }
            for r in reports
        ],
        "certificate": dict(certificate or {}),
        "seconds": [round(r.seconds, 3) for r in reports],
        "summary": {"passed": passed(reports, asked), "verdicts": {str(v): counts[str(v)] for v in Verdict}},
    }


def properties(layer: str) -> list[str]:
    """What a layer of the table can be right or wrong in; nothing for a layer that is not in the table."""
    row = _row(layer)
    if row is None:
        return []
    inputs = row.cases[0].inputs(np.random.default_rng(0))
    gradients = [] if row.kind == "forward" else [f"d{name}" for name in floating(inputs, row.constant)]
    out = "loss" if row.kind in ("loss", "net") else "out"
    optional = [("scores", row.scores), ("corners", row.corners)]
    return [out, *gradients, *(name for name, there in optional if there), "conduct"]


def _row(layer: str) -> Layer | None:
    return next((row for row in EVERY_ROW if row.name == layer), None)


def _part_of(layer: str) -> str:
    row = _row(layer)
    return row.of if row else ""


def passed(reports: Sequence[Report], required: Sequence[str] = ()) -> bool:
    """Whether everything that was examined passed, and nothing in `required` is missing."""
    return all(r.verdict is Verdict.PASS or (r.verdict is Verdict.MISSING and r.layer not in required) for r in reports)


def as_json(content: Document) -> str:
    """The text of a JSON file; ASCII, so that no character in it can do anything to a terminal."""
    lasting = {name: value for name, value in content.items() if name != "seconds"}
    return json.dumps(lasting, indent=1, allow_nan=False) + "\n"


def environment(device: str = "cpu") -> dict[str, Any]:
    """Versions, processor, threads and the flags on which a result can depend."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device != "cpu" else None,
        "arithmetic": "TF32 as the precision says; half-precision products sum in float32; cuDNN deterministic",
    }


def finite(value: Any) -> Any:
    """The value with every number that JSON cannot hold replaced by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def of_layers(content: Mapping[str, Any]) -> dict[str, list[Found]]:
    """The reports of each layer, one a precision, in the order of the table."""
    found: dict[str, list[Found]] = {}
    for report in content["reports"]:
        found.setdefault(report["layer"], []).append(report)
    return found


def absent(content: Mapping[str, Any]) -> list[str]:
    """The layers that the subject does not have; what would only ask more of a layer is nobody's duty."""
    parts = {report["layer"] for report in content["reports"] if report["of"]}
    verdicts = {layer: gravest(found) for layer, found in of_layers(content).items()}
    return [layer for layer, verdict in verdicts.items() if verdict == "MISSING" and layer not in parts]


def kind(finding: Found) -> str:
    """What kind of thing is wrong, where the verdict does not say it already."""
    return "" if finding["verdict"] in ("CRASH", "TIMEOUT") else str(finding["severity"] or "")


def gravest(reports: Iterable[Found]) -> str:
    """The gravest of the reports' verdicts."""
    return str(max((Verdict(report["verdict"]) for report in reports), key=lambda verdict: verdict.gravity))


def tightest(report: Found) -> Found | None:
    """The numeric result that came closest to (or went farthest beyond) its allowance."""
    measured = [r for r in report["results"] if r["error"] is not None and r["allowed"] is not None]
    return max(measured, key=lambda r: r["error"] / r["allowed"] if r["allowed"] else math.inf, default=None)


def findings(reports: Iterable[Found]) -> list[Found]:
    """What there is to say: the gravest first, what has a cause before what has none, a mistake told once.

    Two precisions and several checks find the same mistake: one of a quantity and a severity is kept.
    """
    told = [result for report in reports for result in report["results"] if result["message"]]
    first: dict[tuple[str, Any], Found] = {}
    for result in sorted(told, key=lambda r: (-Verdict(r["verdict"]).gravity, not r["cause"])):
        first.setdefault((result["quantity"], result["severity"]), result)
    return list(first.values())
