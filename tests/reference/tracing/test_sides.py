"""Large tensors are sampled, and what is wrong with one is told of the whole; buffers start each run as they were."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchproof import trace
from scratchproof.errors import InputError
from scratchproof.tracing.sides import SAMPLED, kept, sample, shape_of


def test_of_a_large_tensor_the_same_elements_stand_for_all():
    one, other = torch.arange(3.0 * SAMPLED).reshape(3, -1), torch.arange(3.0 * SAMPLED).reshape(3, -1).T
    assert kept(one).shape == (SAMPLED,)
    assert np.array_equal(kept(one), kept(one.clone()))
    assert len(set(kept(one))) == SAMPLED
    assert kept(one, whole=True).shape == (3, SAMPLED)
    assert kept(other).shape == (SAMPLED,)
    assert kept(one[:2, :9]).shape == (2, 9)


def test_a_sample_knows_the_shape_of_the_whole_and_whole_numbers_are_not_sampled():
    large = torch.zeros(3, SAMPLED)
    assert (shape_of(sample(large)), sample(large).numel()) == ((3, SAMPLED), SAMPLED)
    assert shape_of(large) == (3, SAMPLED)
    assert sample(large.long()).shape == large.shape


def test_a_call_that_gets_whole_numbers_and_a_large_tensor_is_followed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.last = nn.Embedding(50, 300), nn.Linear(300, 4)

        def forward(self, index):
            return self.last(F.tanh(self.table(index)))

    index = torch.arange(45).reshape(5, 9)
    found = trace(Net(), inputs=index)
    assert found.passed, found.verdict
    assert {line.shape for line in found.lines if line.path == "(model) -> tanh"} == {(5, 9, 300)}


class OneColumn(nn.Linear):
    """A linear layer that errs in one column of its output."""

    def forward(self, x):
        out = super().forward(x)
        out[:, 7] += 1e-3
        return out


def test_what_is_wrong_with_a_large_tensor_is_told_of_all_of_it():
    right = nn.Linear(5, 400)
    found = trace(OneColumn(5, 400), right, inputs=torch.randn(50, 5, generator=torch.Generator().manual_seed(0)))
    assert found.culprit == "(model)"
    assert "50 of 20000 elements are wrong" in found.reason
    assert "at (0, 7)" in found.reason
    (out,) = [line for line in found.lines if line.quantity == "out"]
    assert out.shape == (50, 400)


class Counting(nn.Module):
    """Its output depends on how often it was called."""

    def __init__(self, step=1.0):
        super().__init__()
        self.scale, self.step = nn.Linear(3, 3), step
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += self.step
        return self.scale(x) * self.calls


def test_buffers_start_every_run_as_they_were_and_are_compared():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert trace(Counting(), inputs=x).passed
    found = trace(Counting(2.0), Counting(), inputs=x)
    assert found.culprit == "(model) -> add"


@pytest.mark.parametrize(
    ("candidate", "told", "words"),
    [
        (nn.Linear(2, 2), {"precision": "float8"}, "'float8' is no precision"),
        (torch.tanh, {}, "is no torch.nn.Module"),
    ],
)
def test_what_cannot_be_followed_is_refused(candidate, told, words):
    with pytest.raises(InputError, match=words):
        trace(candidate, inputs=torch.ones(1, 2), **told)
