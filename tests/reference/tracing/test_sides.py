"""Large tensors are sampled, and what is wrong with one is told of the whole; buffers start each run as they were."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchproof import trace
from scratchproof.errors import InputError
from scratchproof.tracing.sides import SAMPLED, Held, all_of, kept, sample, shape_of


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


@pytest.mark.parametrize("room", [0, 2**30])
def test_what_is_held_comes_back_whole_from_memory_and_from_a_file(room):
    held = Held(torch.bfloat16, room)
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(3, 5, 7, SAMPLED // 64, generator=generator) for _ in range(3)]
    tensors[1] = tensors[1].to(memory_format=torch.channels_last)
    tensors[2] = tensors[2][:, 1:].transpose(0, 3)
    kept_ones = [held.keep(t) for t in tensors]
    assert (held.room == room) == (room == 0)
    for tensor, one in zip(tensors, kept_ones, strict=True):
        assert (one.numel(), shape_of(one)) == (SAMPLED, tuple(tensor.shape))
        assert torch.equal(all_of(one), tensor.bfloat16())
    assert all_of(kept_ones[1]).is_contiguous(memory_format=torch.channels_last)
    small = torch.ones(2, 3)
    assert torch.equal(all_of(held.keep(small)), small)


def test_a_trace_that_waits_in_a_file_finds_the_same(monkeypatch):
    monkeypatch.setattr("scratchproof.tracing.sides.ROOM", 2**12)
    right = nn.Sequential(nn.Linear(30, 300), nn.Tanh(), nn.Linear(300, 40))
    wrong = copy.deepcopy(right)
    wrong[1] = nn.Softsign()
    x = torch.randn(50, 30, generator=torch.Generator().manual_seed(0))
    assert trace(copy.deepcopy(right), right, inputs=x).passed
    assert trace(wrong, right, inputs=x).culprit == "1"


@dataclass
class Told:
    """What a model may return: neither tuple nor dictionary."""

    main: torch.Tensor
    more: dict


class Telling(nn.Module):
    def __init__(self, turned=False):
        super().__init__()
        self.one, self.other, self.turned = nn.Linear(3, 2), nn.Linear(3, 2), turned

    def forward(self, x):
        a, b = self.one(x), self.other(x)
        return Told(main=a + b, more={"b": a, "a": b} if self.turned else {"a": a, "b": b})


def test_what_a_dataclass_holds_is_compared():
    torch.manual_seed(0)
    x = torch.randn(4, 3)
    assert trace(Telling(), inputs=x).passed
    found = trace(Telling(turned=True), Telling(), inputs=x)
    assert (found.culprit, found.passed) == ("(model)", False)


def test_a_model_that_returns_nothing_to_differentiate_is_refused_or_told():
    class Rounded(nn.Linear):
        def forward(self, x):
            return int(super().forward(x).sum())

    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    with pytest.raises(InputError, match="without a floating tensor in it: give a loss"):
        trace(Rounded(2, 2), inputs=torch.ones(1, 2))
    assert trace(Detached(2, 2), nn.Linear(2, 2), inputs=torch.ones(1, 2)).culprit == "(model)"


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
