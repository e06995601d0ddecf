"""An update rule that cannot do without a config, though it says so, gets one, unless its package promises more."""

from types import ModuleType

import pytest

from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row


def sgd(w, dw, config=None):
    return w - config["learning_rate"] * dw, config


@pytest.mark.parametrize(("promise", "verdict"), [(None, Verdict.PASS), (ValueError, Verdict.CRASH)])
def test_a_config_that_is_not_optional(promise, verdict):
    module = ModuleType("theirs")
    module.sgd, module.__refuses__ = sgd, promise
    report = examine(ModuleSubject(name="theirs", module=module), row("sgd"), "float64", effort="quick")
    assert report.verdict is verdict
