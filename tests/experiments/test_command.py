"""Experiments say at once which package they lack, each of those that they could come to need."""

import ast
import importlib
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from scratchproof.experiments.command import command
from scratchproof.extras import EXTRAS

FOLDER = Path(__file__).parents[2] / "experiments"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py") if "SMOKE = " in file.read_text(encoding="utf-8"))


def tree_of(name):
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def used(name, seen):
    """The packages of extras that a module of the experiments, or one that it imports, imports anywhere."""
    if name in seen or not (FOLDER / f"{name}.py").exists():
        return set()
    seen.add(name)
    found = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
            found |= {"expecttest"} if node.module.startswith("torch.testing._internal") else set()
        elif isinstance(node, ast.ImportFrom):
            for near in (node.module,) if node.module else (alias.name for alias in node.names):
                found |= used(near, seen)
    return found & set(EXTRAS)


def needs_of(name):
    return set(getattr(importlib.import_module(f"scratchproof.experiments.{name}"), "NEEDS", ()))


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_declares_every_package_that_it_comes_to_import(name):
    assert needs_of(name) >= used(name, set())
    told = [node for node in ast.walk(tree_of(name)) if isinstance(node, ast.Call) and "SMOKE" in ast.unparse(node)]
    assert any("NEEDS" in ast.unparse(node) for node in told) == bool(needs_of(name))


@pytest.mark.parametrize("name", [name for name in NAMES if needs_of(name)])
def test_a_missing_package_ends_the_command_on_a_line_before_anything_runs(name, monkeypatch, tmp_path):
    module = importlib.import_module(f"scratchproof.experiments.{name}")
    for package in module.NEEDS:
        with monkeypatch.context() as without:
            without.setitem(sys.modules, package, None)
            asked = ["--smoke", "--out", str(tmp_path / "run")]
            told = CliRunner().invoke(command(module.Config, module.main, module.SMOKE, module.NEEDS), asked)
        assert told.exit_code == 2
        (line,) = told.output.splitlines()
        assert f"{package} is not installed: pip install 'scratchproof[{EXTRAS[package]}]'" in line
        assert not list(tmp_path.iterdir())
