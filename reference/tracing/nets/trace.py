"""The trace of a whole net: where on the way of one minibatch, forward and backward, a subject first goes wrong.

Every layer is judged twice. Teacher-forced, it gets torch's own values, so that an error shows where it is made;
free-running, it gets what the subject's layers before it made, so that one sees what becomes of an error. The
first divergence is the first layer in order of computation (forward, then backward) that goes wrong on right input.
"""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scratchproof.exam.compare import Result
from scratchproof.report.document import finite
from scratchproof.report.terminal import STYLES, margin
from scratchproof.report.text import plain
from scratchproof.sandbox.failures import Failure, said
from scratchproof.sandbox.find import find
from scratchproof.subjects.subject import SubjectError
from scratchproof.tracing.nets.tap import Batch, Trace, Tracer
from scratchproof.vjp import PRECISIONS


def minibatch(
    net: str, source: str, rows: int, *, seed: int = 0, root: Path | None = None, download: bool = False
) -> Batch:
    """The first `rows` of a seeded shuffle of the training images, less their mean and divided by their spread.

    The XOR net gets noisy corners of the unit square whatever the source.
    Raises: DataError if the images are missing or unreadable.
    """
    rng = np.random.default_rng(seed)
    if net == "xor":
        corners = rng.integers(2, size=(rows, 2))
        X = corners + 0.1 * rng.standard_normal((rows, 2))
        return Batch(X=X, y=corners[:, 0] ^ corners[:, 1], num_classes=2, description="XOR with noise 0.1")
    from scratchproof.images import data

    split = data.load_split(source, root=root, download=download)
    chosen = np.sort(rng.choice(len(split.X_train), size=min(rows, len(split.X_train)), replace=False))
    X = np.asarray(split.X_train[chosen], dtype=np.float64)
    return Batch(
        X=X / (X.std() or 1.0),  # one and the same colour everywhere has no spread
        y=np.asarray(split.y_train[chosen]),
        num_classes=len(split.class_names),
        description=split.description,
    )


def trace(
    net: str, spec: str, batch: Batch, *, precision: str = "float64", device: str = "cpu", seed: int = 0
) -> Trace:
    """Trace the net called `net` (two_layer | xor | convnet) with the layers of the subject `spec`.

    A subject that comes as a path runs in a process of its own.
    Raises: SubjectError if the subject cannot be examined or lacks a layer that the net needs.
    """
    try:
        return Tracer(net, find(spec), batch, PRECISIONS[precision], device, seed).trace()
    except Failure as failure:
        raise SubjectError(f"{spec} {said(failure)}") from None


def document(found: Trace, environment: dict[str, Any]) -> dict[str, Any]:
    """JSON: format "scratchproof-trace", version 1; lines with path, shape, teacher_forced, free_running."""
    first = found.first_divergence
    return {
        "format": "scratchproof-trace",
        "version": 1,
        "net": found.net,
        "subject": found.subject,
        "precision": found.precision,
        "seed": found.seed,
        "oracle": found.oracle,
        "data": found.batch,
        "environment": environment,
        "first_divergence": first.path if first else None,
        "passed": found.passed,
        "lines": [
            {
                "path": line.path,
                "shape": list(line.shape),
                "teacher_forced": finite(line.forced.as_dict()),
                "free_running": finite(line.free.as_dict()),
            }
            for line in found.lines
        ],
        "whole_net": [finite(result.as_dict()) for result in found.whole],
    }


def show(console: Console, found: Trace) -> None:
    """Print one line a quantity in order of computation, and where the net first goes wrong.

    "forced" is the verdict on torch's own values, "free" that on what the subject's layers passed on.
    """
    beside = f"{found.net} of {found.subject} beside its torch.nn twin, {found.precision}, {found.batch}"
    console.print(Text(f"{plain(beside)}\n"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("path", "shape", "forced", "error/allowed margin", "free", "error/allowed margin"):
        table.add_column(heading, no_wrap=True, justify="right" if "/" in heading else "left")
    for line in found.lines:
        table.add_row(Text(line.path), str(line.shape), *_cells(line.forced), *_cells(line.free))
    for result in found.whole:
        table.add_row(Text(f"{result.case}.{result.quantity}"), "", "", "", *_cells(result))
    console.print(table, highlight=False)
    first = found.first_divergence
    if first is None:
        everything = "every layer agrees" if found.passed else "every layer agrees, but not the whole net"
        console.print(f"\n{everything}", style="green" if found.passed else "bold red")
        for result in found.whole:
            if result.message:
                console.print(Text(plain(result.message)), soft_wrap=True)
        return
    console.print(f"\nfirst divergence: {first.path}", style="bold red")
    console.print(Text(plain(first.forced.message)), soft_wrap=True)
    if first.forced.cause:
        console.print(Text(f"cause: {plain(first.forced.cause)}", style="cyan"), soft_wrap=True)


def _cells(result: Result) -> tuple[Text, str]:
    return Text(str(result.verdict), style=STYLES[result.verdict]), margin(result.error, result.allowed)
