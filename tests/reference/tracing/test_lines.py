"""Which call is to blame, in nets of many forms: unrolled, joined by skips, routed, tied, in place, with own gradients.

Each form is a right net with one method for each slip that is easily made in it.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchproof.tracing.beside import Beside
from scratchproof.tracing.lines import CUT
from scratchproof.vjp import PRECISIONS


class Cell(nn.Module):
    """A long short-term memory, one step."""

    def __init__(self):
        super().__init__()
        self.of_x, self.of_h = nn.Linear(3, 16), nn.Linear(4, 16)

    def gates(self, x, h):
        return (self.of_x(x) + self.of_h(h)).chunk(4, -1)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.gates(x, h)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class OtherGates(Cell):
    def gates(self, x, h):
        i, f, g, o = super().gates(x, h)
        return f, i, g, o


class Unrolled(nn.Module):
    """The cell, step after step."""

    kind = Cell

    def __init__(self):
        super().__init__()
        self.cell, self.head = self.kind(), nn.Linear(4, 2)

    def step(self, t, x, state):
        return self.cell(x, state)

    def forward(self, x):
        state = x.new_zeros(len(x), 4), x.new_zeros(len(x), 4)
        for t in range(x.shape[1]):
            state = self.step(t, x[:, t], state)
        return self.head(state[0])


class GatesExchanged(Unrolled):
    kind = OtherGates


class Truncated(Unrolled):
    def step(self, t, x, state):
        return self.cell(x, tuple(s.detach() for s in state) if t == 1 else state)


class StepWithoutGradient(Unrolled):
    def step(self, t, x, state):
        with torch.set_grad_enabled(t != 1):
            return self.cell(x, state)


class StateForgotten(Unrolled):
    def step(self, t, x, state):
        h, c = self.cell(x, state)
        return h, state[1] if t == 0 else c


class Skips(nn.Module):
    """Down, up again, and joined with what was there before."""

    def __init__(self):
        super().__init__()
        self.down, self.middle, self.last = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3), nn.Conv2d(6, 2, 1)

    def up(self, x):
        return F.interpolate(x, size=6, mode="bilinear", align_corners=False)

    def join(self, x, skip):
        return torch.cat([x, skip], 1)

    def forward(self, x):
        skip = F.silu(self.down(x))
        return self.last(self.join(self.up(self.middle(skip)), skip))


class JoinedTheOtherWay(Skips):
    def join(self, x, skip):
        return torch.cat([skip, x], 1)


class Corners(Skips):
    def up(self, x):
        return F.interpolate(x, size=6, mode="bilinear", align_corners=True)


class SkipDetached(Skips):
    def join(self, x, skip):
        return torch.cat([x, skip.detach()], 1)


class Experts(nn.Module):
    """Two of four experts for each row."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(3, 4, bias=False), nn.ModuleList(nn.Linear(3, 3) for _ in range(4))

    def weights(self, x):
        top, which = self.gate(x).topk(2, -1)
        return top.softmax(-1), which

    def slot(self, slot):
        return slot

    def forward(self, x):
        weights, which = self.weights(x)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows, slot = torch.where(which == i)
            if len(rows):
                out.index_add_(0, rows, expert(x[rows]) * weights[rows, self.slot(slot), None])
        return x + out


class SoftmaxBeforeTheChoice(Experts):
    def weights(self, x):
        top, which = self.gate(x).softmax(-1).topk(2, -1)
        return top, which


class FirstWeightForAll(Experts):
    def slot(self, slot):
        return torch.zeros_like(slot)


class Tied(nn.Module):
    """A table that is the head too, a layer used both ways, places that are learned, and a dictionary of results."""

    def __init__(self):
        super().__init__()
        self.table, self.layer, self.places = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Parameter(torch.randn(5, 4))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.table.weight

    def index(self, index):
        return index

    def back(self, h):
        return F.linear(h, self.layer.weight.T)

    def told(self, scores, again):
        return {"scores": scores, "again": again}

    def forward(self, index):
        h = torch.tanh(self.layer(self.table(self.index(index)) + self.places))
        return self.told(self.head(h), self.back(h))


