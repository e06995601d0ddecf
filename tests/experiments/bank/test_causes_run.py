"""What is counted as right, wrong, a fact or nothing; and that every fresh mistake still finds its text."""

import pytest

from scratchproof.bank.mistakes import NAMED, subject_of
from scratchproof.exam.causes.facts import KNOWN
from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.experiments.bank.causes_run import HOMEWORK, causes, kind_of
from scratchproof.experiments.bank.dues import DUES
from scratchproof.experiments.bank.fresh import FRESH, UNSEEN
from scratchproof.table.layers import row


@pytest.mark.parametrize(
    ("told", "due", "kind"),
    [
        (["its sign is flipped"], "sign", "right"),
        (["its sign is flipped", "it is twice"], "sign", "wrong"),
        (["its sign is flipped"], "", "wrong"),
        ([f"{KNOWN}it is zero throughout"], "sign", "fact"),
        ([f"{KNOWN}1 of 9 elements are zero"], "1 of 9", "right"),
        (["message: backward raised IndexError"], "raised", "right"),
        (["only: got 1, expected 2"], "got", "none"),
    ],
)
def test_what_is_said_is_counted_for_what_it_is(told, due, kind):
    assert kind_of(told, due) == kind


def test_every_named_mistake_has_its_due_or_is_known_to_have_none():
    assert set(DUES) == {(slip.row, slip.name) for slip in NAMED}


def test_every_fresh_mistake_finds_its_text():
    for slip in (*FRESH, *UNSEEN):
        assert row(slip.row)
        subject_of(slip, HOMEWORK)


@pytest.mark.parametrize("name", ["affine", "batchnorm", "conv", "lstm_step", "TwoLayerNet"])
def test_the_homework_is_right(name):
    assert examine(subject_of(None, HOMEWORK), row(name), "float64", effort="quick").verdict is Verdict.PASS


def test_a_fresh_mistake_is_named():
    (slip,) = (slip for slip in FRESH if slip.name == "mask >= of dout")
    assert kind_of(causes(slip, {}, HOMEWORK), slip.due) == "right"
