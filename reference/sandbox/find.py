"""Which subjects are kept apart: whatever comes as a path. What can be imported or is torch itself is one's own."""

from pathlib import Path
from typing import Any

from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.process import zygote
from scratchproof.sandbox.proxy import SandboxedSubject
from scratchproof.subjects.subject import Subject, load


def find(spec: str, *, in_process: bool = False, limits: Limits | None = None, **options: Any) -> Subject:
    """The subject that `spec` names: a path in a process of its own, unless `in_process`; anything else in this one.

    options: what else `subjects.load` takes. Raises: SubjectError that says why it cannot be examined.
    """
    if in_process or not is_path(spec):
        return load(spec, **options)
    return SandboxedSubject(spec, limits=limits, **options)


def is_path(spec: str) -> bool:
    """Whether `spec` names a file or a folder, there or not, rather than a module."""
    return Path(spec).suffix in (".py", ".ipynb") or "/" in spec or (Path(spec).is_dir() and not spec.isidentifier())


def prepare(spec: str) -> None:
    """Start importing what a stranger's process needs, while this process imports the rest."""
    if is_path(spec):
        zygote()
