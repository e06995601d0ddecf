"""Free-running: more runs allow no less; what rounding itself may route elsewhere is not held to one way."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from scratchproof import trace
from scratchproof.tracing.beside import Beside
from scratchproof.tracing.free import Free
from scratchproof.vjp import PRECISIONS


def beside(model, x, precision="float32"):
    return Beside(truth=model, inputs=x, precision=PRECISIONS[precision], pairs={})


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))


def x(rows=9):
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(1))


def test_more_runs_are_made_of_some_names_and_allow_no_less():
    there = beside(net(), x())
    few = there.free.compared(there.run)
    assert set(few) == set(there.run.values)
    for name in ("2\0out", "0\0dweight"):
        many = there.free.compared(there.run, 24, [name])
        assert set(many) == {name}
        assert many[name].allowed >= few[name].allowed


def test_what_is_one_result_and_anothers_input_is_compared_once():
    there = beside(net(), x())
    compared = there.free.compared(there.run)
    assert compared["0\0out"] is compared["1\0in"]
    assert compared["0\0out"] is not compared["1\0out"]


def test_another_shape_is_a_problem():
    there, other = beside(net(), x()), beside(net(), x(7))
    compared = there.free.compared(other.run)
    assert compared["0\0out"].problem == "shape"
    assert compared["0\0dweight"].problem == "value"


def test_where_there_is_much_fewer_elements_of_each_stand_for_all():
    right, wrong = net(), net()
    wrong[1] = nn.Softsign()
    there, here = beside(right, x(300)), beside(wrong, x(300))
    few = Free(truth=there.run, again=there.free.again, precision=there.precision, computes=there.computes, seed=0)
    thin = replace(few, elements=100)
    assert few.truth.values["0\0out"].shape == (300, 5)
    assert thin.truth.values["0\0out"].shape == (256,)
    assert not any(c.problem for c in thin.compared(there.run).values())
    assert thin.compared(here.run)["1\0out"].problem == "value"
    assert thin.truth.values["0\0out"] is thin.truth.values["1\0in"]


class Routed(nn.Module):
    """Each row goes to the expert that its first number says."""

    def __init__(self, border=0.0):
        super().__init__()
        self.gate, self.experts = nn.Linear(6, 1), nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.border = border

    def forward(self, x):
        right, out = self.gate(x)[:, 0] > self.border, torch.zeros_like(x)
        for rows, expert in zip((right, ~right), self.experts, strict=True):
            if rows.any():
                out[rows] = expert(x[rows])
        return out


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_that_rounding_may_route_either_way_is_no_alarm(precision):
    torch.manual_seed(0)
    routed, given = Routed(), x(12)
    with torch.no_grad():  # one row lies on the border
        routed.gate.bias.zero_()
        routed.gate.weight[0, 1] = -routed.gate.weight[0, 0]
        given[3] = torch.tensor([1.0, 1.0, 0, 0, 0, 0])
    assert trace(routed, inputs=given, precision=precision).passed


def test_where_no_row_is_near_the_border_another_route_is_told():
    torch.manual_seed(0)
    found = trace(Routed(border=0.3), Routed(), inputs=x(12))
    assert (found.culprit, found.drifts) == ("(model) -> getitem #2", False), found.verdict
    assert "does not get what the truth gets" in found.reason
