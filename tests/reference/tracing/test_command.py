"""`scratchproof trace` of a model of one's own: its tree, its files, its exit status, and one line for a misuse."""

import json

import pytest
from click.testing import CliRunner

from scratchproof.cli import main

MODELS = """
import torch
from torch import nn

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

def net(slope):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(slope), nn.Linear(5, 2))

def build():
    return net(0.01), X

def wrong():
    return net(0.02), X

class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.act, self.down = net(0.01)

    def forward(self, x):
        return self.down(self.act(self.up(x)))

def named():
    return Named()

def raises():
    raise RuntimeError("no weights")
"""


@pytest.fixture
def models(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(MODELS)
    return str(path)


def run(*arguments):
    return CliRunner().invoke(main, ["trace", *arguments, "--device", "cpu"])


def test_a_model_is_traced_beside_its_own_float64_copy(models):
    found = run(f"{models}:build", "--precision", "bfloat16")
    assert found.exit_code == 0, found.output
    assert "every call agrees in bfloat16" in found.output


def test_what_is_wrong_beside_another_is_named_and_written(models, tmp_path):
    json_file, html = tmp_path / "trace.json", tmp_path / "trace.html"
    files = ["--json", str(json_file), "--html", str(html)]
    found = run(f"{models}:wrong", "--against", f"{models}:build", *files)
    assert found.exit_code == 1
    assert "first divergence: 1: out is wrong" in found.output
    told = json.loads(json_file.read_text())
    assert (told["culprit"], told["model"], told["passed"]) == ("1", f"{models}:wrong", False)
    assert "first divergence: 1" in html.read_text(encoding="utf-8")


def test_pairs_say_which_module_stands_for_which(models, tmp_path):
    pairs = tmp_path / "pairs.json"
    pairs.write_text(json.dumps({"0": "up", "1": "act", "2": "down"}))
    found = run(f"{models}:wrong", "--against", f"{models}:named", "--pairs", str(pairs))
    assert "first divergence: act: out is wrong" in found.output


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["three_layer"], "neither one of two_layer, xor, convnet nor FILE.py:NAME"),
        (["{}:nothing"], "has no function 'nothing'"),
        (["{}:raises"], "raised RuntimeError: no weights"),
        (["{}:named"], "gives a model alone"),
        (["no/such.py:build"], "there is no file no/such.py"),
        (["no_such_module:build"], "raised ModuleNotFoundError"),
        (["{}:build", "--batch", "4"], "--batch says nothing of"),
        (["two_layer", "--against", "{}:build"], "--against says nothing of two_layer"),
        (["two_layer", "--precision", "bfloat16"], "in float64 or float32, not in bfloat16"),
        (["{}:build", "--pairs", "{}"], "is no JSON"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_misuse_is_one_line_with_status_2(models, arguments, fact):
    found = run(*(argument.format(models) for argument in arguments))
    assert found.exit_code == 2
    assert fact in found.output
    assert found.output.strip().count("\n") == 0
