"""The directions that hold the house together: who may import whom."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "torchvision", "matplotlib", "rich", "click"}
FLOORS = (
    "table",
    "finding",
    "images",
    "oracle",
    "subjects",
    "sandbox",
    "exam",
    "second",
    "report",
    "bank",
    "api",
    "grading",
    "tracing",
    "training",
    "kernels",
    "judging",
)
IN_A_ROOM = 10


def imported(file):
    """The modules that a file imports anywhere, in full."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield f".{node.module or ''}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def outermost(file):
    return {name.split(".")[0] for name in imported(file)}


def files(package):
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def name(file):
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", files("scratch"), ids=name)
def test_scratch_imports_numpy_alone(file):
    assert outermost(file) <= {"", "numpy"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("file", files("reference"), ids=name)
def test_reference_never_imports_scratch_nor_experiments(file):
    assert not [m for m in imported(file) if re.match(r"scratchproof\.(scratch|experiments)\b", m)]
    assert "matplotlib" not in outermost(file)
    if file.parent.name != "images":
        assert "torchvision" not in outermost(file)


@pytest.mark.parametrize("file", files("reference"), ids=name)
def test_a_room_uses_only_the_floors_below_it(file):
    room = file.relative_to(ROOT / "reference").parts[0]
    if room not in FLOORS:
        return
    above = FLOORS[FLOORS.index(room) + 1 :]
    assert not [m for m in imported(file) if m.startswith("scratchproof.") and m.split(".")[1] in above]


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_says_what_belongs_in_it_and_has_at_most_ten_files(room):
    folder = ROOT / "reference" / room
    assert len([f for f in folder.glob("*.py") if f.name != "__init__.py"]) <= IN_A_ROOM
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))


def test_nobody_imports_the_folders_by_their_own_names():
    for package in ("reference", "scratch", "experiments", "tests"):
        for file in files(package):
            if "strangers" in file.parts:
                continue  # not ours to tell how to import, and some are Python 2
            assert not outermost(file) & {"reference", "scratch", "experiments"}, file


@pytest.mark.parametrize("module", ["scratchproof", "scratchproof.scratch"])
def test_the_front_doors_import_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


@pytest.mark.parametrize("file", files("experiments"), ids=name)
def test_importing_an_experiment_runs_nothing(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr, ast.If)
    for node in tree.body:
        assert isinstance(node, allowed), f"{file.name}:{node.lineno} runs on import"
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant)
        if isinstance(node, ast.If):
            assert "__name__" in ast.unparse(node.test) or "TYPE_CHECKING" in ast.unparse(node.test)