class InAnotherOrder(Tied):
    """Right: a dictionary has no order."""

    def told(self, scores, again):
        return {"again": again, "scores": scores}


class NotTurned(Tied):
    def back(self, h):
        return F.linear(h, self.layer.weight)


class OneOff(Tied):
    def index(self, index):
        return (index + 1) % 7


class Untied(Tied):
    def __init__(self):
        super().__init__()
        self.head.weight = nn.Parameter(self.table.weight.detach().clone())


class InPlace(nn.Module):
    """What writes over its input, a module called twice, and a value that is kept meanwhile."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.relu = nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(inplace=True)

    def kept(self, x):
        return x.clone()

    def forward(self, x):
        x -= 0.25
        x = self.first(x)
        kept = self.kept(x)
        x = self.relu(self.norm(self.relu(self.norm(x.mul_(2.0)))))
        return x + kept


class Overwritten(InPlace):
    def kept(self, x):
        return x


class Swish(torch.autograd.Function):
    """Its own gradient; slip: a factor is lost."""

    @staticmethod
    def forward(ctx, x, slip):
        ctx.save_for_backward(x)
        ctx.slip = slip
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, dout):
        s = torch.sigmoid(ctx.saved_tensors[0])
        return dout * (s + ctx.saved_tensors[0] * s * (1.0 if ctx.slip else 1 - s)), None


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.slip = nn.Linear(4, 4), False

    def forward(self, x):
        return x + Swish.apply(self.gate(x), self.slip)


class OwnGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Gated(), Gated(), Gated())

    def forward(self, x):
        return self.blocks(x)


class GradientSlips(OwnGradient):
    def __init__(self):
        super().__init__()
        self.blocks[1].slip = True


def seeded(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


INPUTS = {
    Unrolled: seeded(4, 2, 3),
    Skips: seeded(2, 2, 6, 6),
    Experts: seeded(9, 3),
    Tied: torch.arange(10).reshape(2, 5) % 7,
    InPlace: seeded(6, 3),
    OwnGradient: seeded(5, 4),
}
SLIPS = {
    GatesExchanged: ("cell -> sigmoid", "does not get what the truth gets"),
    Truncated: ("(model) -> detach", CUT),
    StepWithoutGradient: ("cell.of_x #2", CUT),
    StateForgotten: ("cell -> mul #4", "does not get what the truth gets"),
    JoinedTheOtherWay: ("(model) -> cat", "does not get what the truth gets"),
    Corners: ("(model) -> interpolate", "out is wrong"),
    SkipDetached: ("(model) -> detach", CUT),
    SoftmaxBeforeTheChoice: ("(model) -> topk", "does not get what the truth gets"),
    FirstWeightForAll: ("(model) -> getitem #2", "does not get what the truth gets"),
    NotTurned: ("(model) -> linear", "does not get what the truth gets"),
    OneOff: ("table", "does not get what the truth gets"),
    Untied: ("(model)", "dtable.weight is wrong"),
    Overwritten: ("(model) -> add", "the candidate never calls (model) -> clone"),
    GradientSlips: ("blocks.1", "dx is wrong"),
}


def made(kind):
    torch.manual_seed(1)
    return kind()


@pytest.fixture(scope="module")
def traced():
    """A function that traces a net beside the right one of its form; each of these is run once."""
    truths = {}

    def run(kind):
        right = next(form for form in INPUTS if issubclass(kind, form))
        if right not in truths:
            how = {"inputs": INPUTS[right], "precision": PRECISIONS["float32"], "pairs": {}, "keep": True}
            truths[right] = Beside(truth=made(right), **how)
        return truths[right].trace(made(kind))

    return run


@pytest.mark.parametrize("kind", [*INPUTS, InAnotherOrder], ids=lambda kind: kind.__name__)
def test_a_right_net_of_any_form_agrees(kind, traced):
    found = traced(kind)
    assert (found.passed, found.drifts) == (True, False), found.verdict


@pytest.mark.parametrize("kind", SLIPS, ids=lambda kind: kind.__name__)
def test_a_slip_is_named_at_its_place(kind, traced):
    found = traced(kind)
    place, words = SLIPS[kind]
    assert found.culprit == place, found.verdict
    assert words in found.reason
