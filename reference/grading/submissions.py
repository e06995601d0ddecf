"""What is to be graded, under which conditions, and what of it has been done before."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scratchproof.errors import InputError

SOURCES = (".py", ".ipynb")
LONGEST = 180  # characters of a file name
FORMAT, VERSION = "scratchproof-grade", 1


class GradeError(InputError):
    """There is nothing to grade, or nowhere to put it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The same for all submissions of a run. layers and precisions: all of the table if empty.

    effort: quick | normal | thorough. renamed: what submissions call something, by CS231n's name for it.
    mapping: how they answer to those names where a name is not enough.

    call, whole: the seconds that one call of a submission's code, and all of them together, may take.
    """

    layers: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    effort: str = "normal"
    renamed: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    call: float = 10.0
    whole: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A submission: what it is called, where it lies, and where what is found of it belongs."""

    name: str
    path: Path
    record: Path
    page: Path

    def digest(self) -> str:
        """Changes when any source of the submission does."""
        files = [self.path] if self.path.is_file() else sorted(p for p in self.path.rglob("*") if p.suffix in SOURCES)
        sources = hashlib.sha256()
        for file in files:
            if file.is_file():
                sources.update(f"{file.relative_to(self.path)}\n".encode() + file.read_bytes())
        return sources.hexdigest()


def tasks(places: Sequence[Path], out: Path) -> list[Task]:
    """The submissions: each file given, and in each folder given each source file, notebook and folder.

    Raises: GradeError where there is no such place, or nothing in it.
    """
    found = list(dict.fromkeys(path for place in places for path in _within(place)))
    if not found:
        raise GradeError(
            f"no submission in {', '.join(map(str, places))}: need .py files, notebooks or folders of them"
        )
    top = Path(os.path.commonpath([path.parent.resolve() for path in found]))
    names = [str(path.resolve().relative_to(top)) for path in found]
    return [_task(name, path, out) for name, path in zip(names, found, strict=True)]


def _task(name: str, path: Path, out: Path) -> Task:
    record, page = out / "records" / f"{_stem(name)}.json", out / "pages" / f"{_stem(name)}.html"
    return Task(name=name, path=path, record=record, page=page)


def done_before(task: Task, conditions: Conditions) -> dict[str, Any] | None:
    """The record of a submission that was graded to its end, as it is now and under the same conditions; else None."""
    try:
        record = json.loads(task.record.read_text(encoding="utf-8"))
        sound = record["format"] == FORMAT and record["version"] == VERSION and record["seconds"] is not None
        same = record["digest"] == task.digest() and record["conditions"] == _plain(conditions)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if sound and same else None


def record_of(task: Task, conditions: Conditions, **found: Any) -> dict[str, Any]:
    """What is kept of a graded submission.

    found: document (see document.py), problem, and seconds, which are None where the work was not finished.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "submission": task.name,
        "digest": task.digest(),
        "conditions": _plain(conditions),
        **found,
    }


def _stem(name: str) -> str:
    """A file name that no other submission has, whatever its own is made of."""
    raw = os.fsencode(name)
    stem = quote(raw, safe="")
    return stem if len(stem) <= LONGEST else f"{stem[:LONGEST]}-{hashlib.sha256(raw).hexdigest()[:16]}"


def _plain(conditions: Conditions) -> Any:
    return json.loads(json.dumps(asdict(conditions)))


def _within(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    if not place.is_dir():
        raise GradeError(f"there is no file or folder {place}")
    for path in sorted(place.iterdir()):
        hidden = path.name.startswith((".", "__"))
        if not hidden and (path.suffix in SOURCES or (path.is_dir() and _has_sources(path))):
            yield path


def _has_sources(folder: Path) -> bool:
    return any(path.suffix in SOURCES for path in folder.rglob("*"))
