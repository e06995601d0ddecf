"""The named mistakes: the textbook is right, every change still applies, and some of each row are caught."""

import pytest

from scratchproof.bank.kill import Bench
from scratchproof.bank.mistakes import NAMED, SOMETIMES, Slip, mistaken, subject_of
from scratchproof.table.layers import row

FEW = (*NAMED[::24], *SOMETIMES[::10])


def test_there_are_enough_and_none_is_there_twice():
    assert len(NAMED) >= 120
    assert len(SOMETIMES) >= 60
    assert len({(s.row, s.name) for s in (*NAMED, *SOMETIMES)}) == len(NAMED) + len(SOMETIMES)


def test_every_mistake_still_finds_its_text():
    for slip in (*NAMED, *SOMETIMES):
        assert row(slip.row)
        subject_of(slip)


def test_a_text_that_is_not_there_once_is_refused():
    with pytest.raises(ValueError, match="holds 'no such text' 0 times"):
        subject_of(Slip("relu", "relu_forward", "none", "no such text", ""))
    assert mistaken("def other(): pass", NAMED[0]) == "def other(): pass"


@pytest.mark.parametrize("name", ["affine", "batchnorm", "conv", "max_pool", "softmax_loss", "adam"])
def test_the_textbook_is_right(name):
    assert Bench(effort="quick").kill(subject_of(None), [row(name)]) == ""


@pytest.mark.parametrize("slip", FEW, ids=lambda s: f"{s.row}: {s.name}")
def test_it_is_caught(slip):
    assert Bench(precisions=("float64",)).kill(subject_of(slip), [row(slip.row)])
