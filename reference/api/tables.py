"""A table of one's own: the rows of a file, and the subject that they are about."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from scratchproof.subjects.callables import NamedSubject
from scratchproof.subjects.subject import ModuleSubject, Subject, SubjectError, load
from scratchproof.table.layers import Layer


def rows_of(path: str | Path) -> tuple[Layer, ...]:
    """Every row that a Python file makes, in order: at its top level, alone or in a tuple or list.

    The file runs in this process. Raises: SubjectError if it cannot be read or holds none.
    """
    module = _module(load(str(path)))
    found = {layer.name: layer for value in vars(module).values() for layer in _layers(value)}
    if not found:
        raise SubjectError(f'{path} holds no rows: make some with `row("name", truth=..., inputs=...)`')
    return tuple(found.values())


def subject_of(subject: Any, device: str = "cpu") -> Subject:
    """Who sits the exam of one's own rows: callables by the rows' names.

    subject: a module, the name of one, the path of a .py file, or a dictionary of callables. What `load` finds that
    is no module, as torch itself, sits it as it is.
    """
    if isinstance(subject, str | Path):
        found = load(str(subject))
        if not isinstance(found, ModuleSubject):
            return found
        return NamedSubject(name=str(subject), module=found.module, others=found, device=device)
    if isinstance(subject, ModuleType):
        others = ModuleSubject(name=subject.__name__, module=subject)
        return NamedSubject(name=others.name, module=subject, others=others, device=device)
    if isinstance(subject, Mapping):
        module = ModuleType("callables")
        vars(module).update(subject)
        return subject_of(module, device)
    return subject  # type: ignore[no-any-return]


def _layers(value: Any) -> Iterator[Layer]:
    for item in value if isinstance(value, tuple | list) else (value,):
        if isinstance(item, Layer):
            yield item


def _module(subject: Subject) -> ModuleType:
    if not isinstance(subject, ModuleSubject):
        raise SubjectError(f"{subject.name} is no Python file: rows are read from one")
    return subject.module
