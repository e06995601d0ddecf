"""The directions that hold the house together: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "torchvision", "matplotlib", "rich", "click"}


def imported(file):
    """The top-level names that a file imports anywhere, relative imports resolved to its own package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0] if node.module and not node.level else file.parent.name


def files(package):
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("file", files("scratch"), ids=lambda file: file.name)
def test_scratch_imports_numpy_alone(file):
    assert set(imported(file)) <= {"numpy", "scratch"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("file", files("reference"), ids=lambda file: file.name)
def test_reference_never_imports_scratch_nor_experiments(file):
    assert not set(imported(file)) & {"scratch", "experiments", "matplotlib"}
    if file.name != "data.py":
        assert "torchvision" not in set(imported(file))


def test_importing_scratch_imports_nothing_heavy():
    code = "import sys, scratch; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not HEAVY & set(loaded.stdout.split())


@pytest.mark.parametrize("file", files("experiments"), ids=lambda file: file.name)
def test_importing_an_experiment_runs_nothing(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr, ast.If)
    for node in tree.body:
        assert isinstance(node, allowed), f"{file.name}:{node.lineno} runs on import"
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant)
        if isinstance(node, ast.If):
            assert "__name__" in ast.unparse(node.test) or "TYPE_CHECKING" in ast.unparse(node.test)
