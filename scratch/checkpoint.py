"""Checkpoints that survive a kill at any instant: written whole or not at all, checked before they are believed.

A run owns a folder of files `iteration-000001225.npz`, of which the two newest are kept. Each holds arrays and,
as bytes of JSON under the key `header`, everything else: format version, fingerprint of the run (its settings,
net and data), the run's scalars. `checksum` is the SHA-256 of all the rest. Nothing is pickled.

Writing: a temporary file in the same folder, flushed to the disk, renamed over the final name, the folder
flushed as well. A rename is atomic, so a reader finds the old state or the new one, never half of one.
Reading: the newest file whose checksum holds. A torn one is set aside (`.torn`) with a warning and the one
before it is used; a file of another run or another format version is an error, never overwritten.
"""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._types import Array

__all__ = ["CheckpointError", "load_checkpoint", "save_checkpoint"]

VERSION = 1
KEPT = 2


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used: torn, of another run, or of another format version."""


class _TornError(CheckpointError):
    """Not a complete file as it was written: a reason to try the one before it."""


def save_checkpoint(
    folder: Path,
    iteration: int,
    fingerprint: Mapping[str, Any],
    scalars: Mapping[str, Any],
    arrays: Mapping[str, Array],
) -> None:
    """Write one checkpoint atomically and remove all but the two newest.

    fingerprint: what JSON can hold. scalars: the same, and NumPy arrays (kept as lists with their dtype).
    arrays: by name; any shapes and dtypes but objects.
    Raises: OSError if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = {"version": VERSION, "fingerprint": dict(fingerprint), "scalars": dict(scalars)}
    content = dict(arrays)
    content["header"] = np.frombuffer(json.dumps(header, default=plain).encode(), np.uint8)
    content["checksum"] = _checksum(content)
    temporary = folder / "writing.tmp"
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, _path(folder, iteration))
    _flush_folder(folder)
    for old in _files(folder)[KEPT:]:
        old.unlink()


def load_checkpoint(folder: Path, fingerprint: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]] | None:
    """The newest whole checkpoint in `folder` as (scalars, arrays), or None where there is none yet.

    Warns: RuntimeWarning when a torn file was passed over.
    Raises: CheckpointError if every file is torn, or if the newest whole one has another fingerprint (the first
    setting that differs is named) or format version; OSError if the folder cannot be made or read.
    """
    folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is an error now, not an epoch later
    ours = json.loads(json.dumps(fingerprint))
    torn: list[tuple[Path, CheckpointError]] = []
    for path in _files(folder):
        try:
            header, arrays = _read(path)
        except _TornError as error:
            torn.append((path, error))
            continue
        _require_same(path, header["fingerprint"], ours)
        _set_aside(torn, path)
        return header["scalars"], arrays
    if torn:
        raise CheckpointError(f"{torn[0][1]} and no older one is whole: remove {folder} to begin again")
    return None


def _set_aside(torn: list[tuple[Path, CheckpointError]], instead: Path) -> None:
    for path, error in torn:
        warnings.warn(f"{error}; going on from {instead.name} instead", RuntimeWarning, stacklevel=4)
        os.replace(path, path.with_suffix(".torn"))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays of a file that is whole and of this format version."""
    data = path.read_bytes()
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        header = json.loads(content["header"].tobytes(), object_hook=_restored)
        checksum = content.pop("checksum")
    except Exception as error:  # a flipped bit in a zip archive can raise almost anything
        raise _TornError(f"{path} is torn or corrupt ({type(error).__name__})") from error
    if header["version"] != VERSION:
        raise CheckpointError(f"{path} has format version {header['version']} but this code reads {VERSION}")
    if not np.array_equal(checksum, _checksum(content)):
        raise _TornError(f"{path} is torn or corrupt (its checksum does not hold)")
    del content["header"]
    return header, content


def _require_same(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    for key in [*ours, *theirs]:
        if theirs.get(key) != ours.get(key):
            raise CheckpointError(
                f"{path} belongs to another run: its {key} is {theirs.get(key)}, here it is {ours.get(key)}; "
                "use the same settings, net, seed and data, or another folder"
            )


def _checksum(arrays: Mapping[str, Array]) -> Array:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.data)
    return np.frombuffer(digest.digest(), np.uint8)


def _path(folder: Path, iteration: int) -> Path:
    return folder / f"iteration-{iteration:09d}.npz"


def _files(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, newest first."""
    return sorted(folder.glob("iteration-*.npz"), reverse=True)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened, and the rename is on the disk already
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def plain(value: Any) -> Any:
    """For JSON: a random generator's state may hold arrays, a setting may be a NumPy scalar."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is a {type(value).__name__}, which a checkpoint cannot hold")


def _restored(value: dict[str, Any]) -> Any:
    return np.array(value["array"], value["dtype"]) if set(value) == {"array", "dtype"} else value
