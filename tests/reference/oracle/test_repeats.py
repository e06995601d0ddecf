"""Equal terms are rounded alike: what repeats is seen, and what its roundings add up to is allowed."""

import numpy as np
import pytest
import torch

from scratchproof import allowance
from scratchproof.oracle.repeats import FEW, repetition
from scratchproof.vjp import PRECISIONS

DOUBLE, SINGLE = PRECISIONS["float64"], PRECISIONS["float32"]
UNIT = DOUBLE.unit
RNG = np.random.default_rng(0)
VARIED = torch.from_numpy(RNG.standard_normal((5, 130)))
ALIKE = torch.from_numpy(RNG.integers(1, 3, (5, 130)) / 130)
GROUPS = [torch.bincount((130 * row).long(), minlength=3)[1:] for row in ALIKE]


def added(name, *args, precision=DOUBLE):
    return repetition(name, args, precision).added


def test_groups_of_equal_terms_count_by_their_squares():
    worst = max(float((group * group).sum()) for group in GROUPS) / 130
    assert added("sum", VARIED, [1]) == 1
    assert added("sum", ALIKE, [1]) == pytest.approx(worst)
    assert 10 < added("sum", ALIKE * (1 + UNIT * VARIED), [1]) < worst
    assert added("sum", ALIKE.T.contiguous(), [0]) == pytest.approx(worst)
    assert added("sum", torch.zeros(3, 40), [1]) == 1
    assert added("sum", ALIKE[:, : FEW - 1], [1]) == 1
    assert added("sum", VARIED[0, 0], [0]) == 1
    assert added("tanh", ALIKE) == 1


def test_many_alike_among_few_others_count_for_as_many_as_they_are():
    """A tenth of the terms differ: the mean size of a group is ten, but most terms belong to one of 117."""
    sparse = torch.where(torch.arange(130) < 117, 0.25, VARIED)
    assert added("sum", sparse, [1]) == pytest.approx((117**2 + 13) / 130)
    assert added("sum", torch.where(torch.arange(130) < 117, 0.0, VARIED), [1]) == 1


def test_additions_repeat_where_what_is_added_does():
    index = torch.zeros(130, dtype=torch.long)
    assert added("index_add", torch.zeros(5, 1), 1, index, ALIKE) == added("sum", ALIKE, [1])
    assert added("index_add", torch.zeros(5, 1), 1, index, VARIED) == 1


def test_a_product_repeats_where_both_operands_do():
    signs = torch.from_numpy(RNG.choice([-1.0, 1.0], (5, 130)))
    assert added("mm", ALIKE, VARIED.T) == 1
    assert added("mm", signs, (0.3 * signs).T) == 130
    assert added("bmm", signs[:, None], (0.3 * signs)[:, :, None]) == 130
    assert added("mv", ALIKE, torch.ones(130, dtype=torch.float64)) == added("sum", ALIKE, [1])


def test_what_storing_an_operand_costs_goes_into_every_term_in_which_it_stands():
    third = torch.full((1, 130), 1 / 3, dtype=torch.float64)
    assert repetition("mm", (third, VARIED.abs().T), SINGLE).stored > 50
    assert repetition("sum", (third, [1]), SINGLE).stored == pytest.approx(130)
    assert repetition("sum", (third.float().double(), [1]), SINGLE).stored == 1  # the format holds it as it is
    assert repetition("mm", (VARIED, VARIED.T), SINGLE).stored == 1


@pytest.mark.parametrize("count", [130, 5000])
def test_equal_terms_added_one_after_another_are_within_what_is_allowed(count):
    x = np.full(count, 1 / 130, np.float32)
    one_by_one = np.cumsum(x, dtype=np.float32)[-1]
    told = allowance(lambda x: x.sum(), {"x": x}, "float32")
    error = abs(float(one_by_one) - float(x.astype(np.float64).sum()))
    assert 0 < error < told["out"].allowed.max()


def test_equal_terms_beside_a_large_one_are_all_cut_off_at_the_same_place():
    place = np.spacing(np.float32(13))
    x = np.concatenate([np.linspace(0.9, 1.1, 13), np.full(1170, 100.45 * place)]).astype(np.float32)
    one_by_one = np.cumsum(x, dtype=np.float32)[-1]
    told = allowance(lambda x: x.sum(), {"x": x}, "float32")
    error = abs(float(one_by_one) - float(x.astype(np.float64).sum()))
    assert 0.1 * told["out"].allowed.max() < error < told["out"].allowed.max()
