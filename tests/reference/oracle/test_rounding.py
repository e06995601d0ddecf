"""The noise of disturbed runs, and where there is none."""

import numpy as np
import torch

from scratchproof import allowance
from scratchproof.oracle.rounding import LARGE, TABLE, Rounding, disturbing
from scratchproof.vjp import PRECISIONS


def test_noise_is_never_small_and_differs_from_operation_to_operation_and_seed_to_seed():
    for shape in ((7, 5), (LARGE // 8, 9), (TABLE + 1,)):
        like = torch.zeros(shape, dtype=torch.float64)
        rounding, again, other = (Rounding(PRECISIONS["float32"], seed) for seed in (0, 0, 1))
        first, second = rounding._noise(like), rounding._noise(like)
        assert first.shape == shape
        assert first.abs().min() >= 0.5
        assert first.abs().max() <= 1
        assert abs(float(first.mean())) < 5 / first.numel() ** 0.5
        assert torch.equal(first, again._noise(like))
        assert not torch.equal(first, second)
        assert not torch.equal(first, other._noise(like))


def test_sums_are_exact_only_where_every_operand_is_whole_everywhere():
    whole = torch.arange(12.0, dtype=torch.float64).reshape(4, 3)
    nearly = whole.clone()
    nearly[3, 1] += 0.25  # all else, the first row too, is whole
    for x, exact in ((whole, True), (nearly, False)):
        with disturbing(Rounding(PRECISIONS["float32"])):
            out = x @ whole.T
        assert torch.equal(out, x @ whole.T) == exact


def test_what_is_added_to_a_sum_of_products_may_be_its_first_term():
    """In a batch torch adds a bias behind the product, by itself before it: terms that are small beside it are lost."""
    x = 1e-6 * torch.randn(1, 2500, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w = torch.ones(2500, 1, dtype=torch.float64) / 3
    with disturbing(Rounding(PRECISIONS["float32"])):
        apart, other = (x @ w).view(1) + 1.0, (x * w.T).sum() + 1.0
        together = torch.addmm(torch.ones(1, dtype=torch.float64), x, w)
    errors = [abs(float(out.sum() - 1 - (x @ w).sum())) * 2**24 for out in (apart, together, other)]
    assert min(errors[:2]) > 20 > 2 > errors[2]  # the root of 2,500 is 50, of which noise is at least a half


def test_a_mask_of_minus_infinity_added_to_a_product_leaves_the_tolerance_finite():
    mask = torch.full((5, 5), -torch.inf).triu(1)
    found = allowance(lambda q, k: torch.softmax(q @ k.T + mask, 1), {"q": (5, 4), "k": (5, 4)}, "float32")
    assert all(np.isfinite(each.allowed).all() for each in found.values())
