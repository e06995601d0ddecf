"""The tree: a module stands above what it calls, the culprit is marked in words, the notes are told."""

import pytest
import torch
from torch import nn

from scratchproof import trace
from scratchproof.tracing.shown.tree import LEGEND, above, share


def net(slope=0.01):
    torch.manual_seed(0)
    return nn.Sequential(nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(slope)), nn.Linear(5, 2))


def test_a_module_stands_above_what_it_calls():
    assert above(["a.b", "a -> add", "a", "c #2", "(model)"]) == ["(model)", "a", "a.b", "a -> add", "c #2"]
    assert above(["stem.conv", "stem.conv #2"]) == ["stem.conv", "stem.conv #2"]
    assert sorted(above(["x.y", "x", "z"])) == ["x", "x.y", "z"]


def test_the_culprit_is_marked_without_colours_too_and_the_numbers_are_explained():
    printed = str(trace(net(0.02), net(), inputs=torch.randn(4, 3, generator=torch.Generator().manual_seed(0))))
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["(model)", "0", "0", "1", "1"]
    (marked,) = (line for line in lines if "<- first divergence" in line)
    assert marked.startswith("  1  <- first divergence")
    assert LEGEND in printed
    assert "first divergence: 0.1: out is wrong" in printed


@pytest.mark.parametrize(
    ("ratio", "told"),
    [(0.0, "0"), (0.0123, "0.012"), (9.96, "10"), (294.0, "290"), (5e4, "50,000"), (float("inf"), "wrong")],
)
def test_shares_have_two_digits(ratio, told):
    assert share(ratio) == told
