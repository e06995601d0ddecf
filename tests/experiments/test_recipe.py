"""The recipe: it runs with either backend, mirrors what it should, and its learning rate rises and falls."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from scratchproof.experiments import recipe
from scratchproof.experiments.command import command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command(recipe.Config, recipe.main, recipe.SMOKE), arguments)


def test_the_smoke_run_leaves_a_record_and_pictures(tmp_path: Path) -> None:
    result = run("--smoke", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "record.json").read_text())
    (fit,) = record["metrics"]["runs"]
    assert len(fit["val_acc_history"]) == recipe.SMOKE["epochs"] + 1
    assert record["metrics"]["test_acc"] == fit["test_acc"]
    assert record["images"] in result.output
    for picture in ("curves.png", "weights.png"):
        assert (tmp_path / picture).stat().st_size > 0


def test_the_same_seed_gives_the_same_training(tmp_path: Path) -> None:
    histories = []
    for name in ("first", "second"):
        assert run("--smoke", "--epochs", "1", "--seed", "7", "--out", str(tmp_path / name)).exit_code == 0
        record = json.loads((tmp_path / name / "record.json").read_text())
        fit = record["metrics"]["runs"][0]
        histories.append((fit["train_acc_history"], fit["val_acc_history"], fit["test_acc"]))
    assert histories[0] == histories[1]


@pytest.mark.parametrize("seed", range(3))
def test_an_image_is_mirrored_or_left(seed: int) -> None:
    X = np.random.default_rng(seed).random((64, 3, 4, 5))
    made = recipe.mirrored(X.copy(), np.random.default_rng(seed))
    left = (made == X).all(axis=(1, 2, 3))
    turned = (made == X[..., ::-1]).all(axis=(1, 2, 3))
    assert (left ^ turned).all()
    assert 0 < turned.sum() < len(X)


def test_the_learning_rate_rises_over_the_first_iterations_and_falls_to_nothing() -> None:
    rise, total = 10, 100
    factors = [recipe.rise_and_fall(rise, iteration, total) for iteration in range(total)]
    assert min(factors) > 0
    assert factors[0] == 1 / rise
    assert factors.index(max(factors)) == rise - 1
    assert factors[rise:] == [1 - iteration / total for iteration in range(rise, total)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seeds", "0"), "seeds is 0"),
        (("--device", "cuda"), "--backend torch"),
        (("--data", "no/such/folder"), "no/such/folder"),
        (("--drop-hidden", "1"), "drop-hidden is 1.0"),
        (("--epochs", "0"), "epochs is 0"),
        (("--backend", "jax"), "jax"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_used_ends_with_2_and_says_why(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    result = run("--smoke", *arguments, "--out", str(tmp_path))
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
