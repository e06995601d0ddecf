"""Which settings make a two-layer net good? The grids of S0, S1 and S3, row by row beside what they printed.

Every row of a grid is trained by itself; its validation accuracy is that of its best epoch, and its test accuracy
is taken once, with the parameters of that epoch. A row that diverges keeps the figure that it had reached. S3's
grid is run as it was meant and as its code ran it, where the swept regularisation does not arrive: there, rows
that differ in it alone must come out the same. Rows that the run folder holds already are not trained again, and a
row that was cut short goes on from its last epoch, so `--out` the same folder resumes a sweep, adds seeds or the
other backend, and prints all that is there as one table.
"""

import hashlib
import json
import math
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np

from scratchproof.images.data import Split, load_split
from scratchproof.progress import Advance, progress

from . import plots
from .command import Common, command, option, resolve_device
from .record import Run, mean_std, write_json
from .sources import Setting, grid
from .training import are_cifar10, fit_two_layer, images_for

CLOSE = 0.03
"""How near a printed accuracy ours should come: two standard errors of 1,000 validation images."""
GRIDS = ("S0", "S1", "S3", "S3-as-run")
CHANGEABLE = ("epochs", "hidden", "batch_size", "lr_decay")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Which grids, how often, and on how many cores."""

    grids: str = option("all", "whose grid", choices=("all", *GRIDS), free=True)
    backend: str = option("scratch", "who computes", choices=("scratch", "torch", "both"), free=True)
    seed: int = option(0, "seed of the first run; the others count on from it", least=0, free=True)
    seeds: int = option(1, "how many runs of each row, each with its own seed", least=1, free=True)
    parallel: int = option(os.cpu_count() or 1, "rows at a time, each a process with one thread", least=1, free=True)
    epochs: int | None = option(None, "epochs of every row, instead of the grid's own", kind=int, least=1)
    hidden: int | None = option(None, "hidden units of every row, instead of the grid's own", kind=int, least=1)
    batch_size: int | None = option(
        None, "images in a minibatch of every row, instead of the grid's own", kind=int, least=1
    )
    lr_decay: float | None = option(
        None, "decay of the rate in every row, instead of the grid's own", kind=float, above=0
    )


SMOKE = {"epochs": 1, "hidden": 4, "parallel": 1, "backend": "both"}
NEEDS = ("matplotlib", "threadpoolctl")


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
    run = Run.start("sweep", config)
    split = images_for(config, run)  # decoded once, before several processes want it
    jobs, rows = list(_jobs(config, printed=are_cifar10(split))), run.folder / "rows"
    _results(rows, run.images)
    run.path("rows").mkdir(exist_ok=True)
    for draft in rows.glob(".*"):  # a record that was being written when the last run was killed
        draft.unlink()
    missing = [job for job in jobs if not (rows / job.name()).exists()]
    resumed = "resumed: " if len(missing) < len(jobs) else ""
    print(f"{resumed}{len(jobs)} trainings, {len(jobs) - len(missing)} of them done before", flush=True)
    _train_all(missing, run.folder, config.parallel)
    results = _results(rows, run.images)
    _show(results, run)
    return run.finish({"trainings": results})


def _jobs(config: Config, *, printed: bool) -> Iterator[Job]:
    """printed: whether the figures that the write-ups print are about these images."""
    names = GRIDS if config.grids == "all" else (config.grids,)
    backends = ("scratch", "torch") if config.backend == "both" else (config.backend,)
    changes: dict[str, Any] = {key: value for key in CHANGEABLE if (value := getattr(config, key)) is not None}
    if changes or not printed:
        changes["printed"] = None
    for backend in backends:
        mixed = config.backend == "both" and backend == "scratch"
        device = resolve_device(backend, "auto" if mixed else config.device)
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


def _train_all(jobs: list[Job], folder: Path, parallel: int) -> None:
    with progress("sweep", every=0.0) as advance, _one_thread():
        if parallel == 1:
            for done, job in enumerate(jobs, start=1):
                _train(job, folder)
                advance(done, len(jobs))
        else:
            _train_in_parallel(jobs, folder, parallel, advance)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for what is loaded, and for what this process or a child of it will load: as many processes as
    cores leave no core for a second thread.
    """
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in THREADS}
    os.environ |= dict.fromkeys(THREADS, "1")
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _train_in_parallel(jobs: list[Job], folder: Path, parallel: int, advance: Advance) -> None:
    # spawned, not forked: a BLAS with threads does not survive a fork
    with ProcessPoolExecutor(parallel, get_context("spawn"), initializer=_leave_with_parent) as pool:
        futures = [pool.submit(_train, job, folder) for job in jobs]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                advance(done, len(jobs))
        except BrokenExecutor:
            advice = "run again with the same --out and a smaller --parallel"
            raise ValueError(f"a process was killed, perhaps for its memory: {advice}") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _leave_with_parent() -> None:
    """End this process when the one that started it is gone, however it went."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _train(job: Job, folder: Path) -> None:
    """Train one row and write its record; until then it keeps itself in a folder of its own."""
    split, keep = _split(job.data, job.root), folder / "unfinished" / job.name().removesuffix(".json")
    label = f"{job.grid}, {job.setting.label()}, {job.backend}, seed {job.seed}"
    fit = fit_two_layer(
        job.setting, split, seed=job.seed, backend=job.backend, device=job.device, label=label, keep=keep
    )
    write_json(folder / "rows" / job.name(), {**asdict(job), "images": split.description, **fit.summary()})
    shutil.rmtree(keep)


@lru_cache(maxsize=1)
def _split(data: str, root: str | None) -> Split:
    """The images, once a process; decoded ones are a memory map that all processes share."""
    return load_split(data, root=root)


def _results(rows: Path, images: str) -> list[dict[str, Any]]:
    """All records in the folder, in the grids' order.

    Raises: ValueError if one cannot be read, or they were made from other images.
    """
    found = [_record(path) for path in sorted(rows.glob("S*.json"))]
    if others := {record["images"] for record in found} - {images}:
        raise ValueError(f"{rows} holds rows of other images ({others.pop()}): give another --out")
    return found


def _record(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        raise ValueError(f"{path} is not whole: delete it, and its row is trained again") from None


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
    _show_as_run([record for record in results if not record["setting"]["arrives"]])


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
    cells = [_cell(found, part) for part in ("val_acc", "test_acc") for found in by_backend.values()]
    printed = "-" if setting.printed is None else f"{setting.printed:.3f}"
    return records[0]["grid"], setting.label(), printed, *cells, _remark(setting, by_backend)


def _cell(found: list[dict[str, Any]], part: str) -> str:
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
        for backend in ("scratch", "torch"):
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


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
