"""Sweeps over large arrays, shared out over threads: NumPy lets go of the interpreter's lock while it sweeps.

Matrix products bring threads of their own; within `own_threads` they are shared out likewise. A part is some rows of an
array, no two parts write to one place, and what a row becomes depends on that row alone: the results are the same bits
however many threads there are. Threads start and end within the call, so a process may fork at any time.
"""

import os
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from itertools import pairwise
from threading import Lock
from typing import Any, Generic, TypeVar

from ._blas import held, one_thread

__all__ = ["set_threads", "threads"]

LEAST = 1 << 18  # elements that a thread sweeps over: with fewer, to start it costs more than it saves
A_SWEEP = 16  # multiplications of a matrix product that take the time of sweeping over one element

T = TypeVar("T")
_chosen: list[int] = []


def threads() -> int:
    """How many threads a sweep over a large array may take.

    What `set_threads` chose; else OMP_NUM_THREADS, which BLAS and torch follow too; else the processors there are.
    """
    if _chosen:
        return _chosen[0]
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(told)) if told.isdecimal() else _processors()


def set_threads(count: int | None) -> None:
    """Choose how many threads a sweep may take; None leaves it to the environment again.

    Raises: ValueError for a count below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"count is {count} but at least 1 thread is needed")
    _chosen[:] = [] if count is None else [count]


def in_parts(work: Callable[[slice], T], length: int, size: int) -> list[T]:
    """What `work` returns for slices that cover range(length) between them, several at a time where it pays.

    size: how many elements all of it sweeps over. What work raises is raised here, when all parts have ended.
    """
    return _shared_out(work, length, max(1, min(threads(), length, size // LEAST)))


def products_in_parts(work: Callable[[slice], T], length: int, operations: int) -> list[T]:
    """`in_parts` for work that is matrix products above all: operations is how many multiplications it takes.

    Only while `own_threads` holds BLAS to one thread, and as many parts as it had threads: else all is one part.
    """
    most = min(threads(), length, held())
    return _shared_out(work, length, max(1, min(most, operations // (LEAST * A_SWEEP))))


def own_threads() -> AbstractContextManager[None]:
    """While inside, products take one thread each and are shared out, where there are several threads.

    It pays where memory is kept: threads that all ask the system for fresh memory wait for each other. BLAS's own
    threads would go on turning after each product, in the way of what comes next.
    """
    return one_thread() if threads() > 1 else nullcontext()


def _shared_out(work: Callable[[slice], T], length: int, count: int) -> list[T]:
    ends = [length * part // count for part in range(count + 1)]
    parts = [_Part(work, slice(*pair)) for pair in pairwise(ends)]
    for part in parts[1:]:
        part.start()
    for part in parts:
        part.finish()
    return [part.result() for part in parts]


class _Part(Generic[T]):
    """One call of `work`, on a thread of its own if started; under the caller's np.errstate, which is its context's.

    `threading.Thread` waits until its thread runs, which on a busy machine is longer than a part takes: here the caller
    goes on with a part of its own meanwhile.
    """

    def __init__(self, work: Callable[[slice], T], rows: slice) -> None:
        self._context, self._work, self._rows = copy_context(), work, rows
        self._running = Lock()
        self._found: list[T] = []
        self._raised: BaseException | None = None

    def start(self) -> None:
        self._running.acquire()
        try:
            start_new_thread(self._run_to_the_end, ())
        except RuntimeError:  # no more threads may start: `finish` does it
            self._running.release()

    def _run_to_the_end(self) -> None:
        try:
            self.run()
        finally:
            self._running.release()

    def run(self) -> None:
        try:
            self._found.append(self._context.run(self._work, self._rows))
        except BaseException as error:
            self._raised = error

    def finish(self) -> None:
        """Wait for its thread; without one, do it now."""
        with self._running:
            if not self._found and self._raised is None:
                self.run()

    def result(self) -> T:
        if self._raised is not None:
            raise self._raised
        return self._found[0]


def _processors() -> int:
    """Those that this process may run on."""
    affinity: Any = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
