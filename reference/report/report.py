"""What the exam found, as a table for a reader and as JSON for a program.

The JSON document (format "scratchproof-check", version 1) holds:

    format, version     what this is; the version grows when a reader would have to change
    subject, seed       what was examined, and the seed from which every input was drawn
    oracle              where the float64 truth was computed: "cpu" or "cuda"
    environment         versions of Python, NumPy and torch, the processor, threads and the flags that matter
    reports             one for each layer and precision: layer, precision, verdict, results
      results           check, case, quantity, verdict, severity, message, cause, error, allowed, headroom
    summary             how many reports got each verdict, and whether all passed

Numbers that are not finite are null: JSON has none. headroom is null where the error is exactly 0.
"""

import json
import math
import os
import platform
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scratchproof.exam.compare import Result, Verdict
from scratchproof.exam.exam import Report

FORMAT, VERSION = "scratchproof-check", 1
STYLES = {
    Verdict.PASS: "green",
    Verdict.MISSING: "dim",
    Verdict.UNIMPLEMENTED: "dim",
    Verdict.SUSPECT: "yellow",
    Verdict.VACUOUS: "magenta",
    Verdict.FAIL: "bold red",
    Verdict.CRASH: "bold red",
    Verdict.TIMEOUT: "bold red",
}
SHOWN = 3  # findings of one layer on the terminal; the JSON has them all


def passed(reports: Sequence[Report], required: Sequence[str] = ()) -> bool:
    """Whether everything that was examined passed, and nothing in `required` is missing."""
    return all(r.verdict is Verdict.PASS or (r.verdict is Verdict.MISSING and r.layer not in required) for r in reports)


def show(console: Console, reports: Sequence[Report]) -> None:
    """Print one line a layer, then what is wrong or worth a note."""
    precisions = list(dict.fromkeys(r.precision for r in reports))
    by_layer: dict[str, list[Report]] = {}
    for report in reports:
        by_layer.setdefault(report.layer, []).append(report)
    there = {layer: found for layer, found in by_layer.items() if any(r.verdict is not Verdict.MISSING for r in found)}
    console.print(_table(precisions, there), highlight=False)
    if absent := [layer for layer in by_layer if layer not in there]:
        console.print(Text(f"\nMISSING, so not examined: {', '.join(absent)}", style=STYLES[Verdict.MISSING]))
    for layer, found in by_layer.items():
        _show_findings(console, layer, found)
    console.print(_summary(reports))


def document(reports: Sequence[Report], *, subject: str, seed: int, oracle: str) -> dict[str, Any]:
    """The JSON document described at the top of this module."""
    counts = Counter(str(r.verdict) for r in reports)
    return {
        "format": FORMAT,
        "version": VERSION,
        "subject": subject,
        "seed": seed,
        "oracle": oracle,
        "environment": environment(oracle),
        "reports": [
            {
                "layer": r.layer,
                "precision": r.precision,
                "verdict": str(r.verdict),
                "results": [finite(result.as_dict()) for result in r.results],
            }
            for r in reports
        ],
        "summary": {"passed": passed(reports), "verdicts": {str(v): counts[str(v)] for v in Verdict}},
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the document whole or not at all. Raises: OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


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
    return None if isinstance(value, float) and not math.isfinite(value) else value


def margin(error: float | None, allowed: float | None) -> str:
    """`1.1e-16/2.4e-15   x22`: an error, what it was allowed, and how often it fits in."""
    if error is None or allowed is None:
        return ""
    if not error:
        headroom = "exact"
    elif error > allowed:
        headroom = "none"
    else:
        headroom = f"x{allowed / error:.0f}" if allowed < 9999 * error else ">9999"
    return f"{error:.1e}/{allowed:.1e} {headroom:>5}"


def _table(precisions: Sequence[str], by_layer: dict[str, list[Report]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")  # 80 columns
    table.add_column("layer", no_wrap=True)
    for precision in precisions:
        table.add_column(precision, no_wrap=True)
        table.add_column("error/allowed margin", justify="right", no_wrap=True)
    for layer, reports in by_layer.items():
        cells: list[Text | str] = []
        of_precision = {r.precision: r for r in reports}
        for precision in precisions:
            cells += _cells(of_precision.get(precision))
        table.add_row(layer, *cells)
    return table


def _cells(report: Report | None) -> list[Text | str]:
    if report is None:
        return ["", ""]
    tightest = report.tightest
    numbers = margin(tightest.error, tightest.allowed) if tightest else ""
    return [Text(str(report.verdict), style=STYLES[report.verdict]), numbers]


def _show_findings(console: Console, layer: str, reports: Sequence[Report]) -> None:
    findings = _distinct([f for report in reports for f in report.findings])
    if not findings:
        return
    console.print()
    for finding in findings[:SHOWN]:
        label = "note" if finding.verdict is Verdict.PASS else str(finding.verdict)
        line = Text(f"{label} ", style=STYLES[finding.verdict])
        line.append(f"{finding.severity}: " if finding.severity else "", style="bold")
        line.append(finding.message, style="default not bold")
        console.print(line, soft_wrap=True)
        if finding.cause:
            console.print(Text(f"     cause: {finding.cause}", style="cyan"), soft_wrap=True)
    if len(findings) > SHOWN:
        console.print(f"     ... and {len(findings) - SHOWN} more about {layer}: --json FILE keeps them all")


def _distinct(findings: list[Result]) -> list[Result]:
    """The gravest first, those with a cause before those without; one a quantity, so that a mistake is told once."""
    ordered = sorted(findings, key=lambda f: (-f.verdict.gravity, not f.cause))
    first: dict[tuple[str, object], Result] = {}
    for finding in ordered:
        first.setdefault((finding.quantity, finding.severity), finding)
    return list(first.values())


def _summary(reports: Sequence[Report]) -> Text:
    counts = Counter(r.verdict for r in reports)
    told = ", ".join(f"{counts[v]} {v}" for v in Verdict if counts[v])
    checked = sum(len(r.results) for r in reports)
    return Text(f"\n{told}; {checked:,} results", style="bold")
