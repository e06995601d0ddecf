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


def unfinished(W, X, y, reg):
    scores = W.dot(X)
    shifted = scores - scores.max(axis=0)
    return lost, shifted  # noqa: F821


def test_what_fails_is_asked_in_the_layout_in_which_it_gets_farther():
    module = ModuleType("theirs")
    module.softmax_loss_naive = unfinished
    report = examine(ModuleSubject(name="theirs", module=module), row("softmax_loss_naive"), "float64", effort="quick")
    assert "name 'lost' is not defined" in report.results[0].message
