"""Which settings make a two-layer net good? The grids of S0, S1 and S3, row by row beside what they printed.

Every row of a grid is trained by itself; its validation accuracy is that of its best epoch, and its test accuracy
is taken once, with the parameters of that epoch. A row that diverges keeps what it reached before. Rows that the
run folder holds already are not trained again, so `--out` the same folder resumes a sweep, adds seeds or the
other backend, and prints all that is there as one table.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from scratchproof.images.data import Split, load_split
from scratchproof.progress import Advance, progress

from . import plots
from .command import Common, command, option, resolve_device
from .record import Run, mean_std, write_json
from .sources import Setting, grid
from .training import fit_two_layer, images_for

CLOSE = 0.03
"""How near a printed accuracy ours should come: two standard errors of 1,000 validation images."""
GRIDS = ("S0", "S1", "S3")
CHANGEABLE = ("epochs", "hidden", "batch_size", "lr_decay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Which grids, how often, and on how many cores."""

    grids: str = option("all", "whose grid", choices=("all", *GRIDS))
    backend: str = option("scratch", "who computes", choices=("scratch", "torch", "both"))
    seeds: int = option(1, "how many runs of each row, each with its own seed")
    parallel: int = option(os.cpu_count() or 1, "rows at a time, each a process with one thread")
    epochs: int | None = option(None, "epochs of every row, instead of the grid's own", kind=int)
    hidden: int | None = option(None, "hidden units of every row, instead of the grid's own", kind=int)
    batch_size: int | None = option(None, "images in a minibatch of every row, instead of the grid's own", kind=int)
    lr_decay: float | None = option(None, "decay of the rate in every row, instead of the grid's own", kind=float)


SMOKE = {"epochs": 1, "hidden": 4, "parallel": 1, "backend": "both"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training: what decides its outcome."""

    grid: str
    row: int
    setting: Setting
    backend: str
    seed: int
    data: str
    root: str | None
    device: str

    def name(self) -> str:
        """A file name that says what it is and changes with anything that matters."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.grid}-{self.row:02d}-{self.backend}-seed{self.seed}-{digest}.json"


def main(config: Config) -> dict[str, object]:
    """Train the rows that are missing, then print, draw and return them all."""
    run, jobs = Run.start("sweep", config), list(_jobs(config))
    images_for(config, run)  # decoded once, before several processes want it
    rows = run.path("rows")
    rows.mkdir(exist_ok=True)
    missing = [job for job in jobs if not (rows / job.name()).exists()]
    print(f"{len(jobs)} trainings, {len(jobs) - len(missing)} of them done before", flush=True)
    _train_all(missing, rows, config.parallel)
    results = _results(rows, run.images)
    _show(results, run)
    return run.finish({"trainings": results})


def _jobs(config: Config) -> Iterator[Job]:
    if config.parallel < 1:
        raise ValueError(f"parallel is {config.parallel} but at least one process is needed")
    names = GRIDS if config.grids == "all" else (config.grids,)
    backends = ("scratch", "torch") if config.backend == "both" else (config.backend,)
    changes = {key: value for key in CHANGEABLE if (value := getattr(config, key)) is not None}
    for backend in backends:
        device = resolve_device(backend, "auto" if config.backend == "both" else config.device)
        for name in names:
            for row, setting in enumerate(grid(name)):
                for seed in config.run_seeds():
                    yield Job(
                        grid=name,
                        row=row,
                        setting=replace(setting, **changes),
                        backend=backend,
                        seed=seed,
                        data=config.data,
                        root=config.root,
                        device=device,
                    )


def _train_all(jobs: list[Job], rows: Path, parallel: int) -> None:
    with progress("sweep", every=0.0) as advance:
        if parallel == 1:
            for done, job in enumerate(jobs, start=1):
                _train(job, rows)
                advance(done, len(jobs))
        else:
            _train_in_parallel(jobs, rows, parallel, advance)


def _train_in_parallel(jobs: list[Job], rows: Path, parallel: int, advance: Advance) -> None:
    # As many processes as cores leave no core for a second thread; a child's BLAS reads this when it is loaded.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    # spawned, not forked: a BLAS with threads does not survive a fork
    with ProcessPoolExecutor(parallel, get_context("spawn")) as pool:
        futures = [pool.submit(_train, job, rows) for job in jobs]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                advance(done, len(jobs))
        except BrokenExecutor:
            advice = "run again with the same --out and a smaller --parallel"
            raise ValueError(f"a process was killed, perhaps for its memory: {advice}") from None


def _train(job: Job, rows: Path) -> None:
    """Train one row and write its record."""
    split = _split(job.data, job.root)
    fit = fit_two_layer(job.setting, split, seed=job.seed, backend=job.backend, device=job.device)
    write_json(rows / job.name(), {**asdict(job), "images": split.description, **fit.summary()})


@lru_cache(maxsize=1)
def _split(data: str, root: str | None) -> Split:
    """The images, once a process; decoded ones are a memory map that all processes share."""
    return load_split(data, root=root)


def _results(rows: Path, images: str) -> list[dict[str, Any]]:
    """All records in the folder, in the grids' order.

    Raises: ValueError if they were made from other images.
    """
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(rows.glob("S*.json"))]
    if others := {record["images"] for record in found} - {images}:
        raise ValueError(f"{rows} holds rows of other images ({others.pop()}): give another --out")
    return found


