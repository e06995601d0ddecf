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
BY_NUMPY_ALONE = ("parameters", "sigmoid")
WITHOUT_IMAGES = (*BY_NUMPY_ALONE, "xor")


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"scratchproof.experiments.{name}")


def invoke(name: str, *arguments: str) -> Result:
    module = module_of(name)
    return CliRunner().invoke(command(module.Config, module.main, module.SMOKE), arguments)


@pytest.mark.parametrize("name", NAMES)
def test_smoke_with_torch(name: str, tmp_path: Path) -> None:
    """With NumPy they all run in test_sources_page.py, or in a file of their own."""
    out = tmp_path / "run"
    result = invoke(name, "--smoke", "--backend", "torch", "--seed", "3", "--device", "cpu", "--out", str(out))
    assert result.exit_code == 0, result.output
    record = json.loads((out / "record.json").read_text())
    assert (record["config"]["seed"], record["config"]["backend"]) == (3, "torch")
    assert record["metrics"]
    assert list(out.glob("*.png"))


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", [*NAMES, *BY_NUMPY_ALONE])
def test_help_asks_the_question(name: str, flag: str) -> None:
    result = invoke(name, flag)
    assert result.exit_code == 0
    assert "?" in result.output
    options = {"--smoke", "--seed", "--out", "--data", "--device", "--backend"}
    ignored = {"--data"} if name in WITHOUT_IMAGES else set()
    ignored |= {"--device", "--backend"} if name in BY_NUMPY_ALONE else set()
    assert {option for option in options if f"  {option} " in result.output} == options - ignored


@pytest.mark.parametrize("name", WITHOUT_IMAGES)
def test_an_option_that_would_be_ignored_is_refused(name: str, tmp_path: Path) -> None:
    result = invoke(name, "--smoke", "--data", "synthetic", "--out", str(tmp_path / "run"))
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert "No such option" in result.output
    assert "--data" in result.output


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_IMAGES])
def test_a_start_that_fails_says_why_on_a_line_and_leaves_no_folder(name: str, tmp_path: Path) -> None:
    result = invoke(name, "--smoke", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert f"there is no image folder {tmp_path / 'nothing'}" in line
    assert not list(tmp_path.iterdir())


def test_the_scratch_backend_has_no_gpu(tmp_path: Path) -> None:
    result = invoke("two_layer", "--smoke", "--device", "cuda", "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "NumPy on the CPU" in result.output


REFUSED = {
    ("two_layer", "--seeds", "0"): "seeds is 0 but must be at least 1",
    ("two_layer", "--epochs", "0"): "epochs is 0 but must be at least 1",
    ("two_layer", "--hidden", "0"): "hidden is 0 but must be at least 1",
    ("two_layer", "--learning-rate", "0"): "learning-rate is 0.0 but must be above 0",
    ("two_layer", "--learning-rate", "nan"): "learning-rate is nan but must be finite",
    ("two_layer", "--hidden", "many"): "'many' is not a valid integer",
    ("two_layer", "--preset", "S9"): "'S9' is not one of",
    ("recipe", "--drop-hidden", "1"): "drop-hidden is 1.0 but must be below 1",
    ("gradients", "--widths", "4,0"): "widths is 0 but must be at least 1",
    ("gradients", "--widths", "4;5"): "'4;5' is not a list of ints",
    ("overfitting", "--images", "100,9999"): "9999 training images are asked for, but the set has 4000",
    ("overfitting", "--seeds", "1"): "seeds is 1 but must be at least 2",
    ("convnet", "--filter-size", "4"): "filter-size is 4 but must be odd",
    ("convnet", "--filters", "4"): "filters has 1 numbers but needs 2",
    ("sweep", "--parallel", "0"): "parallel is 0 but must be at least 1",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_settings_that_make_no_sense_are_refused_in_words(arguments: tuple[str, ...], tmp_path: Path) -> None:
    name, *options = arguments
    result = invoke(name, "--smoke", *options, "--out", str(tmp_path / "run"))
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert REFUSED[arguments] in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_shown_as_they_can_be_typed(name: str) -> None:
    """Every default in --help, pasted back, is what it was."""
    module = module_of(name)
    shown = " ".join(invoke(name, "--help").output.split())
    for option in command(module.Config, module.main, {}).params:
        if option.name != "smoke_run" and option.default not in (None, False) and str(option.default):
            assert f"[default: {option.default}]" in shown, option.name
            typed = option.type.convert(str(option.default), option, None)
            assert typed == getattr(module.Config(), option.name)


def test_a_run_folder_that_cannot_be_made_ends_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = invoke("two_layer", "--smoke", "--out", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "cannot be made" in result.output
