"""Equal terms are rounded alike: what repeats is seen, and what its roundings add up to is allowed."""

import numpy as np
import pytest
import torch

from scratchproof import allowance
from scratchproof.oracle.repeats import FEW, repetition

UNIT = 2.0**-53
RNG = np.random.default_rng(0)
VARIED = torch.from_numpy(RNG.standard_normal((5, 130)))
ALIKE = torch.from_numpy(RNG.integers(1, 3, (5, 130)) / 130)


def test_what_repeats_is_counted_along_the_sum():
    assert repetition("sum", (VARIED, [1]), UNIT) == 1
    assert repetition("sum", (ALIKE, [1]), UNIT) == 130 / 2
    assert repetition("sum", (ALIKE * (1 + UNIT * VARIED), [1]), UNIT) > 10
    assert repetition("sum", (ALIKE.T.contiguous(), [0]), UNIT) == 130 / 2
    assert repetition("sum", (torch.zeros(3, 40), [1]), UNIT) == 1
    assert repetition("sum", (ALIKE[:, : FEW - 1], [1]), UNIT) == 1
    assert repetition("sum", (VARIED[0, 0], [0]), UNIT) == 1
    assert repetition("tanh", (ALIKE,), UNIT) == 1


def test_additions_repeat_where_what_is_added_does():
    index = torch.zeros(130, dtype=torch.long)
    assert repetition("index_add", (torch.zeros(5, 1), 1, index, ALIKE), UNIT) == 130 / 2
    assert repetition("index_add", (torch.zeros(5, 1), 1, index, VARIED), UNIT) == 1


def test_a_product_repeats_where_both_operands_do():
    assert repetition("mm", (ALIKE, VARIED.T), UNIT) == 1
    assert repetition("mm", (ALIKE, ALIKE.T), UNIT) == 130 / 2


@pytest.mark.parametrize("count", [130, 5000])
def test_equal_terms_added_one_after_another_are_within_what_is_allowed(count):
    x = np.full(count, 1 / 130, np.float32)
    one_by_one = np.cumsum(x, dtype=np.float32)[-1]
    told = allowance(lambda x: x.sum(), {"x": x}, "float32")
    error = abs(float(one_by_one) - float(x.astype(np.float64).sum()))
    assert 0 < error < told["out"].allowed.max()
