"""What the exam asks of a subject, and how a subject says that it cannot answer."""

from typing import Protocol

from scratchproof.errors import InputError
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Function, Precision


class SubjectError(InputError):
    """The subject cannot be examined at all: no such file, it does not import, no such device."""


class ContractError(Exception):
    """The subject answered, but with something of the wrong form: a gradient missing, a parameter of another shape."""


class Unimplemented(ContractError):
    """The subject has the name, and nothing behind it yet: `pass`, None, NotImplementedError."""


class Unsupported(Exception):
    """The subject has no way to be given this option."""


class Subject(Protocol):
    """What the exam asks of a subject. A function is None where the subject does not have the layer."""

    @property
    def name(self) -> str: ...

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions in which it sits the exam unless told otherwise."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What had to be done so that it could be examined: imports stubbed, Python 2 translated. May grow."""

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None: ...

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        """For nets: the class scores of test mode, as a function of the same inputs."""

    def documents_errors(self, layer: Layer) -> bool:
        """Whether its documentation promises a ValueError for bad input."""

    def refuses_all(self, layer: Layer) -> bool:
        """Whether it promises a ValueError for whatever does not fit: every argument, cotangent and option."""
