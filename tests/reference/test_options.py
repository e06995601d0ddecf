"""How the commands take their options, and how they end: status 2 for a misuse, at once and on one line."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from scratchproof import cli
from scratchproof.cli import main

RELU = """
import numpy as np
def relu_forward(x): return np.maximum(x, 0), x
def relu_backward(dout, x): return dout * (x > 0)
"""


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def right(tmp_path):
    path = tmp_path / "[bold]right\x1b[31m.py"
    path.write_text(RELU)
    return str(path)


@pytest.mark.parametrize("command", ["check", "trace two_layer", "lockstep two_layer"])
@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["--seed", "-1"], "-1 is not in the range"),
        (["--seed", str(2**64)], "is not in the range"),
        (["--seed", "one"], "'one' is not a valid integer"),
        (["--json", ""], "the name is empty"),
        (["--json", "/dev/null"], "not a regular file"),
        (["--nonsense"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_misuse_is_told_on_one_line_with_status_2(command, arguments, fact):
    result = run(*command.split(), *arguments)
    assert result.exit_code == 2
    assert fact in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("option", ["--json", "--html", "--junit", "--gradescope"])
def test_the_homework_is_not_overwritten(right, option):
    result = run("check", right, option, right)
    assert result.exit_code == 2
    assert "was not written by scratchproof" in result.output
    with open(right) as file:
        assert file.read() == RELU


def test_two_results_in_one_file_are_refused(tmp_path):
    result = run("check", "--json", tmp_path / "a", "--html", tmp_path / "." / "a")
    assert result.exit_code == 2
    assert "name the same file" in result.output
    assert not list(tmp_path.iterdir())


def test_an_unknown_layer_is_told_without_torch_and_with_what_is_like_it():
    code = "import sys; from scratchproof.cli import main"
    code += "\ntry: main(['check', '--layer', 'afine'])\nexcept SystemExit as e: print(e.code, 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "2 False\n"
    assert "did you mean affine?" in found.stderr


def test_without_jinja_a_page_is_refused_before_the_work(monkeypatch, tmp_path):
    from scratchproof.report import render

    render.environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = run("check", "--html", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "pip install jinja2" in result.output


def test_what_is_said_twice_counts_once(right, tmp_path):
    once, twice = tmp_path / "once.json", tmp_path / "twice.json"
    run("check", right, "--layer", "relu", "--dtype", "float64", "--device", "cpu", "--json", once)
    both = ["--layer", "relu", "--dtype", "float64"] * 2
    result = run("check", right, *both, "--device", "cpu", "--json", twice)
    assert result.exit_code == 0
    assert once.read_text() == twice.read_text()


def test_markup_and_control_characters_of_a_file_name_are_shown_as_they_are(right):
    result = run("check", right, "--layer", "relu", "--dtype", "float64", "--device", "cpu")
    assert "[bold]right\\x1b[31m.py" in result.output
    assert "\x1b" not in result.output


def test_the_largest_seed_is_a_seed(right):
    assert run("check", right, "--layer", "relu", "--dtype", "float64", "--seed", 2**64 - 1).exit_code == 0


def test_ctrl_c_is_130_without_a_traceback(monkeypatch):
    def stopped(device):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "oracle_on", stopped)
    result = run("check", "--layer", "relu")
    assert result.exit_code == 130
    assert "Traceback" not in result.output
