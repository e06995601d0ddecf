"""Every experiment runs on synthetic images in seconds, records what it did, and refuses what it cannot use."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from scratchproof.experiments.command import command

NAMES = (
    "activations",
    "convnet",
    "gradients",
    "linear",
    "overfitting",
    "recipe",
    "sweep",
    "thousand",
    "two_layer",
    "xor",
)


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"scratchproof.experiments.{name}")


def invoke(name: str, *arguments: str) -> Result:
    module = module_of(name)
    return CliRunner().invoke(command(module.Config, module.main, module.SMOKE), arguments)


@pytest.mark.parametrize("backend", ["scratch", "torch"])
@pytest.mark.parametrize("name", NAMES)
def test_smoke(name: str, backend: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = invoke(
        name, "--smoke", "--backend", backend, "--seed", "3", "--device", device(backend), "--out", str(out)
    )
    assert result.exit_code == 0, result.output
    record = json.loads((out / "record.json").read_text())
    assert record["experiment"] == name
    assert record["config"]["seed"] == 3
    assert record["config"]["backend"] == backend
    assert record["environment"]["numpy"]
    assert record["images"] in result.output
    assert record["metrics"]
    assert list(out.glob("*.png"))
    assert "import" in (out / "source.py").read_text()


def device(backend: str) -> str:
    return "cpu" if backend == "torch" else "auto"


@pytest.mark.parametrize("name", NAMES)
def test_help_asks_the_question(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert "?" in result.output
    for option in ("--smoke", "--seed", "--data", "--device", "--backend", "--out"):
        assert option in result.output


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_not_there_ends_with_status_2(name: str, tmp_path: Path) -> None:
    result = invoke(name, "--smoke", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert "Error:" in result.output


def test_the_scratch_backend_has_no_gpu(tmp_path: Path) -> None:
    result = invoke("two_layer", "--smoke", "--device", "cuda", "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "NumPy on the CPU" in result.output


@pytest.mark.parametrize("arguments", [("--seeds", "0"), ("--epochs", "0"), ("--hidden", "many"), ("--preset", "S9")])
def test_settings_that_make_no_sense_end_with_status_2(arguments: tuple[str, str], tmp_path: Path) -> None:
    assert invoke("two_layer", "--smoke", *arguments, "--out", str(tmp_path)).exit_code == 2


def test_a_run_folder_that_cannot_be_made_ends_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = invoke("two_layer", "--smoke", "--out", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "cannot be made" in result.output
