"""The front door: what `import scratch` offers, and what it does not drag in."""

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

from scratchproof import scratch


def test_the_public_names_are_those_listed() -> None:
    names = {name for name, value in vars(scratch).items() if not name.startswith("_")}
    modules = {name for name in names if isinstance(getattr(scratch, name), ModuleType)}
    assert names - modules == set(scratch.__all__)
    assert len(scratch.__all__) == len(set(scratch.__all__))


@pytest.mark.parametrize("room", ["layers", "norms", "losses", "init", "graphs", "nets"])
def test_every_public_function_of_a_room_stands_at_the_front_door(room: str) -> None:
    module = importlib.import_module(f"scratchproof.scratch.{room}")
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
    }
    assert own <= set(scratch.__all__)


def test_importing_scratch_brings_numpy_and_nothing_heavy() -> None:
    code = "import sys, scratchproof.scratch; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'numpy'" in loaded
    for heavy in ("torch", "torchvision", "matplotlib", "rich", "click"):
        assert f"'{heavy}'" not in loaded
