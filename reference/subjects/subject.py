"""Subjects: whose code sits the exam. Python code by name or by path, or torch itself.

The code of a module, a file, a folder or a notebook runs in this process, with everything this process may do.
"""

from collections.abc import Mapping

from scratchproof.errors import InputError
from scratchproof.finding.find import Found, find
from scratchproof.subjects.cs231n.mapping import Table, told
from scratchproof.subjects.cs231n.module_subject import ModuleSubject, wanted
from scratchproof.subjects.protocol import ContractError, Subject, SubjectError, Unimplemented, Unsupported
from scratchproof.subjects.torch_subject import TorchSubject, check_device, load_torch

__all__ = [
    "ContractError",
    "ModuleSubject",
    "Subject",
    "SubjectError",
    "TorchSubject",
    "Unimplemented",
    "Unsupported",
    "check_device",
    "load",
]


def load(spec: str, *, renamed: Mapping[str, str] | None = None, mapping: Mapping[str, Table] | None = None) -> Subject:
    """Find the subject that `spec` names.

    spec: `scratch` or any importable module, a .py file, a folder of them, a notebook, or
    `torch[:DEVICE[:PRECISION]]`. renamed: the subject's own names by those of CS231n. mapping: how it answers to them
    where a name is not enough (see cs231n/mapping.py).
    Raises: SubjectError that says why it cannot be examined.
    """
    if spec == "torch" or spec.startswith("torch:"):
        return load_torch(spec)
    names = {(renamed or {}).get(name, name) for name in wanted()} | told(mapping or {})

    def found(old: bool) -> Found:
        try:
            return find(spec, names, old=old)
        except InputError as error:
            raise SubjectError(str(error)) from error

    first = found(False)
    again = (lambda: found(True)) if first.may_be_old else None
    return ModuleSubject(
        name=spec,
        module=first.module,
        remarks=first.remarks,
        renamed=dict(renamed or {}),
        mapping=dict(mapping or {}),
        as_python2=again,
    )
