"""Where results are written: never over something that is not such a result.

A file that exists is replaced only if it is a regular file that begins as the files written here begin.
"""

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scratchproof.errors import InputError

# How each kind of file begins that is written here.
BEGINNINGS = (
    b'{\n "format": "scratchproof-',
    b'{\n "extra_data": {\n  "format": "scratchproof-',
    b"<?xml version='1.0' encoding='utf-8'?>\n<!-- scratchproof-",
    b"<!doctype html>\n<!-- scratchproof-",
    b"submission,points,of,seconds,problem",
    b"# scratchproof: ",
)


class FileError(InputError):
    """The results cannot be written there; the message says why."""


def check_target(path: Path) -> None:
    """Find out, before the work and not after it, that a result could not or must not be written to `path`.

    Raises: FileError.
    """
    try:
        _refuse_others(path)
        _draft(path).unlink()
    except FileError:
        raise
    except (OSError, ValueError) as error:
        raise FileError(f"cannot write {path}: {_reason(error)}") from error


def write(path: Path, text: str) -> None:
    """Write the text whole or not at all. Raises: FileError."""
    check_target(path)
    draft = _draft(path)
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise FileError(f"cannot write {path}: {_reason(error)}") from error


def scripts(folder: Path, document: Mapping[str, Any]) -> list[Path]:
    """Write each finding's script into a folder, made if it is not there; what was written. Raises: FileError."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {_reason(error)}") from error
    found: dict[Path, str] = {}
    for report in document["reports"]:
        for result in report["results"]:
            if script := result.get("reproducer"):
                found.setdefault(folder / f"{report['layer']}_{result['quantity']}.py", script)
    for path, script in found.items():
        write(path, script)
    return list(found)


def _refuse_others(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise FileError(f"cannot write {path}: there is no folder {path.parent}") from None
        return
    if not stat.S_ISREG(mode):
        raise FileError(f"cannot write {path}: it is {_kind(mode)}, not a regular file")
    with path.open("rb") as file:
        beginning = file.read(max(map(len, BEGINNINGS)))
    if not beginning.startswith(BEGINNINGS):
        raise FileError(f"{path} exists and was not written by scratchproof: give another name or remove it first")


def _draft(path: Path) -> Path:
    """A new empty file beside `path`, with the permissions that any new file gets."""
    draft = path.with_name(f".scratchproof-{os.getpid()}")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return draft


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device or a socket")


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
