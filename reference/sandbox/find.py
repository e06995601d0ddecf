"""Which subjects are kept apart: whatever comes as a path. What can be imported or is torch itself is one's own."""

from typing import Any

from scratchproof.finding.paths import is_path
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.proxy import SandboxedSubject
from scratchproof.subjects.subject import Subject, load


def find(spec: str, *, in_process: bool = False, limits: Limits | None = None, **options: Any) -> Subject:
    """The subject that `spec` names: a path in a process of its own, unless `in_process`; anything else in this one.

    options: what else `subjects.load` takes. Raises: SubjectError that says why it cannot be examined.
    """
    if in_process or not is_path(spec):
        return load(spec, **options)
    return SandboxedSubject(spec, limits=limits, **options)
