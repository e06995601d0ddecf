"""What the exam found, as a table for a reader at a terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scratchproof.exam.compare import Verdict
from scratchproof.report.document import Found, absent, findings, kind, of_layers, tightest
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
DETAILS = ("error/allowed margin", "margin", "")  # beside each verdict, as the width allows


def show(console: Console, document: Mapping[str, Any]) -> None:
    """Print one line a layer, then what is wrong or worth a note."""
    by_layer = of_layers(document)
    there = {layer: found for layer, found in by_layer.items() if any(r["verdict"] != "MISSING" for r in found)}
    precisions = list(dict.fromkeys(r["precision"] for r in document["reports"]))
    console.print(_widest(console, [_table(precisions, there, detail) for detail in DETAILS]), highlight=False)
    if missing := absent(document):
        console.print(Text(f"\nMISSING, so not examined: {plain(', '.join(missing))}", style=STYLES[Verdict.MISSING]))
    for layer, found in by_layer.items():
        _show_findings(console, layer, findings(found))
    console.print(_summary(document["reports"]))
    for line in document.get("certificate", {}).get("told", ()):
        console.print(Text(plain(line), style="dim"), soft_wrap=not console.is_terminal)


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


def _widest(console: Console, tables: Sequence[Table]) -> Table:
    """The first table that fits; if none does, the last one, which breaks its words rather than lose them."""
    endless = console.options.update(width=10_000)
    return next((t for t in tables if console.measure(t, options=endless).maximum <= console.width), tables[-1])


def _table(precisions: Sequence[str], by_layer: Mapping[str, list[Found]], detail: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("layer", overflow="fold")
    for precision in precisions:
        table.add_column(precision, overflow="fold")
        if detail:
            table.add_column(detail, justify="right", overflow="fold")
    for layer, reports in by_layer.items():
        cells: list[Text | str] = []
        of_precision = {r["precision"]: r for r in reports}
        for precision in precisions:
            cells += _cells(of_precision.get(precision), detail)
        table.add_row(Text(plain(layer)), *cells)
    return table


def _cells(report: Found | None, detail: str) -> list[Text | str]:
    verdict = Text(report["verdict"], style=STYLES[report["verdict"]]) if report else ""
    worst = tightest(report) if report else None
    numbers = margin(worst["error"], worst["allowed"]) if worst else ""
    if detail == DETAILS[1]:
        numbers = numbers.split(" ", 1)[-1].strip()
    return [verdict, numbers] if detail else [verdict]


def _show_findings(console: Console, layer: str, found: Sequence[Found]) -> None:
    if not found:
        return
    console.print()
    for finding in found[:SHOWN]:
        label = "note" if finding["verdict"] == "PASS" else finding["verdict"]
        message = Text(f"{kind(finding)}: " if kind(finding) else "", style="bold")
        message.append(plain(finding["message"]), style="not bold")
        _print_labelled(console, Text(label, style=STYLES[finding["verdict"]]), message)
        if finding["cause"]:
            _print_labelled(console, Text("    "), Text(f"cause: {plain(finding['cause'])}", style="cyan"))
    if len(found) > SHOWN:
        more = f"... and {len(found) - SHOWN} more about {plain(layer)}: --html FILE shows them, --json FILE keeps them"
        _print_labelled(console, Text("    "), Text(more))


def _print_labelled(console: Console, label: Text, message: Text) -> None:
    """On a terminal in lines that hang from the label; elsewhere on one line, for grep."""
    if not console.is_terminal:
        console.print(Text(" ").join([label, message]), soft_wrap=True)
        return
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(label, message)
    console.print(table)


def _summary(reports: Sequence[Found]) -> Text:
    counts = Counter(r["verdict"] for r in reports)
    told = ", ".join(f"{counts[str(v)]} {v}" for v in Verdict if counts[str(v)] and v is not Verdict.MISSING)
    checked = sum(len(r["results"]) for r in reports)
    return Text(f"\n{told}; {checked:,} results", style="bold")
