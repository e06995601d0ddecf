"""Progress of a long job: a bar on a terminal, a plain line now and then everywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

Advance = Callable[[int, int], None]
"""Called with (done, total) as often as the job likes."""


@contextmanager
def progress(label: str, *, stream: TextIO | None = None, every: float = 10.0) -> Iterator[Advance]:
    """Yield a callable that shows how far `label` has come.

    stream: where to write, standard error by default. every: seconds between two plain lines.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield from _lines(label, stream, every)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _lines(label: str, stream: TextIO, every: float) -> Iterator[Advance]:
    """What is quick says nothing; what has said how far it was says at last that it is done."""
    first = last = time.monotonic()
    told = False

    def advance(done: int, total: int) -> None:
        nonlocal last, told
        if time.monotonic() - last >= every:
            last, told = time.monotonic(), True
            _say(stream, f"{label}: {done:,} of {total:,}")

    yield advance
    if told:
        _say(stream, f"{label}: done in {time.monotonic() - first:.0f} s")


def _say(stream: TextIO, line: str) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more; the work goes on
        print(line, file=stream, flush=True)
