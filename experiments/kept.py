"""A training that survives a kill: one folder that holds its checkpoints while it runs, and then what came of it.

    fit = outcome(folder, identity)          # None until it has been finished
    ...                                      # train, with the Solver's checkpoints in folder / CHECKPOINTS
    finish(folder, identity, fit)

identity names everything that decides the outcome; a folder that holds another training's is refused.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scratchproof.scratch.checkpoint import load_checkpoint, save_checkpoint

from .record import write_json

if TYPE_CHECKING:
    from .training import Fit

CHECKPOINTS = "checkpoints"
ARRAYS = ("params", "loss_history")
CLOCK = "clock.json"
NO_TIME = {"seconds": 0.0, "cpu_seconds": 0.0, "gathering": 0.0}


def identity(params: Mapping[str, NDArray[Any]], rng: np.random.Generator, **settings: Any) -> dict[str, Any]:
    """What decides a training: its settings, and digests of its start and of its generator's state."""
    start = hashlib.sha256(repr(rng.bit_generator.state).encode())
    for name in sorted(params):
        start.update(np.ascontiguousarray(params[name]).data)
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=_by_name))
    return {**plain, "start": start.hexdigest()[:16]}


def outcome(folder: Path, identity: Mapping[str, Any]) -> "Fit | None":
    """What came of a training that has been finished in this folder; None where none was.

    Raises: CheckpointError if the folder holds another training's.
    """
    from .training import Fit

    if not folder.exists():
        return None
    found = load_checkpoint(folder, identity)
    if found is None:
        return None
    scalars, arrays = found
    params = {name.removeprefix("params/"): value for name, value in arrays.items() if name != "loss_history"}
    return Fit(params=params, loss_history=arrays["loss_history"].tolist(), **scalars)


def finish(folder: Path, identity: Mapping[str, Any], fit: "Fit") -> None:
    """Keep what came of a training, and let its checkpoints go."""
    scalars = {item.name: getattr(fit, item.name) for item in fields(fit) if item.name not in ARRAYS}
    arrays = {f"params/{name}": value for name, value in fit.params.items()}
    arrays["loss_history"] = np.array(fit.loss_history, np.float64)
    save_checkpoint(folder, len(fit.loss_history), identity, scalars, arrays)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    (folder / CLOCK).unlink(missing_ok=True)


def spent(folder: Path | None) -> dict[str, float]:
    """The time that the training had taken by its last checkpoint."""
    try:
        return NO_TIME if folder is None else dict(json.loads((folder / CLOCK).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return NO_TIME


def note_time(folder: Path, times: Mapping[str, float]) -> None:
    """Keep the time taken so far beside the checkpoint that has just been written."""
    write_json(folder / CLOCK, times)


def settings_of(plan: Any) -> dict[str, Any]:
    """A plan's fields that decide what comes out, as JSON can hold them."""
    left_out = ("print_every", "verbose")
    return {name: value for name, value in asdict(plan).items() if name not in left_out}


def _by_name(value: Any) -> Any:
    """A function by its name, a NumPy scalar by its value."""
    return value.item() if hasattr(value, "item") else value.__qualname__
