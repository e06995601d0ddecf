"""Every slip can be computed, and told from the right expression in some case or corner of its row."""

import numpy as np
import pytest

from scratchproof.exam.causes.evidence import by_place
from scratchproof.exam.causes.whole import Mistake, given, mistakes
from scratchproof.exam.exam import Exam
from scratchproof.table.layers import EVERY_ROW
from scratchproof.vjp import PRECISIONS

SLIPPERY = [layer for layer in EVERY_ROW if layer.slips]
# These show where digits are lost, which is less than a comparison of arrays can see.
ROUNDING = ("loses its digits",)


def differs(trial, mistake):
    truth = by_place(trial, trial.truth)
    made = given(mistake, trial)
    return any(
        value.shape != truth[place].shape or not np.allclose(value, truth[place], rtol=1e-9, equal_nan=True)
        for place, value in made.items()
    )


@pytest.mark.parametrize("layer", SLIPPERY, ids=lambda layer: layer.name)
def test_every_slip_shows_somewhere(layer):
    exam = Exam(subject=None, layer=layer, precision=PRECISIONS["float64"])
    trials = [*exam._case_trials(), *exam._corner_trials()]
    for mistake in mistakes(layer):
        if mistake.rank == 0 and not any(word in mistake.sentence for word in ROUNDING):
            assert any(differs(trial, mistake) for trial in trials), mistake.sentence


def test_a_mistake_that_makes_no_sense_in_a_trial_says_nothing():
    def impossible(trial):
        raise ValueError("no such shape")

    (trial, *_) = Exam(subject=None, layer=SLIPPERY[0], precision=PRECISIONS["float64"]).trials
    assert given(Mistake("impossible", 0, impossible), trial) == {}
