"""What a sweep's records show: the table beside the printed figures, a heat map of every grid, and the best rows."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from . import plots
from .record import Run, mean_std
from .sources import Setting

BACKENDS = ("scratch", "torch", "batched")
ALWAYS = ("scratch", "torch")
CLOSE = 0.03
"""How near a printed accuracy ours should come: two standard errors of 1,000 validation images."""


def show(results: list[dict[str, Any]], run: Run) -> None:
    """The table source / scratch / torch as Markdown, the same as CSV, and a heat map of every grid."""
    trained = {record["backend"] for record in results}
    backends = tuple(name for name in BACKENDS if name in trained or name in ALWAYS)
    header = ("grid", "settings", "source", *backends, *(f"{name}, test" for name in backends), "remark")
    table = [_line(records, backends) for records in _grouped(results)]
    run.table("table.csv", header, table)
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *table))
    run.path("table.md").write_text(f"{text}\n\nImages: {run.images}.\n", encoding="utf-8")
    print(text)
    for name in sorted({record["grid"] for record in results}):
        _draw(name, [record for record in results if record["grid"] == name], run)
    _show_best(results)
    _show_as_run([r for r in results if not r["setting"]["arrives"] and "params_sha256" in r])


def _grouped(results: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The records of each row of each grid, all backends and seeds together."""
    keys = sorted({_row_key(record) for record in results})
    return [[record for record in results if _row_key(record) == key] for key in keys]


def _row_key(record: dict[str, Any]) -> tuple[str, int, str]:
    return record["grid"], record["row"], Setting(**record["setting"]).label()


def _line(records: list[dict[str, Any]], backends: tuple[str, ...]) -> tuple[str, ...]:
    """One row: what the source printed, and mean ± standard deviation over our seeds."""
    setting = Setting(**records[0]["setting"])
    by_backend = {name: [r for r in records if r["backend"] == name] for name in backends}
    cells = [cell(found, part) for part in ("val_acc", "test_acc") for found in by_backend.values()]
    printed = "-" if setting.printed is None else f"{setting.printed:.3f}"
    return records[0]["grid"], setting.label(), printed, *cells, _remark(setting, by_backend)


def cell(found: list[dict[str, Any]], part: str) -> str:
    """Mean ± standard deviation over the seeds, and the word where some diverged."""
    if not found:
        return "-"
    lost = sum(record["diverged"] is not None for record in found)
    return mean_std([record[part] for record in found]) + (f", diverges {lost} of {len(found)}" if lost else "")


def _remark(setting: Setting, by_backend: dict[str, list[dict[str, Any]]]) -> str:
    remarks = []
    for name, found in by_backend.items():
        if setting.printed is not None and found:
            gap = float(np.mean([record["val_acc"] for record in found])) - setting.printed
            if abs(gap) > CLOSE:
                remarks.append(f"{name} {gap:+.3f}")
    return ", ".join(remarks)


def _show_best(results: list[dict[str, Any]]) -> None:
    for name in sorted({record["grid"] for record in results}):
        for backend in BACKENDS:
            rows = [[r for r in group if r["backend"] == backend] for group in _grouped(results)]
            rows = [row for row in rows if row and row[0]["grid"] == name]
            if rows:
                best = max(rows, key=lambda row: float(np.mean([record["val_acc"] for record in row])))
                val, test = (mean_std([record[part] for record in best]) for part in ("val_acc", "test_acc"))
                label = Setting(**best[0]["setting"]).label()
                print(f"best of {name}, {backend}: {label}: validation {val}, test {test}")


def _show_as_run(results: list[dict[str, Any]]) -> None:
    """Whether rows that differ in a regularisation that does not arrive came out the same."""
    alike: dict[str, set[str]] = {}
    for record in results:
        setting = replace(Setting(**record["setting"]), reg=0.0)
        alike.setdefault(f"{setting.label()} {record['backend']} {record['seed']}", set()).add(record["params_sha256"])
    if results:
        same = sum(len(digests) == 1 for digests in alike.values())
        print(f"S3 as run: in {same} of {len(alike)} cases, rows that differ in reg alone end with the same parameters")


def _draw(name: str, results: list[dict[str, Any]], run: Run) -> None:
    """A heat map for each backend, in the same colours: rate (and epochs) down, regularisation and width across."""
    backends = sorted({record["backend"] for record in results})
    drawing, axes = plots.figure(len(backends), width=6, height=3.5)
    rows = sorted({_down(record) for record in results})
    columns = sorted({_across(record) for record in results})
    cells: dict[Any, list[float]] = {}
    for record in results:
        cells.setdefault((record["backend"], _down(record), _across(record)), []).append(record["val_acc"])
    means = {cell: float(np.mean(accuracies)) for cell, accuracies in cells.items()}
    for axis, backend in zip(axes, backends, strict=True):
        values = np.array([[means.get((backend, row, column), math.nan) for column in columns] for row in rows])
        plots.heat_map(
            axis,
            values,
            rows=[f"lr {rate:g}\n{epochs} epochs" for rate, epochs in rows],
            columns=[f"reg {reg:g}\nhidden {hidden}" for reg, hidden in columns],
            limits=(min(means.values()), max(means.values())),
            down="learning rate, epochs",
            across="L2 regularisation, hidden units",
            title=f"{name}, {backend}: validation accuracy",
        )
    plots.save(drawing, run.path(f"heat_map_{name}.png"))


def _down(record: dict[str, Any]) -> tuple[float, int]:
    return record["setting"]["learning_rate"], record["setting"]["epochs"]


def _across(record: dict[str, Any]) -> tuple[float, int]:
    return record["setting"]["reg"], record["setting"]["hidden"]
