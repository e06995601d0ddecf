"""What an exam found, for a person at a prompt, in a notebook, or in a test."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console

from scratchproof.bank.worth import by_allowance
from scratchproof.exam.compare import Report as Sitting
from scratchproof.exam.compare import Result, Verdict
from scratchproof.report.document import document
from scratchproof.report.page import fragment
from scratchproof.report.terminal import show

WIDTH = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of `examine`: prints as a table with what was found below, and shows itself in a notebook.

    subject: what was examined. sittings: one for each function and precision, with every comparison in `results`.

    >>> import torch
    >>> report = examine(torch.tanh, truth=torch.tanh, inputs={"x": (3, 4)})
    >>> report.passed, report.findings
    (True, ())
    """

    subject: str
    seed: int
    sittings: tuple[Sitting, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong or suspect; a note on a convention is neither."""
        return all(sitting.verdict is Verdict.PASS for sitting in self.sittings)

    @property
    def findings(self) -> tuple[Result, ...]:
        """Everything with something to say, the gravest first; each has message, cause, verdict, error, allowed."""
        found = [finding for sitting in self.sittings for finding in sitting.findings]
        return tuple(sorted(found, key=lambda finding: (-finding.verdict.gravity, not finding.cause)))

    @property
    def problem(self) -> str:
        """What `assert_passes` says; nothing where all passed."""
        problems = [finding for finding in self.findings if finding.verdict is not Verdict.PASS]
        return "" if self.passed else told(problems) or f"{self.subject}: nothing could be examined"

    def __str__(self) -> str:
        return self._printed(io.StringIO())

    def _repr_html_(self) -> str:
        return fragment(self._document())

    def _document(self) -> dict[str, Any]:
        worth = by_allowance(sitting for sitting in self.sittings if sitting.verdict is Verdict.PASS)
        return document(self.sittings, subject=self.subject, seed=self.seed, oracle="cpu", certificate=worth)

    def _printed(self, stream: io.StringIO) -> str:
        show(Console(file=stream, width=WIDTH), self._document())
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


class Judged(Protocol):
    """Whatever was judged: a `Report` or a `Trace`."""

    @property
    def problem(self) -> str: ...


def assert_passes(report: Judged) -> None:
    """For tests: pass, or say what is wrong and why.

    report: of `examine`, or of `trace`.
    Raises: AssertionError with the gravest finding, its cause, and how many more there are; or with the first call
        that diverges.

    >>> import torch
    >>> assert_passes(examine(torch.tanh, truth=torch.tanh, inputs={"x": (3, 4)}))
    """
    if report.problem:
        raise AssertionError(report.problem)


def told(problems: Sequence[Result]) -> str:
    """The first of the problems with its cause, and how many more there are."""
    if not problems:
        return ""
    first = problems[0]
    cause = f"\ncause: {first.cause}" if first.cause else ""
    more = f"\n... and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{first.verdict} {first.message}{cause}{more}"
