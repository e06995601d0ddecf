"""What the table's expressions must get round: bugs of torch itself, each kept until torch mends it."""

import pytest
import torch
from torch.nn import functional as F

from scratchproof.table.expressions import batchnorm


def gradient(function, gamma):
    x = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    out = function(x, gamma)
    (dx,) = torch.autograd.grad(out, x, torch.linspace(-1, 2, out.numel(), dtype=out.dtype).reshape(out.shape))
    return dx


WIDE = torch.tensor([1.0, 50.0, -2.0, 60.0, 3.0, 70.0, -4.0, 80.0], dtype=torch.float64)


@pytest.mark.xfail(reason="on the CPU torch reads a strided weight as if it were contiguous", strict=True)
def test_torchs_batch_norm_pulls_back_through_a_strided_weight():
    def torchs(x, gamma):
        return F.batch_norm(x, None, None, gamma.requires_grad_(), torch.zeros_like(gamma), training=True)

    assert torch.equal(gradient(torchs, WIDE.clone()[::2]), gradient(torchs, WIDE[::2].clone()))


def test_the_tables_batch_norm_does():
    def ours(x, gamma):
        return batchnorm(x, gamma.requires_grad_(), torch.zeros_like(gamma))

    assert torch.equal(gradient(ours, WIDE.clone()[::2]), gradient(ours, WIDE[::2].clone()))
