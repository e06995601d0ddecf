"""What a Solver writes into its checkpoints and reads back: everything that decides the rest of the run."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._types import Array
from .checkpoint import load_checkpoint, plain, save_checkpoint

if TYPE_CHECKING:
    from .solver import Solver

HISTORIES = ("loss_history", "train_acc_history", "val_acc_history")
SAMPLED_ROWS = 256  # images of each part that a fingerprint looks at: hashing them all would take a second


def describe_run(solver: "Solver") -> dict[str, Any]:
    """Name everything that the numbers of a run depend on, before its first step.

    Settings and the net's simple attributes by value; initial parameters, the generator's state, labels and 256
    evenly spaced images of each part by digest; functions by name only.
    """
    model = solver.model
    attributes = {key.lstrip("_"): _name(value) if callable(value) else value for key, value in vars(model).items()}
    simple = {key: value for key, value in attributes.items() if isinstance(value, int | float | str | tuple)}
    settings = ("update_rule", "optim_config", "lr_decay", "num_epochs", "batch_size")
    return {
        **{key: getattr(solver, key) for key in settings},
        **{key: _name(getattr(solver, key)) for key in ("augment", "lr_schedule")},
        "net": type(model).__name__,
        **{f"net's {key}": value for key, value in sorted(simple.items())},
        **{f"net's initial {name}": _summary(w) for name, w in model.params.items()},
        "random generator": _digest(json.dumps(solver.rng.bit_generator.state, default=plain).encode()),
        **{f"X_{part}": _summary(getattr(solver, f"X_{part}"), SAMPLED_ROWS) for part in ("train", "val")},
        **{f"y_{part}": _summary(getattr(solver, f"y_{part}")) for part in ("train", "val")},
    }


def save(solver: "Solver", folder: Path) -> None:
    """Write the solver's state between two iterations as one checkpoint.

    Raises: OSError if the folder cannot be written.
    """
    arrays: dict[str, Array] = {"order": solver.order}
    arrays |= {key: np.array(getattr(solver, key), np.float64) for key in HISTORIES}
    options: dict[str, dict[str, Any]] = {}
    for name, w in solver.model.params.items():
        arrays |= {f"params/{name}": w, f"best/{name}": solver.best_params[name]}
        state = solver.state[name]
        options[name] = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
        arrays |= {f"state/{name}/{key}": state[key] for key in state if key not in options[name]}
    scalars = {
        "iteration": solver.iteration,
        "best_val_acc": solver.best_val_acc,
        "rng": solver.rng.bit_generator.state,
        "options": options,
    }
    save_checkpoint(folder, solver.iteration, solver.fingerprint, scalars, arrays)


def resume(solver: "Solver", folder: Path) -> None:
    """Put a fresh solver where the newest whole checkpoint in `folder` left off; without one, leave it alone.

    Raises: CheckpointError if the checkpoints there are torn or another run's.
    """
    loaded = load_checkpoint(folder, solver.fingerprint)
    if loaded is None:
        return
    scalars, arrays = loaded
    solver.iteration, solver.best_val_acc = scalars["iteration"], scalars["best_val_acc"]
    solver.rng.bit_generator.state = scalars["rng"]
    solver.order = arrays["order"]
    for key in HISTORIES:
        setattr(solver, key, arrays[key].tolist())
    for name, w in solver.model.params.items():
        w[...] = arrays[f"params/{name}"]
        solver.best_params[name][...] = arrays[f"best/{name}"]
        prefix = f"state/{name}/"
        found = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        solver.state[name] = scalars["options"][name] | found


def _name(function: Any) -> str | None:
    """A function's name; for an object that can be called, its class's."""
    return None if function is None else getattr(function, "__qualname__", type(function).__qualname__)


def _summary(array: Array, most: int | None = None) -> str:
    """Shape, dtype and a digest of an array, or of `most` of its rows, evenly spaced."""
    rows = array
    if most is not None and len(array) > most:
        rows = array[np.linspace(0, len(array) - 1, most).astype(int)]
    return f"{array.shape} {array.dtype} {_digest(rows.tobytes())}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
