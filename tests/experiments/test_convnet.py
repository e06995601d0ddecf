"""The convolutional net: its gradients are torch's, and the experiment compares three nets with either backend."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from scratchproof.experiments import convnet
from scratchproof.experiments.command import command
from scratchproof.experiments.conv_nets import TwoConvNet, twin
from scratchproof.table import nets


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command(convnet.Config, convnet.main, convnet.SMOKE), arguments)


def test_the_smoke_run_leaves_a_record_and_pictures(tmp_path: Path) -> None:
    result = run("--smoke", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "record.json").read_text())
    for name, epochs in zip(convnet.NETS, record["config"]["epochs"], strict=True):
        for fit in record["metrics"]["runs"][name]:
            assert len(fit["val_acc_history"]) == epochs + 1
        assert f"{record['metrics']['nets'][name]['parameters']:,}" in result.output
    assert record["metrics"]["nets"]["linear"]["parameters"] == 3072 * 10 + 10
    assert record["images"] in result.output
    for picture in ("nets.png", "curves.png", "filters.png"):
        assert (tmp_path / picture).stat().st_size > 0


def test_the_two_convolutions_have_torchs_gradients() -> None:
    """In float32: apart by no more than a few roundings of the largest element, times the longest sum's root."""
    image, rng = (3, 8, 12), np.random.default_rng(0)
    net = TwoConvNet(image, (4, 5), 3, 7, rng=rng)
    X, y = rng.standard_normal((6, *image)).astype(np.float32), rng.integers(0, 7, 6)
    loss, grads = net.loss(X, y)
    module = nets.load(twin(net, image), net.params)
    objective = nets.objective(module, torch.from_numpy(X), torch.from_numpy(y))
    torch.autograd.backward(objective)
    unit, longest = np.finfo(np.float32).eps, 6 * image[1] * image[2]
    assert abs(float(loss) - objective.item()) <= 8 * unit * objective.item()
    for name, expected in nets.dump_grad(module).items():
        assert np.abs(grads[name] - expected).max() <= 8 * unit * longest**0.5 * np.abs(expected).max(), name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--filter-size", "4"), "filter-size"),
        (("--epochs", "1,1"), "epochs has 2 numbers but needs 3"),
        (("--seeds", "0"), "seeds is 0"),
        (("--device", "cuda"), "--backend torch"),
        (("--data", "no/such/folder"), "no/such/folder"),
        (("--batch-size", "0"), "batch-size is 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_used_ends_with_2_and_says_why(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    result = run("--smoke", *arguments, "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "run").exists()
