"""The run: tasks shared out to workers, a record a submission, and whoever dies is replaced.

A record is written whole or not at all, so an interrupted run continues where it stopped.
"""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scratchproof.grading.submissions import Conditions, GradeError, Task, done_before, record_of, tasks
from scratchproof.progress import progress
from scratchproof.report.document import document
from scratchproof.report.files import check_target, write
from scratchproof.report.index import Submission, index_csv, index_page, submission
from scratchproof.report.render import environment

WORKER = [sys.executable, "-c", "from scratchproof.grading.worker import main; main()"]


def run(places: Sequence[Path], out: Path, conditions: Conditions, *, workers: int | None = None) -> list[Submission]:
    """Grade every submission in `places` and write records, pages and tables under `out`; return the rows.

    workers: how many processes, as many as there are processors by default. What `out` holds of an earlier run under
    the same conditions is not done again. Raises: GradeError, FileError.
    """
    environment()  # without which there are no pages
    all_tasks = tasks(places, out)
    _folders(out)
    left = [task for task in all_tasks if done_before(task, conditions) is None]
    with progress("grading") as advance:
        advance(len(all_tasks) - len(left), len(all_tasks))
        for done, _ in enumerate(_graded(left, conditions, workers or _processors()), len(all_tasks) - len(left) + 1):
            advance(done, len(all_tasks))
    rows = [_row(task, out) for task in all_tasks]
    write(out / "index.csv", index_csv(rows))
    write(out / "index.html", index_page(rows))
    return rows


def _folders(out: Path) -> None:
    try:
        for folder in ("records", "pages"):
            (out / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradeError(f"cannot make a folder within {out}: {error.strerror}") from error
    for name in ("index.csv", "index.html"):
        check_target(out / name)


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _graded(left: list[Task], conditions: Conditions, count: int) -> Iterator[Task]:
    """Each task as it is done, by whichever of `count` workers."""
    waiting = left[::-1]
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(min(count, len(waiting))):
            _Worker(conditions, selector, stack).take(waiting)
        while selector.get_map():
            for key, _ in selector.select():
                worker: _Worker = key.data
                task, alive = worker.finished()
                if not alive:
                    write(task.record, _lost(task, conditions))
                    worker = _Worker(conditions, selector, stack) if waiting else worker
                worker.take(waiting)
                yield task


class _Worker:
    """A worker process and the one task that it is at."""

    def __init__(self, conditions: Conditions, selector: selectors.BaseSelector, stack: ExitStack) -> None:
        self.selector = selector
        self.process = subprocess.Popen(
            WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(self._end)
        self.task: Task
        self._tell(asdict(conditions))
        selector.register(self._stdout, selectors.EVENT_READ, self)

    def take(self, waiting: list[Task]) -> None:
        """Begin the next task; where there is none, or no process, leave."""
        if waiting and self.process.poll() is None:
            self.task = waiting.pop()
            self._tell({key: str(value) for key, value in asdict(self.task).items()})
        elif self._stdout in {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.unregister(self._stdout)
            self._hang_up()

    def finished(self) -> tuple[Task, bool]:
        """The task that was done; False if the process ended over it."""
        alive = bool(self._stdout.readline())
        if not alive:
            self.selector.unregister(self._stdout)
            self._end()
        return self.task, alive

    @property
    def _stdout(self) -> Any:
        return self.process.stdout

    def _tell(self, what: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it is found dead when it is listened to
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()

    def _hang_up(self) -> None:
        """It leaves by itself when it has nothing more to hear."""
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _end(self) -> None:
        if not self._stdout.closed:
            self.process.terminate()  # in the middle of its work; its strangers go with it
        self._hang_up()
        self.process.wait()


def _lost(task: Task, conditions: Conditions) -> str:
    found = document([], subject=task.name, seed=conditions.seed, oracle="cpu", asked=conditions.layers)
    problem = "the process that examined it ended without a word: grade it alone to see more"
    return json.dumps(record_of(task, conditions, seconds=None, problem=problem, document=found), indent=1) + "\n"


def _row(task: Task, out: Path) -> Submission:
    record = json.loads(task.record.read_text(encoding="utf-8"))
    if record["problem"]:
        return Submission(name=task.name, seconds=record["seconds"], problem=record["problem"])
    page = task.page.relative_to(out).as_posix()
    return submission(task.name, record["document"], page=page, seconds=record["seconds"])
