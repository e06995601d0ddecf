"""Progress of a long job: a bar on a terminal, a plain line now and then everywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

Advance = Callable[[int, int], None]
"""Called with (done, total) as often as the job likes."""


@contextmanager
def progress(label: str, *, stream: TextIO | None = None, every: float = 5.0) -> Iterator[Advance]:
    """Yield a callable that shows how far `label` has come.

    stream: where to write, standard error by default. every: seconds between two plain lines.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _lines(label, stream, every)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _lines(label: str, stream: TextIO, every: float) -> Advance:
    last = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            print(f"{label}: {done:,} of {total:,}", file=stream, flush=True)

    return advance
