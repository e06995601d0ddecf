"""A process that examines one submission after another; what it is told and what it tells are lines of JSON.

Truths and tolerances are the same for every submission at one seed: they are computed once in each worker.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from scratchproof.grading.submissions import Conditions, Task, record_of
from scratchproof.sandbox.limits import die_with_the_parent
from scratchproof.sandbox.warm import zygote


def main() -> None:
    """Answer each line of standard input, a task, with a line of standard output, its name."""
    die_with_the_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which ends this process
    zygote()  # it imports NumPy and torch while this process does
    told = sys.stdout
    sys.stdout = sys.stderr  # the channel is no place for anything else
    conditions = Conditions(**json.loads(sys.stdin.readline()))
    _serve(conditions, sys.stdin, told)


def _serve(conditions: Conditions, tasks: TextIO, told: TextIO) -> None:
    import torch

    from scratchproof.exam.exam import Papers
    from scratchproof.report.files import write
    from scratchproof.report.page import page

    torch.set_num_threads(1)
    papers: Papers = {}
    for line in tasks:
        given = json.loads(line)
        task = Task(name=given.pop("name"), **{key: Path(place) for key, place in given.items()})
        found = grade(task, conditions, papers)
        if not found["problem"]:
            write(task.page, page(found["document"]))
        write(task.record, json.dumps(found, indent=1, allow_nan=False) + "\n")
        told.write(json.dumps(task.name) + "\n")
        told.flush()


def grade(task: Task, conditions: Conditions, papers: Any) -> dict[str, Any]:
    """The record of one submission. papers: what `examine` keeps of earlier ones."""
    from scratchproof.errors import InputError
    from scratchproof.report.document import document

    began = time.monotonic()
    problem, reports = "", []
    try:
        with _loaded(task, conditions) as subject:
            reports = _reports(subject, conditions, papers)
    except InputError as error:
        problem = str(error)
    found = document(reports, subject=task.name, seed=conditions.seed, oracle="cpu", asked=conditions.layers)
    return record_of(task, conditions, seconds=time.monotonic() - began, problem=problem, document=found)


def _reports(subject: Any, conditions: Conditions, papers: Any) -> list[Any]:
    from scratchproof.exam.checks import examine
    from scratchproof.exam.compare import Verdict
    from scratchproof.subjects.subject import SubjectError
    from scratchproof.table.layers import EVERY_ROW, LAYERS, row

    rows = [row(name) for name in conditions.layers] or EVERY_ROW
    precisions = conditions.precisions or subject.precisions
    reports = [
        examine(subject, layer, precision, seed=conditions.seed, effort=conditions.effort, papers=papers)
        for layer in rows
        for precision in precisions
    ]
    known = {layer.name for layer in (rows if conditions.layers else LAYERS)}
    reports = [report for report in reports if report.layer in known or report.verdict is not Verdict.MISSING]
    if all(report.verdict is Verdict.MISSING for report in reports) and not conditions.layers:
        raise SubjectError("has nothing to examine: no layer, loss or net of a known name")
    return reports


@contextmanager
def _loaded(task: Task, conditions: Conditions) -> Iterator[Any]:
    from scratchproof.sandbox.limits import Limits
    from scratchproof.sandbox.proxy import SandboxedSubject

    row = min(6 * conditions.call, conditions.whole)
    limits = Limits(call=min(conditions.call, conditions.whole), row=row, subject=conditions.whole)
    told: dict[str, Any] = {"renamed": conditions.renamed, "mapping": conditions.mapping}
    options = {name: dict(value) for name, value in told.items() if value}
    subject = SandboxedSubject(str(task.path), limits=limits, **options)
    try:
        yield subject
    finally:
        subject.close()


if __name__ == "__main__":
    main()
