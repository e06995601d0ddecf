"""The exam in one's own test suite: one pytest test for each row, precision and check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scratchproof.api.report import told
from scratchproof.api.tables import rows_of, subject_of
from scratchproof.errors import InputError
from scratchproof.exam import checks
from scratchproof.exam.compare import Report as Sitting
from scratchproof.exam.compare import Verdict
from scratchproof.extras import needed
from scratchproof.subjects.subject import Subject
from scratchproof.table.layers import Layer


def parametrize(
    subject: Any,
    rows: Sequence[Layer] | str,
    precisions: Sequence[str] = (),
    *,
    expected: Mapping[str, str] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Any:
    """A decorator that runs a test for each row, precision and check, each called `row-precision-check`.

    subject: a module, its name, the path of a .py file, or a dictionary of callables by the rows' names.
    rows: of a table of one's own (see `row`), or the path of the file that holds them.
    precisions: those that the subject sits in unless said. expected: failures that are known, each test's name to
        the reason: such a test must fail. device: where a torch subject's tensors are.
    The test takes one argument, `check`, and calls it. Raises: InputError if an expected failure names no test.

    >>> import torch
    >>> table = [row("silu", truth=torch.nn.functional.silu, inputs={"x": (4, 5)})]
    >>> @parametrize({"silu": lambda x: x * torch.sigmoid(x)}, table, ["float32"])
    ... def test_kernels(check):
    ...     check()
    """
    pytest = needed("pytest")
    examined, known = subject_of(subject, device), dict(expected or {})
    table = rows_of(rows) if isinstance(rows, str) else tuple(rows)
    sittings = [_Sitting(examined, layer, name, seed) for layer in table for name in precisions or examined.precisions]
    parameters = []
    for sitting in sittings:
        for check in checks.names(sitting.layer):
            name = f"{sitting.layer.name}-{sitting.precision}-{check}"
            reason = known.pop(name, "")
            marks = [pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError)] if reason else []
            parameters.append(pytest.param(Check(sitting, check), id=name, marks=marks))
    if known:
        raise InputError(f"{next(iter(known))!r} is expected to fail, but there is no such test")
    return pytest.mark.parametrize("check", parameters)


@dataclass
class _Sitting:
    """A row in one precision, examined when the first of its tests asks for it."""

    subject: Subject
    layer: Layer
    precision: str
    seed: int

    @cached_property
    def report(self) -> Sitting:
        return checks.examine(self.subject, self.layer, self.precision, seed=self.seed)


@dataclass(frozen=True)
class Check:
    """One test: call it. Raises: AssertionError with what the check found and its cause."""

    sitting: _Sitting
    name: str

    def __call__(self) -> None:
        report = self.sitting.report
        if report.verdict is Verdict.MISSING:
            raise AssertionError(f"{self.sitting.subject.name} has no {self.sitting.layer.name}")
        found = [result for result in report.results if result.check == self.name]
        if problems := [result for result in found if result.verdict is not Verdict.PASS]:
            raise AssertionError(told(sorted(problems, key=lambda result: -result.verdict.gravity)))
        if not found and report.verdict in (Verdict.CRASH, Verdict.TIMEOUT):
            raise AssertionError(f"not reached: {report.findings[0].message}")
