"""The experiment with the small ConvNet: it runs with either backend and keeps what it promises."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scratchproof.experiments import convnet
from scratchproof.experiments.command import command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command(convnet.Config, convnet.main, convnet.SMOKE), arguments)


@pytest.mark.parametrize("backend", ["scratch", "torch"])
def test_the_smoke_run_leaves_a_record_and_pictures(backend: str, tmp_path: Path) -> None:
    result = run("--smoke", "--backend", backend, "--device", "cpu", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "record.json").read_text())
    (fit,) = record["metrics"]["runs"]
    assert len(fit["val_acc_history"]) == record["config"]["epochs"] + 1
    assert record["config"]["backend"] == backend
    assert record["images"] in result.output
    for picture in ("curves.png", "filters.png"):
        assert (tmp_path / picture).stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--filter-size", "4"), "filter_size"),
        (("--seeds", "0"), "seeds is 0"),
        (("--device", "cuda"), "--backend torch"),
        (("--data", "no/such/folder"), "no/such/folder"),
        (("--batch-size", "0"), "batch_size is 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_used_ends_with_2_and_says_why(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    result = run("--smoke", *arguments, "--out", str(tmp_path))
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
