"""Decoded arrays kept on disk, so that a slow decoding happens once.

An entry is a folder of raw .npy files and an about.json. It is written into a folder of its own and renamed into
place, so a reader sees all of it or nothing, and read as memory maps, so opening it costs next to nothing.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Entry = tuple[dict[str, NDArray[Any]], dict[str, Any]]
"""Named arrays, and what is to be known about them (JSON)."""
FORMAT = 1


def cache_dir() -> Path:
    """$SCRATCHPROOF_CACHE, or scratchproof/ in the user's cache folder. It may be deleted at any time."""
    if chosen := os.environ.get("SCRATCHPROOF_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "scratchproof"


def fingerprint(files: Iterable[tuple[str, int, int]]) -> str:
    """A digest that changes whenever one of the files (name, size, modification time) does."""
    digest = hashlib.sha256()
    for entry in files:
        digest.update(repr(entry).encode())
    return digest.hexdigest()


def cached(store: Path, name: str, fingerprint: str, make: Callable[[], Entry]) -> Entry:
    """The entry called `name` if it was made from `fingerprint`, or else what `make` gives, kept in its place.

    A disk that is full or read-only costs the cache, not the result.
    """
    try:
        return _map(store / name, fingerprint)
    except (OSError, ValueError, KeyError, EOFError):  # not there, of other files, or torn: make it (again)
        entry = make()
    try:
        _keep(store, name, fingerprint, entry)
        return _map(store / name, fingerprint)
    except OSError:
        return entry


def _map(folder: Path, fingerprint: str) -> Entry:
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    if (about["format"], about["fingerprint"]) != (FORMAT, fingerprint):
        raise ValueError(f"{folder} was made from other files")
    # Copy-on-write: the file cannot be changed through the array, and torch takes it without a copy.
    return {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in about["arrays"]}, about


def _keep(store: Path, name: str, fingerprint: str, entry: Entry) -> None:
    arrays, about = entry
    store.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=store))
    try:
        for key, array in arrays.items():
            np.save(draft / f"{key}.npy", array)
        made = {"format": FORMAT, "fingerprint": fingerprint, "arrays": list(arrays)}
        text = json.dumps({**about, **made})
        (draft / "about.json").write_text(text, encoding="utf-8")
        shutil.rmtree(store / name, ignore_errors=True)
        draft.rename(store / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
