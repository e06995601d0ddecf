"""Another subgradient at a kink is noted and passes; a wrong gradient stays wrong, at the kink and beside it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchproof import trace


class Maximum(nn.Module):
    """The largest of each row: torch hands the gradient of a tie to the first, or to all in equal parts."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, x):
        return self.form(x)


class Routing(torch.autograd.Function):
    """A maximum whose gradient goes in full to every element that is tied: no subgradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.amax(1)

    @staticmethod
    def backward(ctx, dout):
        (x,) = ctx.saved_tensors
        return dout[:, None] * (x == x.amax(1, keepdim=True))


FIRST, EVENLY = Maximum(lambda x: x.max(1).values), Maximum(lambda x: x.amax(1))
TIED = torch.tensor([[1.0, 3.0, 3.0, -2.0], [0.5, -1.0, 0.25, 0.5], [2.0, 1.0, 0.0, -1.0]])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_tie_shared_out_evenly_is_noted_and_passes(precision):
    found = trace(EVENLY, FIRST, inputs=TIED, precision=precision)
    assert found.passed, found.verdict
    assert found.notes == ("(model) takes another subgradient than the truth where its input lies on a kink",)


def test_without_a_tie_there_is_nothing_to_note():
    assert trace(EVENLY, FIRST, inputs=TIED + torch.arange(12.0).reshape(3, 4) / 7).notes == ()


def test_more_than_a_subgradient_is_wrong():
    found = trace(Maximum(Routing.apply), FIRST, inputs=TIED)
    assert (found.culprit, found.notes) == ("(model)", ())


def test_a_gradient_that_is_wrong_beside_the_kink_is_wrong():
    doubled = Maximum(lambda x: F.relu(x) + (F.relu(x) - F.relu(x).detach()))
    found = trace(doubled, Maximum(F.relu), inputs=TIED.relu())
    assert found.culprit == "(model)"
    assert trace(Maximum(lambda x: torch.maximum(x, torch.zeros(()))), Maximum(F.relu), inputs=TIED.relu()).passed
