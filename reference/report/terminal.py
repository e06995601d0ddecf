"""What the exam found, as a table for a reader at a terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scratchproof.exam.compare import Verdict
from scratchproof.report.document import Found, findings, of_layers, tightest
from scratchproof.report.text import plain

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


def show(console: Console, document: Mapping[str, Any]) -> None:
    """Print one line a layer, then what is wrong or worth a note."""
    by_layer = of_layers(document)
    there = {layer: found for layer, found in by_layer.items() if any(r["verdict"] != "MISSING" for r in found)}
    precisions = list(dict.fromkeys(r["precision"] for r in document["reports"]))
    console.print(_table(precisions, there), highlight=False)
    if absent := [layer for layer in by_layer if layer not in there]:
        console.print(Text(f"\nMISSING, so not examined: {plain(', '.join(absent))}", style=STYLES[Verdict.MISSING]))
    for layer, found in by_layer.items():
        _show_findings(console, layer, findings(found))
    console.print(_summary(document["reports"]))


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


def _table(precisions: Sequence[str], by_layer: Mapping[str, list[Found]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")  # 80 columns
    table.add_column("layer", no_wrap=True)
    for precision in precisions:
        table.add_column(precision, no_wrap=True)
        table.add_column("error/allowed margin", justify="right", no_wrap=True)
    for layer, reports in by_layer.items():
        cells: list[Text | str] = []
        of_precision = {r["precision"]: r for r in reports}
        for precision in precisions:
            cells += _cells(of_precision.get(precision))
        table.add_row(layer, *cells)
    return table


def _cells(report: Found | None) -> list[Text | str]:
    if report is None:
        return ["", ""]
    worst = tightest(report)
    numbers = margin(worst["error"], worst["allowed"]) if worst else ""
    return [Text(report["verdict"], style=STYLES[report["verdict"]]), numbers]


def _show_findings(console: Console, layer: str, found: Sequence[Found]) -> None:
    if not found:
        return
    console.print()
    for finding in found[:SHOWN]:
        label = "note" if finding["verdict"] == "PASS" else finding["verdict"]
        line = Text(f"{label} ", style=STYLES[finding["verdict"]])
        line.append(f"{finding['severity']}: " if finding["severity"] else "", style="bold")
        line.append(plain(finding["message"]), style="default not bold")
        console.print(line, soft_wrap=True)
        if finding["cause"]:
            console.print(Text(f"     cause: {plain(finding['cause'])}", style="cyan"), soft_wrap=True)
    if len(found) > SHOWN:
        console.print(f"     ... and {len(found) - SHOWN} more about {layer}: --json FILE keeps them all")


def _summary(reports: Sequence[Found]) -> Text:
    counts = Counter(r["verdict"] for r in reports)
    told = ", ".join(f"{counts[str(v)]} {v}" for v in Verdict if counts[str(v)])
    checked = sum(len(r["results"]) for r in reports)
    return Text(f"\n{told}; {checked:,} results", style="bold")
