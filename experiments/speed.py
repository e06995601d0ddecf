"""Is NumPy, written well, as fast as torch on a CPU? Training steps, convolution, pooling and softmax, side by side.

Every row first checks that all rivals compute the same thing, then times them by interleaved rounds in one process:
the median, over the rounds, of each rival's time relative to torch eager's (autograd, torch.optim, NCHW) in the same
round, with the quartiles as its spread. One thread is timed by CPU time, more by the wall clock. "The products
alone" are the matrix products without anything around them: nothing that multiplies with NumPy's BLAS can be faster.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from .command import Common, command, option
from .record import Run, write_json

SMOKE = {"quick": True, "rounds": 1, "shrink": 16, "threads": (1,)}
NEEDS = ("matplotlib", "threadpoolctl")
SLOW = ("textbook NumPy", "scratch, plain", "scratch, contiguous")  # looked at with one thread only
OPENBLAS_CHOICE = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # what overrules its own choice of kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """What is measured, and how carefully."""

    quick: bool = option(False, "the rows that matter most, in about a minute")
    rounds: int | None = option(None, "rounds of every row [default: 21, with --quick 5]", kind=int)
    threads: tuple[int, ...] = option((1, 2), "thread counts, one table each")
    only: str = option("", "only rows whose name contains this")
    blas: str = option(
        "as set",
        "as set: OpenBLAS takes the kernels that OPENBLAS_CORETYPE names, where it is set; "
        "own: those it chooses itself, in a process without that variable",
        choices=("as set", "own"),
    )
    json: str | None = option(None, "write the whole record to this file too", kind=str)
    shrink: int = option(1, "divide batches and sizes by this: the figures mean nothing then, the run takes seconds")

    def how_often(self) -> int:
        return self.rounds or (5 if self.quick else 21)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A contest to be, and the ratio to torch that it is to stay below, by thread count.

    over: the ratio to the products alone that it is to stay below on one thread, which travels between machines.
    """

    make: Callable[[], Any]
    marks: dict[int, float] = field(default_factory=dict)
    over: float | None = None
    quick: bool = True


STEP_MARKS = {
    (100, "float32"): {50: 0.55, 100: 0.55, 500: 0.75},
    (200, "float32"): {50: 0.70, 100: 0.67, 500: 0.88},
    (100, "float64"): {50: 0.70, 100: 0.75, 500: 0.85},
}

OVER_PRODUCTS = 1.15
"""What a step may take relative to its two large products."""


