"""Any torch model, call by call: right ones agree in every precision; what is wrong is named at its place."""

import copy
import io
import json

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional as F

from scratchproof import trace
from scratchproof.errors import InputError
from scratchproof.experiments.planted import PLANTS
from scratchproof.tracing.beside import Beside
from scratchproof.tracing.shown.tree import document, show_model
from scratchproof.vjp import PRECISIONS


class Block(nn.Module):
    """A residual block, with what people put in one: in-place ReLU used twice, a functional addition."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(3 if stride == 2 else channels, channels, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = nn.Conv2d(3, channels, 1, stride) if stride == 2 else None

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Net(nn.Module):
    """Convolution and attention, dropout, tied weights, two outputs in a dictionary."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = Block(8, 2), Block(8)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.up, self.act, self.dropout = nn.Linear(8, 8), nn.GELU(), nn.Dropout(0.3)
        self.head = nn.Linear(8, 5)
        self.tied = nn.Linear(8, 8)
        self.tied.weight = self.up.weight

    def forward(self, x):
        tokens = self.norm(self.pool(self.body(self.stem(x))).flatten(2).transpose(1, 2))
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        hidden = self.dropout(self.act(self.up(tokens)))
        return {"scores": self.head(hidden.mean(1)), "hidden": self.tied(hidden)}


def net(seed=0):
    torch.manual_seed(seed)
    made = Net()
    with torch.no_grad():
        for p in made.parameters():
            if p.ndim == 1:
                p.add_(0.2 * torch.randn_like(p))
    return made


def images(rows=3, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, 3, 12, 8)))


@pytest.fixture(scope="module")
def beside():
    """One truth for all the wrong nets."""
    return Beside(truth=net(), inputs=images(), precision=PRECISIONS["float32"], pairs={}, keep=True)


@pytest.mark.parametrize(("precision", "mode"), [("float64", "train"), ("float32", "train"), ("bfloat16", "eval")])
def test_a_right_net_agrees_call_by_call(precision, mode):
    found = trace(net().train(mode == "train"), inputs=images(), precision=precision)
    assert found.passed, found.verdict
    paths = {line.path for line in found.lines}
    assert {"stem.conv1", "stem.relu #2", "stem -> add", "body -> add", "(model) -> add", "attention"} <= paths


def test_autocast_and_channels_last_agree():
    assert trace(net(), inputs=images(), precision="bfloat16", autocast=True).passed
    torch.manual_seed(0)
    model = Block(8, 2).to(memory_format=torch.channels_last)
    assert trace(model, inputs=images().to(memory_format=torch.channels_last)).passed


PLANTED = (
    "attention, heads",
    "batch norm, momentum",
    "convolution, padding at one side",
    "gradient cut",
    "gradient halved",
    "residual doubled",
)


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_bug_is_named_at_exactly_its_place(plant, beside):
    spoilt = net()
    path = PLANTS[plant](spoilt, np.random.default_rng(1))
    found = beside.trace(spoilt)
    assert path
    assert found.culprit == path or found.culprit.startswith((f"{path} ->", f"{path} #")), found.verdict


def test_a_dropout_that_is_active_in_eval_is_named():
    spoilt, right = net().eval(), net().eval()
    path = PLANTS["dropout, active in eval"](spoilt, np.random.default_rng(1))
    assert trace(spoilt, right, inputs=images()).culprit == path == "dropout"


def test_a_call_that_gets_another_input_is_named(beside):
    class Skipping(Net):
        def forward(self, x):
            tokens = self.norm(self.pool(self.body(self.stem(x))).flatten(2).transpose(1, 2))
            self.attention(tokens, tokens, tokens, need_weights=False)
            hidden = self.dropout(self.act(self.up(tokens + tokens)))
            return {"scores": self.head(hidden.mean(1)), "hidden": self.tied(hidden)}

    found = beside.trace(Skipping())
    assert found.culprit == "(model) -> add"
    assert "does not get what the truth gets" in found.reason


def test_parameters_are_carried_by_name_by_pairs_or_by_order_and_never_guessed():
    class Other(nn.Module):
        def __init__(self, sizes=(6, 5, 4)):
            super().__init__()
            self.first, self.second = nn.Linear(*sizes[:2]), nn.Linear(*sizes[1:])

        def forward(self, x):
            return self.second(F.relu(self.first(x)))

    truth = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    by_order = trace(Other(), truth, inputs=x)
    assert by_order.passed
    assert {line.path for line in by_order.lines if line.forced} >= {"0", "2"}
    assert trace(Other(), truth, inputs=x, pairs={"first": "0", "second": "2"}).passed
    with pytest.raises(InputError, match="pairs"):
        trace(Other((6, 7, 4)), truth, inputs=x)


def test_neither_model_is_changed():
    model = net()
    before = copy.deepcopy(model.state_dict())
    trace(model, inputs=images())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_the_tree_and_the_document_name_the_culprit(beside):
    spoilt = net()
    spoilt.norm.eps = 1e-2
    found = beside.trace(spoilt)
    stream = io.StringIO()
    show_model(Console(file=stream, width=120), found)
    assert "first divergence: norm: out is wrong" in stream.getvalue()
    told = json.loads(json.dumps(document(found), allow_nan=False))
    assert (told["format"], told["culprit"], told["passed"]) == ("scratchproof-model-trace", "norm", False)
