"""The noise of disturbed runs, and where there is none."""

import torch

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
