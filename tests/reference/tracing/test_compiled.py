"""A compiled model: right ones agree, a slip of the compiler is the whole model's, what is unseen is said."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchproof import trace
from scratchproof.errors import InputError
from scratchproof.tracing.compiled import UNSEEN


def net(p=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Dropout(p), nn.Linear(6, 3))


def x():
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(1))


def slipping(graph, inputs):
    """A compiler whose results are too large by a little."""
    return lambda *given: tuple(1.001 * out for out in graph.forward(*given))


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_a_compiled_model_agrees_and_says_what_is_not_seen():
    found = trace(torch.compile(net(), backend="aot_eager"), inputs=x())
    assert found.passed, found.verdict
    assert found.notes == (UNSEEN,)
    seen = {(line.path, line.quantity) for line in found.lines if line.free}
    assert {("(model)", "out"), ("(model)", "dx"), ("0", "dweight"), ("1", "running_var")} <= seen
    assert ("2", "out") not in seen
    assert {line.path for line in found.lines if line.forced} >= {"0", "1", "2", "4"}


def test_a_slip_of_the_compiler_is_told_of_the_whole():
    found = trace(torch.compile(net(), backend=slipping), inputs=x())
    assert found.culprit == "(model)"
    assert "strays where the same model uncompiled does not" in found.reason


def test_a_bug_of_the_model_is_named_at_its_place_though_it_is_compiled():
    spoilt = net()
    spoilt[2].approximate = "tanh"
    found = trace(torch.compile(spoilt, backend="eager"), net(), inputs=x())
    assert found.culprit == "2"


def test_what_draws_its_own_numbers_or_hides_its_compiler_is_refused():
    with pytest.raises(InputError, match="draws its own dropout"):
        trace(torch.compile(net(0.5), backend="eager"), inputs=x())
    hidden = net()
    hidden.compile(backend="eager")
    with pytest.raises(InputError, match="compiled in place"):
        trace(hidden, inputs=x())


def test_a_truth_may_be_compiled_too():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

        def forward(self, x):
            return self.last(F.gelu(self.norm(self.first(x))))

    assert trace(Own(), torch.compile(net(), backend="eager"), inputs=x()).passed
