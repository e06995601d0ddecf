"""How numbers were drawn is named where it is one of the usual mistakes, and not where it is none of them."""

import re

import numpy as np
import pytest

from scratchproof.exam.draws import distribution, drawn_otherwise, not_dropped, unlike

SHAPE, SCALE = (300, 70), 0.05
RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal(SHAPE)
OPTIONS = {"weight_scale": SCALE}
DRAWN = {
    "weight_scale is missing": NORMAL,
    "uniform numbers \\(rand\\), all positive": SCALE * RNG.random(SHAPE),
    "uniform between -weight_scale": RNG.uniform(-SCALE, SCALE, SHAPE),
    "taken for the variance": np.sqrt(SCALE) * NORMAL,
    "scales the weights twice": SCALE**2 * NORMAL,
    "1/sqrt\\(fan in\\), not": NORMAL / np.sqrt(SHAPE[0]),
    "never arrives: the deviation is 0.001": 1e-3 * NORMAL,
    "units stay alike": np.zeros(SHAPE),
}


@pytest.mark.parametrize("told", DRAWN)
def test_the_way_in_which_weights_were_drawn_is_named(told):
    assert unlike(DRAWN[told].ravel(), SCALE * NORMAL.ravel())
    cause = drawn_otherwise(DRAWN[told].ravel(), SCALE * NORMAL, OPTIONS)
    assert re.search(told, cause), cause


def test_nothing_is_named_where_nothing_is_known():
    assert drawn_otherwise(0.0317 * NORMAL.ravel(), SCALE * NORMAL, OPTIONS) == ""
    assert not unlike(SCALE * NORMAL.ravel(), SCALE * RNG.standard_normal(SHAPE).ravel())


def test_biases_that_do_not_start_at_zero():
    due = np.zeros(5)
    assert drawn_otherwise(RNG.standard_normal(5), due, OPTIONS) == "it is drawn at random: a bias starts at 0"
    assert drawn_otherwise(np.ones(5), due, OPTIONS) == "it starts at 1: a bias starts at 0"


def test_masks_of_a_net_are_named_by_what_they_drop():
    keep = RNG.random((60, 200))
    assert not_dropped((keep < 0.8).astype(float), 0.2) == ("", "")
    assert "taken for that which is dropped" in not_dropped((keep < 0.2).astype(float), 0.2)[1]
    assert not_dropped(np.ones((60, 200)), 0.2)[1] == "nothing is dropped"
    assert "drawn once" in not_dropped((keep[:1].repeat(60, 0) < 0.8).astype(float), 0.2)[1]


def test_what_was_compared_with_p():
    assert "randn" in distribution(0.5 + 0.258, 0.7, 0.01)
    assert distribution(1.0, 0.7, 0.01) == "nothing is dropped: there is no mask"
    assert distribution(0.0, 0.7, 0.01) == "everything is dropped"
    assert distribution(0.6, 0.7, 0.01) == ""
