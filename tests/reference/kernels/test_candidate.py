"""The near side: what a candidate's process is asked, and that what it says is checked before it is believed."""

import numpy as np
import pytest
import torch
from torch import nn

from scratchproof.errors import InputError
from scratchproof.kernels.candidate import Candidate
from scratchproof.sandbox.failures import Failure
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.wire import Message


class Layer(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 1
        return x * self.weight


@pytest.fixture
def side():
    candidate = Candidate(Layer, (), "cpu", Limits.of(30.0))
    candidate.start(candidate.source)
    state = {"weight": torch.tensor([1.0, 2.0, 3.0]), "seen": torch.tensor(4.0)}
    model, matched = candidate.build(((3,), {}), state, "float32", 0)
    assert matched == tuple(state)
    return candidate, model, state


def test_a_call_and_its_gradients(side):
    candidate, model, state = side
    x = torch.tensor([5.0, 6.0, 7.0])
    called = candidate.call(model, (x,), ["x"], ["x", "weight"])
    assert called.outs["out"].tolist() == (x * state["weight"]).tolist()
    assert called.facts["out"]["dtype"] == "float32"
    grads = candidate.pull(called.number, model, {"out": torch.ones(3)}, ["x", "weight"])
    assert grads["x"].tolist() == state["weight"].tolist()
    assert grads["weight"].tolist() == x.tolist()
    assert [read.tolist() for read in candidate.read(called.number)] == [called.outs["out"].tolist()]


def test_what_it_holds_is_told_by_the_references_names(side):
    candidate, model, state = side
    candidate.call(model, (torch.ones(3),), ["x"], [])
    held = candidate.held(model, {"other": state["weight"], "count": state["seen"]})
    assert held["other"].tolist() == state["weight"].tolist()
    assert held["count"] == state["seen"] + 1
    candidate.hand(model, {name: 2 * tensor for name, tensor in state.items()})
    assert candidate.held(model, state)["weight"].tolist() == (2 * state["weight"]).tolist()


def test_many_calls_tell_each_result_once(side):
    candidate, model, _ = side
    one, other = torch.ones(3), 2 * torch.ones(3)
    turns, results = candidate.repeat(model, (one,), (other,), ["x"], 6)
    assert turns == [0, 1] * 3
    np.testing.assert_array_equal(2 * results[0], results[1])


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        (lambda c: c.call(0, (), (), ()), {"outs": ["no names"]}),
        (
            lambda c: c.call(0, (), (), ()),
            {"outs": {"out": {"type": "", "dtype": "float32", "layout": "torch.strided"}}},
        ),
        (lambda c: c.pull(0, 0, {}, ()), {"grads": {"x": "float32"}}),
        (lambda c: c.repeat(0, (), (), (), 2), {"turns": ["first"], "dtypes": []}),
        (lambda c: c.copied(8), {"seconds": [-1.0]}),
        (lambda c: c.held(0, {}), {"names": ["x"], "dtypes": []}),
    ],
)
def test_an_answer_out_of_form_is_a_failure(side, asked, reply):
    candidate, _, _ = side
    candidate.request = lambda message: Message(what=reply)
    with pytest.raises(Failure, match="out of form"):
        asked(candidate)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Candidate(str(tmp_path / "nothing.py"), (), "cpu", Limits.of(1.0))
