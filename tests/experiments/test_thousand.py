"""A search tells Optuna everything once, gives nets up, and goes on where it stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scratchproof.experiments import thousand
from scratchproof.experiments.command import command


def run(folder: Path, *arguments: str) -> Any:
    options = ["--smoke", "--search", "tpe", "--pruner", "halving", "--out", str(folder), *arguments]
    result = CliRunner().invoke(command(thousand.Config, thousand.main, thousand.SMOKE), options)
    assert result.exit_code == 0, result.output
    return json.loads((folder / "record.json").read_text())["metrics"]["nets"]


def test_a_search_resumed_finds_what_it_found(tmp_path: Path) -> None:
    whole = run(tmp_path)
    assert len(whole) == 4
    assert len({net["learning_rate"] for net in whole}) == 4
    newest = max((tmp_path / "checkpoints-round-00002").glob("*.npz"))
    newest.unlink()  # the last epoch of the last round is trained again
    assert run(tmp_path) == whole


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nets", "0"), "nets is 0"),
        (("--precision", "bfloat16"), "NumPy has no bfloat16"),
        (("--engine", "torch", "--precision", "tf32", "--device", "cpu"), "tf32"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_says_why(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    cli = command(thousand.Config, thousand.main, thousand.SMOKE)
    result = CliRunner().invoke(cli, ["--smoke", *arguments, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
