"""Which settings make a two-layer net good? The grids of S0, S1 and S3, row by row beside what they printed.

Every row of a grid is trained by itself; its validation accuracy is that of its best epoch, and its test accuracy
is taken once, with the parameters of that epoch. A row that diverges keeps the figure that it had reached. S3's
grid is run as it was meant and as its code ran it, where the swept regularisation does not arrive: there, rows
that differ in it alone must come out the same. Rows that the run folder holds already are not trained again, and a
row that was cut short goes on from its last epoch, so `--out` the same folder resumes a sweep, adds seeds or another
backend, and prints all that is there as one table. `--backend batched` trains all rows of one seed and minibatch
size together, as one computation on shared minibatches. Under torchrun the trainings are shared out, and each runs
alone.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
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

from .batched.stack import Member
from .batched.train import Machine, Training
from .command import Common, command, option, resolve_device
from .ranks import Share, sharing
from .record import Run, write_json
from .sources import Setting, grid
from .sweep_table import BACKENDS, show
from .training import are_cifar10, fit_two_layer, images_for

GRIDS = ("S0", "S1", "S3", "S3-as-run")
CHANGEABLE = ("epochs", "hidden", "batch_size", "lr_decay")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Which grids, how often, and on how many cores."""

    grids: str = option("all", "whose grid", choices=("all", *GRIDS), free=True)
    backend: str = option("scratch", "who computes", choices=(*BACKENDS, "both"), free=True)
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
    """Train the rows that are missing, then print, draw and return them all; under torchrun, share them out."""
    with sharing(config) as share:
        return _main(config, share)


def _main(config: Config, share: Share) -> dict[str, object]:
    run = Run.start("sweep", config)
    split = images_for(config, run)  # decoded once, before several processes want it
    jobs, rows = list(_jobs(config, printed=are_cifar10(split))), run.folder / "rows"
    _results(rows, run.images)
    run.path("rows").mkdir(exist_ok=True)
    missing = [job for job in jobs if not (rows / job.name()).exists()]
    share.wait()
    if share.rank == 0:
        for draft in rows.glob(".*"):  # a record that was being written when the last run was killed
            draft.unlink()
        resumed = "resumed: " if len(missing) < len(jobs) else ""
        print(f"{resumed}{len(jobs)} trainings, {len(jobs) - len(missing)} of them done before", flush=True)
    share.wait()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    _train_all(share.of(missing), run.folder, max(1, config.parallel // here))
    share.wait()
    if share.rank > 0:
        return {}
    results = _results(rows, run.images)
    show(results, run)
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
        device = resolve_device("scratch" if backend == "scratch" else "torch", "auto" if mixed else config.device)
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


def _train_all(jobs: Sequence[Job], folder: Path, parallel: int) -> None:
    together = [job for job in jobs if job.backend == "batched"]
    for size, seed in sorted({(job.setting.batch_size, job.seed) for job in together}):
        _train_together([job for job in together if (job.setting.batch_size, job.seed) == (size, seed)], folder)
    jobs = [job for job in jobs if job.backend != "batched"]
    if not jobs:
        return
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


def _train_in_parallel(jobs: Sequence[Job], folder: Path, parallel: int, advance: Advance) -> None:
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


def _train_together(jobs: list[Job], folder: Path) -> None:
    """Train rows of one seed as one stack of nets on the same minibatches, and write their records."""
    split, settings = _split(jobs[0].data, jobs[0].root), [job.setting for job in jobs]
    names = "".join(job.name() for job in jobs)
    keep = folder / "unfinished" / f"batched-{hashlib.sha256(names.encode()).hexdigest()[:8]}"
    members = [
        Member(
            hidden=setting.hidden,
            learning_rate=setting.learning_rate,
            reg=setting.reg if setting.arrives else 0.0,
            lr_decay=setting.lr_decay,
            epochs=setting.epochs,
            seed=job.seed,
        )
        for job, setting in zip(jobs, settings, strict=True)
    ]
    device = jobs[0].device
    training = Training(
        members,
        split,
        batch_size=settings[0].batch_size,
        rng=np.random.default_rng(jobs[0].seed),
        machine=Machine(engine="numpy" if device == "cpu" else "torch", device=device),
        checkpoint=keep,
    )
    for job, outcome in zip(jobs, training.run(), strict=True):
        write_json(folder / "rows" / job.name(), {**asdict(job), "images": split.description, **outcome.summary()})
    print(f"{len(jobs)} nets together: {training.pace:.3g} net-epochs/s", flush=True)
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


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