def _show(results: list[dict[str, Any]], run: Run) -> None:
    """The table source / scratch / torch as Markdown, the same as CSV, and a heat map of every grid."""
    header = ("grid", "settings", "source", "scratch", "torch", "scratch, test", "torch, test", "remark")
    table = [_line(cells) for cells in _grouped(results)]
    run.table("table.csv", header, table)
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *table))
    run.path("table.md").write_text(f"{text}\n\nImages: {run.images}.\n", encoding="utf-8")
    print(text)
    for name in sorted({record["grid"] for record in results}):
        _draw(name, [record for record in results if record["grid"] == name], run)
    _show_best(results)


def _grouped(results: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The records of each row of each grid, all backends and seeds together."""
    keys = sorted({_row_key(record) for record in results})
    return [[record for record in results if _row_key(record) == key] for key in keys]


def _row_key(record: dict[str, Any]) -> tuple[str, int, str]:
    return record["grid"], record["row"], Setting(**record["setting"]).label()


def _line(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """One row: what the source printed, and mean ± standard deviation over our seeds."""
    setting = Setting(**records[0]["setting"])
    by_backend = {name: [r for r in records if r["backend"] == name] for name in ("scratch", "torch")}
    cells = {
        (name, part): mean_std([record[part] for record in found]) if found else "-"
        for name, found in by_backend.items()
        for part in ("val_acc", "test_acc")
    }
    return (
        records[0]["grid"],
        setting.label(),
        "-" if setting.printed is None else f"{setting.printed:.3f}",
        cells["scratch", "val_acc"],
        cells["torch", "val_acc"],
        cells["scratch", "test_acc"],
        cells["torch", "test_acc"],
        _remark(setting, by_backend),
    )


def _remark(setting: Setting, by_backend: dict[str, list[dict[str, Any]]]) -> str:
    remarks = []
    for name, found in by_backend.items():
        if setting.printed is not None and found:
            gap = float(np.mean([record["val_acc"] for record in found])) - setting.printed
            if abs(gap) > CLOSE:
                remarks.append(f"{name} {gap:+.3f}")
        if lost := sum(record["diverged"] is not None for record in found):
            remarks.append(f"{name}: {lost} of {len(found)} diverged")
    return ", ".join(remarks)


def _show_best(results: list[dict[str, Any]]) -> None:
    for name in sorted({record["grid"] for record in results}):
        for backend in ("scratch", "torch"):
            rows = [[r for r in group if r["backend"] == backend] for group in _grouped(results)]
            rows = [row for row in rows if row and row[0]["grid"] == name]
            if rows:
                best = max(rows, key=lambda row: float(np.mean([record["val_acc"] for record in row])))
                val, test = (mean_std([record[part] for record in best]) for part in ("val_acc", "test_acc"))
                label = Setting(**best[0]["setting"]).label()
                print(f"best of {name}, {backend}: {label}: validation {val}, test {test}")


def _draw(name: str, results: list[dict[str, Any]], run: Run) -> None:
    """A heat map for each backend: learning rate (and epochs) down, regularisation and width across."""
    backends = sorted({record["backend"] for record in results})
    drawing, axes = plots.figure(len(backends), width=6, height=3.5)
    rows = sorted({_down(record) for record in results})
    columns = sorted({_across(record) for record in results})
    for axis, backend in zip(axes, backends, strict=True):
        values = np.full((len(rows), len(columns)), math.nan)
        for i, j in np.ndindex(values.shape):
            cell = [
                record["val_acc"]
                for record in results
                if (record["backend"], _down(record), _across(record)) == (backend, rows[i], columns[j])
            ]
            values[i, j] = np.mean(cell) if cell else math.nan
        plots.heat_map(
            axis,
            values,
            rows=[f"lr {rate:g}\n{epochs} epochs" for rate, epochs in rows],
            columns=[f"reg {reg:g}\nhidden {hidden}" for reg, hidden in columns],
            title=f"{name}, {backend}: validation accuracy",
        )
    plots.save(drawing, run.path(f"heat_map_{name}.png"))


def _down(record: dict[str, Any]) -> tuple[float, int]:
    return record["setting"]["learning_rate"], record["setting"]["epochs"]


def _across(record: dict[str, Any]) -> tuple[float, int]:
    return record["setting"]["reg"], record["setting"]["hidden"]


if __name__ == "__main__":
    command(Config, main, SMOKE)()
