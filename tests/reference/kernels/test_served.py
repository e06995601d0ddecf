"""The far side: what is built, handed over, called and pulled, and the facts that are told of an output."""

import numpy as np
import pytest
import torch
from torch import nn

from scratchproof.kernels.served import Served
from scratchproof.sandbox.wire import Message


def served(subject, state=(), init=()):
    """A served subject with one model, whose parameters are handed over."""
    side = Served(subject)
    ask(side, "load", source="", name="", wanted=[], device="cpu", poison=False)
    arrays = [value for _, value in state]
    dtypes, names = ["float32"] * len(arrays), [name for name, _ in state]
    form = {"tuple": [{"tuple": list(init)}, {"dict": []}]}
    told = ask(side, "build", arrays, init=form, dtypes=dtypes, names=names, dtype="float32", seed=0).what
    return side, told


def ask(side, do, arrays=(), **what):
    return side.answer(Message(what={"do": do, **what}, arrays=list(arrays)))


def call(side, x, *, wanted=(), **how):
    args = {"tuple": [{"tensor": 0}]}
    what = {"model": 0, "args": args, "dtypes": ["float32"], "names": ["x"], "wanted": list(wanted), **how}
    return ask(side, "call", [x], **what)


@pytest.fixture
def x():
    return np.arange(1, 7, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("subject", "facts"),
    [
        (lambda x: x.clone(), {"dtype": "float32", "shared": []}),
        (lambda x: x, {"shared": ["x"]}),
        (lambda x: x.double(), {"dtype": "float64"}),
        (lambda x: x.to_sparse(), {"layout": "torch.sparse_coo"}),
        (lambda x: x.tolist()[0][0], {"type": "float"}),
        (lambda x: x.mul(2).as_subclass(type("Sly", (torch.Tensor,), {})), {"type": "Sly"}),
    ],
)
def test_the_facts_of_an_output(subject, facts, x):
    told = call(served(subject)[0], x).what["outs"]["out"]
    assert {name: told[name] for name in facts} == facts


def test_what_is_written_to_is_told(x):
    assert call(served(lambda x: x.mul_(2).clone())[0], x.copy()).what["changed"] == ["x"]
    assert call(served(lambda x: x.mul(2))[0], x).what["changed"] == []


def test_parameters_go_by_name_or_in_order_or_by_shape(x):
    weight, bias = np.ones((4, 3), np.float32), np.full(4, 2, np.float32)
    for names in (("weight", "bias"), ("w", "b")):
        side, told = served(nn.Linear, [(names[0], weight), (names[1], bias)], init=(3, 4))
        assert told["matched"] == list(names)
        np.testing.assert_array_equal(call(side, x).arrays[0], x @ weight.T + bias)
    _, told = served(nn.Linear, [("b", bias), ("w", weight)], init=(3, 4))
    assert told["matched"] == ["b", "w"]
    _, told = served(nn.Linear, [("w", weight.T.copy())], init=(3, 4))
    assert told["matched"] == []


def test_gradients_are_those_of_a_kept_call(x):
    side, _ = served(lambda x: x.square())
    number = call(side, x, wanted=["x"]).what["call"]
    call(side, x + 1, wanted=["x"])
    what = {"call": number, "model": 0, "dtypes": ["float32"], "names": ["out"], "wanted": ["x"]}
    (grad,) = ask(side, "pull", [x], **what).arrays
    np.testing.assert_array_equal(grad, 2 * x * x)


def test_other_tensors_lie_where_those_lay_that_were_written_over(x):
    seen = []

    def noted(x):
        seen.append((x.data_ptr(), x._version))
        return x.clone()

    what = {"model": 0, "args": {"tuple": [{"tensor": 0}]}, "dtypes": ["float32"], "names": ["x"], "count": 8}
    told = ask(served(noted)[0], "repeat", [x, x + 1], **what)
    assert told.what["turns"] == [0, 1] * 4
    versions = [version for _, version in seen]
    assert versions.count(0) == len(seen) / 2
    assert max(versions) > 0
    assert len({place for place, _ in seen}) == 1


def test_operations_are_listed(x):
    what = {"model": 0, "args": {"tuple": [{"tensor": 0}]}, "dtypes": ["float32"], "names": ["x"]}
    assert ask(served(torch.tanh)[0], "list", [x], **what).what["called"] == ["tanh"]