def rows(config: Config) -> list[Row]:
    """The table, top to bottom: steps of nets, then convolution, pooling and softmax."""
    import torch

    from . import rivals, rivals_many

    cuda = config.device != "cpu" and torch.cuda.is_available()
    step = partial(rivals.two_layer, inputs=3072 // config.shrink, compiled=not config.quick, cuda=cuda)
    table = [
        Row(
            make=partial(step, hidden, max(2, batch // config.shrink), dtype),
            marks={1: mark, 2: 1.0},
            over=OVER_PRODUCTS if (batch, dtype) == (100, "float32") else None,
            quick=batch == 100,
        )
        for (batch, dtype), marks in STEP_MARKS.items()
        for hidden, mark in marks.items()
    ]
    many = partial(rivals_many.many_nets, max(2, 32 // config.shrink), inputs=3072 // config.shrink)
    table += [
        Row(make=partial(many, hidden, max(2, 100 // config.shrink)), marks={1: 0.5}, over=1.25) for hidden in (50, 100)
    ]
    table.append(Row(make=partial(rivals.conv_net, max(2, 100 // config.shrink), cuda=cuda), marks={1: 1.1}))
    table += _layer_rows(config.shrink)
    return [row for row in table if row.quick or not config.quick]


def _layer_rows(shrink: int) -> list[Row]:
    from . import rivals
    from .rivals_images import convolution, max_pooling

    conv = partial(convolution, images=max(1, 50 // shrink))
    return [
        *(
            Row(make=partial(conv, 3, 32, 32, kernel, stride, "float32"), marks={1: 1.05, 2: 1.3})
            for kernel in (7, 3)
            for stride in (1, 2)
        ),
        Row(make=partial(conv, 32, 16, 64, 3, 1, "float32"), marks={1: 1.25, 2: 1.3}),
        Row(make=partial(conv, 3, 32, 32, 7, 1, "float32", need_dx=False), marks={1: 1.2, 2: 1.3}),
        Row(make=partial(conv, 3, 32, 32, 7, 1, "float64"), marks={1: 0.33, 2: 1.3}),
        Row(make=partial(conv, 3, 32, 32, 3, 1, "float64"), quick=False),
        Row(make=partial(max_pooling, images=max(1, 100 // shrink)), marks={1: 0.47}),
        Row(make=partial(rivals.softmax, 100, 10)),
        Row(make=partial(rivals.softmax, max(1, 1000 // shrink), 1000), quick=False),
    ]


def main(config: Config) -> dict[str, Any]:
    """Measure everything, print the tables, keep the record; the record is returned."""
    overruled = {name: os.environ[name] for name in OPENBLAS_CHOICE if name in os.environ}
    if config.blas == "own" and overruled:
        _again_without(overruled)
    import numpy as np

    from . import speed_report as report

    run, rng = Run.start("speed", config), np.random.default_rng(config.seed)
    about = {"cpu": processor(), "blas": blas_kernels(), "overruled": overruled, "load": os.getloadavg()}
    report.say(f"{about['cpu']}; BLAS: {about['blas']}; load of the machine: {os.getloadavg()[0]:.2f}")
    if overruled:
        report.say(f"{overruled} is set: this may not be OpenBLAS's own choice (--blas own)")
    table = []
    for count in config.threads:
        for row in rows(config):
            table += list(_race(row, count, config, rng))
        report.print_table(table, count)
    more = {} if config.only else _costs(config, run, rng)
    metrics = {"about": about, "rows": table, **more}
    metrics["marks"] = report.print_marks(metrics)
    report.picture(metrics, run.path("speed.png"))
    record = run.finish(metrics)
    if config.json:
        write_json(Path(config.json), record)
    return record


def _race(row: Row, count: int, config: Config, rng: Any) -> Iterator[dict[str, Any]]:
    """One row of the table, or none if it was not asked for. Raises: ValueError if the rivals disagree."""
    from .rivals import disagreements
    from .stopwatch import measure, threads

    contest = row.make()
    if config.only not in contest.name:
        return
    with threads(count):
        worst = disagreements(contest)
        if wrong := [name for name, share in worst.items() if not share <= 1]:
            raise ValueError(f"{contest.name}: {', '.join(wrong)} and torch do not compute the same thing: {worst}")
        runners = {name: run for name, run in contest.run.items() if count == 1 or name not in SLOW}
        times = measure(runners, contest.baseline, count=count, rounds=config.how_often(), rng=rng)
    yield {
        "name": contest.name,
        "threads": count,
        "operations": contest.operations,
        "mark": row.marks.get(count),
        "over": row.over if count == 1 else None,
        "rivals": {name: asdict(timing) for name, timing in times.items()},
        "disagreement": worst,
        "notes": contest.notes,
    }


def _costs(config: Config, run: Run, rng: Any) -> dict[str, Any]:
    """Growth, memory and the epoch, on one thread."""
    from . import costs, rivals_images, speed_report
    from .stopwatch import threads
    from .training import images_for

    k = config.shrink
    steps = None if not config.quick else max(1, 20 // k)
    with threads(1):
        growth = {
            name: costs.growth(make, rounds=max(1, config.how_often() // 3), rng=rng)
            for name, make in costs.families(k).items()
        }
        images = max(1, 50 // k)
        contests = [
            rivals_images.convolution(3, 32, 32, 7, 1, "float32", images=images),
            rivals_images.convolution(32, 16, 64, 3, 1, "float32", images=images),
            rivals_images.max_pooling(images=images),
        ]
        memory = {contest.name: costs.peak_memory(contest) for contest in contests}
        epoch = costs.epoch(images_for(config, run), most=steps)
    speed_report.print_costs(growth, memory, epoch)
    return {"growth": growth, "memory": memory, "epoch": epoch}


def processor(told: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself, with the widest vectors that it has (Linux; else what Python knows)."""
    if not told.exists():
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in told.read_text().splitlines() if ":" in line)
    said = {key.strip(): value.strip() for key, value in lines.items()}
    flags = said.get("flags", "").split()
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return " ".join(part for part in (said.get("model name", platform.machine()), widest) if part)


def blas_kernels() -> str:
    """The BLAS libraries in this process and the kernels they have picked."""
    import numpy as np  # noqa: F401 - brings its BLAS
    from threadpoolctl import threadpool_info

    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(f"{pool['internal_api']} {pool['version']} ({pool.get('architecture')})" for pool in found)


def _again_without(overruled: Mapping[str, str]) -> NoReturn:
    """This very command in a process without these variables, which OpenBLAS reads as it loads; ends as that ends."""
    print(f"--blas own: measuring without {overruled}", flush=True)
    environment = {name: value for name, value in os.environ.items() if name not in overruled}
    arguments = [sys.executable, "-m", f"{__package__}.speed", *sys.argv[1:]]
    sys.exit(subprocess.run(arguments, env=environment).returncode)


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
