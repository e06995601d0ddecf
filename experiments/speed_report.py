"""How the benchmark shows what it measured: tables, marks met and missed, a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from .plots import figure, lines, save

ORDER = (
    "scratch",
    "the products alone",
    "scratch, contiguous",
    "scratch, plain",
    "textbook NumPy",
    "torch in place",
    "torch, channels last",
    "torch.compile",
    "torch, CUDA",
)
Record = Mapping[str, Any]


def console() -> Console:
    """The terminal, or a wide page where there is none."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=170)


def say(text: str) -> None:
    console().print(text, highlight=False, markup=False)


def print_table(rows: Sequence[Record], count: int) -> None:
    """One line a row: torch's milliseconds, then everyone's time relative to it."""
    chosen = [row for row in rows if row["threads"] == count]
    names = [name for name in ORDER if any(name in row["rivals"] for row in chosen)]
    clock = "CPU time" if count == 1 else "wall clock"
    table = Table(title=f"{count} thread{'s' * (count > 1)}, {clock}; 1 = torch eager (lower is faster)")
    for heading in ("", "torch, ms", "mark", "over products", *names):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in chosen:
        cells = [_ratio(row["rivals"].get(name), spread=name == "scratch") for name in names]
        mark = "" if row["mark"] is None else f"{row['mark']:.2f}"
        milliseconds = f"{row['rivals']['torch']['milliseconds']:.2f}"
        table.add_row(row["name"], milliseconds, mark, _over(row["rivals"]), *cells)
    console().print(table)
    thrown = sum(row["rivals"]["torch"]["thrown_out"] for row in chosen)
    if thrown:
        say(f"{thrown} rounds were thrown out: other processes were busy")
    for row in chosen:
        for rival, reason in row["notes"].items():
            say(f"{row['name']}: {rival} {reason}")


def print_costs(growth: Record, memory: Record, epoch: Record) -> None:
    """Growth, peak memory and the epoch, a line each."""
    for name, family in growth.items():
        slopes = ", ".join(f"{rival} {slope:.2f}" for rival, slope in family["slopes"].items())
        say(f"growth with {name}: log-log slope of time against operations: {slopes}")
    for name, shares in memory.items():
        say(f"peak memory over inputs and outputs, {name}: " + ", ".join(f"{k} {v:.1f}" for k, v in shares.items()))
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in epoch["seconds"].items())
    say(f"ConvNet, {epoch['steps']} steps of {epoch['batch']}, one thread: {seconds}, ratio {epoch['ratio']:.2f}")


def print_marks(metrics: Record) -> list[dict[str, Any]]:
    """Every mark with what was reached; for one that was missed, where the time goes."""
    marks = [_mark(row) for row in metrics["rows"] if row["mark"] is not None]
    marks += _summary_marks(metrics)
    for mark in marks:
        sign = "at most" if not mark.get("at_least") else "at least"
        verdict = "reached" if mark["met"] else "MISSED"
        say(f"{verdict}: {mark['name']}: {mark['value']:.2f} ({sign} {mark['mark']:.2f}){mark.get('why', '')}")
    return marks


def _mark(row: Record) -> dict[str, Any]:
    value = row["rivals"]["scratch"]["ratio"]
    mark = {"name": f"{row['name']}, {row['threads']} thread(s)", "value": value, "mark": row["mark"]}
    return {**mark, "met": value <= row["mark"], "why": "" if value <= row["mark"] else _why(row)}


def _why(row: Record) -> str:
    """Where the time goes: in the products, which run at this speed, or around them."""
    products = row["rivals"].get("the products alone")
    if products is None:
        return ""
    rate = row["operations"] / products["milliseconds"] / 1e6
    rest = row["rivals"]["scratch"]["ratio"] - products["ratio"]
    return f"; of this {products['ratio']:.2f} are the products alone at {rate:.0f} GFLOP/s, {rest:.2f} all else"


