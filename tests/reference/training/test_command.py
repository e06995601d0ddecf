"""`scratchproof lockstep` on a file of one's own: a parting is told in a line and in JSON, nonsense refused."""

import json

import pytest
from click.testing import CliRunner

from scratchproof.cli import main

FILE = """
import torch
from torch import nn


def made(decay):
    def make():
        torch.manual_seed(0)
        net = nn.Linear(3, 2)
        return net, torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=decay)

    return make


def loss(net, batch):
    return net(batch).square().mean()


def given(decay=0.1):
    batches = [torch.randn(4, 3)]
    return {"make_candidate": made(decay), "make_truth": made(0.1), "batches": batches, "loss": loss}


def wrong():
    return given(0.0)


def nothing():
    return 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "trained.py"
    path.write_text(FILE)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["lockstep", *map(str, arguments)])


def test_two_that_stay_together_and_two_that_part(file, tmp_path):
    result = run(f"{file}:given", "--steps", "3")
    assert (result.exit_code, result.stdout.strip()) == (0, "3 steps: the two stay together")
    result = run(f"{file}:wrong", "--precision", "float32", "--json", tmp_path / "r.json")
    assert result.exit_code == 1
    assert "step 1: the decay of weight parts" in result.stdout
    told = json.loads((tmp_path / "r.json").read_text())
    assert (told["format"], told["term"], told["passed"]) == ("scratchproof-module-lockstep", "decay", False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{file}:nothing",), "should give a dictionary"),
        (("{file}:absent",), "has no function 'absent'"),
        (("{file}:given", "--rule", "adam"), "say nothing of"),
        (("two_layer", "--precision", "float32"), "says nothing of two_layer"),
        (("three_layer",), "neither one of"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(arguments, words, file):
    result = run(*(a.format(file=file) for a in arguments))
    assert result.exit_code == 2
    assert words in result.output
