from types import ModuleType

import pytest

from scratchproof.exam.checks import examine
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row


@pytest.fixture
def told():
    """The causes that the exam tells of a row whose functions are given, by quantity."""

    def examined(name, effort="quick", precision="float64", **functions):
        module = ModuleType("planted")
        vars(module).update(functions)
        subject = ModuleSubject(name="planted", module=module)
        report = examine(subject, row(name), precision, effort=effort)
        return {r.quantity: r.cause for r in reversed(report.results) if r.message and r.check != "central differences"}

    return examined