def _summary_marks(metrics: Record) -> list[dict[str, Any]]:
    """The marks that look at several rows, or beyond the table."""
    single = [row for row in metrics["rows"] if row["threads"] == 1]
    small = [row for row in single if " C 3 " in row["name"] and row["name"].endswith("float32")]
    found = [_over_products(row) for row in single if row.get("over") is not None]
    if len(small) > 1:
        value = float(np.exp(np.mean([np.log(row["rivals"]["scratch"]["ratio"]) for row in small])))
        found.append({"name": "conv, C 3, float32: geometric mean", "value": value, "mark": 0.75, "met": value <= 0.75})
    for row in small:
        if "7x7 stride 1" in row["name"]:
            rivals = row["rivals"]
            value = rivals["textbook NumPy"]["milliseconds"] / rivals["scratch"]["milliseconds"]
            name = f"{row['name']}: times as fast as the textbook"
            limit = rivals["textbook NumPy"]["milliseconds"] / rivals["the products alone"]["milliseconds"]
            why = "" if value >= 8 else f"; the products alone would be {limit:.1f} times as fast"
            found.append({"name": name, "value": value, "mark": 8.0, "met": not why, "at_least": True, "why": why})
    if "epoch" in metrics:
        value = metrics["epoch"]["ratio"]
        found.append({"name": "ConvNet epoch", "value": value, "mark": 1.1, "met": value <= 1.1})
    for name, shares in metrics.get("memory", {}).items():
        if "scratch" in shares:
            value = shares["scratch"]
            found.append({"name": f"peak memory, {name}", "value": value, "mark": 3.0, "met": value <= 3})
    return found


def _over_products(row: Record) -> dict[str, Any]:
    """The step relative to its own products: the figure that is the same on every machine."""
    value = row["rivals"]["scratch"]["milliseconds"] / row["rivals"]["the products alone"]["milliseconds"]
    return {
        "name": f"{row['name']}: over its products",
        "value": value,
        "mark": row["over"],
        "met": value <= row["over"],
    }


def _over(rivals: Record) -> str:
    """Scratch relative to its own products, where they were timed."""
    products = rivals.get("the products alone")
    return "" if products is None else f"{rivals['scratch']['milliseconds'] / products['milliseconds']:.2f}"


def _ratio(timing: Record | None, *, spread: bool) -> str:
    if timing is None:
        return ""
    return f"{timing['ratio']:.2f}" + (f" ({timing['low']:.2f}-{timing['high']:.2f})" if spread else "")


def picture(metrics: Record, path: Path) -> None:
    """Ratios as bars, one group a row, with the marks; growth beside them."""
    rows = [row for row in metrics["rows"] if row["threads"] == 1] or list(metrics["rows"])
    if not rows:
        return
    drawing, (left, right) = figure(2, width=7.5, height=max(4.0, 0.36 * len(rows) + 1.2))
    places = np.arange(len(rows))
    for offset, (name, color) in enumerate((("scratch", "tab:blue"), ("the products alone", "0.75"))):
        values = [row["rivals"].get(name, {"ratio": np.nan})["ratio"] for row in rows]
        left.barh(places + 0.2 - 0.4 * offset, values, height=0.38, color=color, label=name)
    marked = [(place, row["mark"]) for place, row in zip(places, rows, strict=True) if row["mark"] is not None]
    left.plot([mark for _, mark in marked], [place for place, _ in marked], "k|", markersize=14, label="mark")
    left.axvline(1, color="tab:red", linewidth=1, label="torch eager")
    left.set(yticks=places, yticklabels=[row["name"] for row in rows], xlabel="time relative to torch eager")
    left.tick_params(axis="y", labelsize=7)
    left.invert_yaxis()
    left.legend(fontsize=8)
    growing = {
        f"{rival}, {name} ({family['slopes'][rival]:.2f})": (family["operations"], values)
        for name, family in metrics.get("growth", {}).items()
        for rival, values in family["milliseconds"].items()
    }
    if growing:
        lines(right, growing, x="operations", y="milliseconds", title="growth (slope)", log="xy", marker="o")
    save(drawing, path)
