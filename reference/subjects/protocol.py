"""What the exam asks of a subject, and how a subject says that it cannot answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How the functions of a row are called, so that a script can.

    file: where they stand. names: of the function, of forward and backward, or of the class. args, keywords: what
    stands behind the inputs, or what a class is made with beside its sizes; None for a dtype and for a generator of
    random numbers. loss: what a net's loss takes beside X and y. params: a net's own names by ours.
    """

    file: str
    names: tuple[str, ...]
    args: list[Any] = field(default_factory=list)
    keywords: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


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

    def spelled(self, layer: Layer, case: Case, precision: Precision) -> Spelling | None:
        """How a script would call its functions; None where it could not."""


class PromisesNothing:
    """What a subject answers that has no documented errors, and whose calls no script could spell."""

    __slots__ = ()

    def documents_errors(self, layer: Layer) -> bool:
        return False

    def refuses_all(self, layer: Layer) -> bool:
        return False

    def spelled(self, layer: Layer, case: Case, precision: Precision) -> None:
        return None
