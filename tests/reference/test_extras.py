"""What lacks a package says on a line which extra brings it."""

import sys
import tomllib
from pathlib import Path

import pytest

from scratchproof.errors import InputError
from scratchproof.extras import EXTRAS, needed, require

ROOT = Path(__file__).parents[2]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    told = r"optuna is not installed: pip install 'scratchproof\[experiments\]'"
    with pytest.raises(InputError, match=told):
        require("optuna")
    with pytest.raises(InputError, match=told):
        needed("optuna")


def test_what_is_there_is_imported_only_where_it_is_needed(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "threadpoolctl"]:
        monkeypatch.delitem(sys.modules, name)
    require("threadpoolctl")
    assert "threadpoolctl" not in sys.modules
    assert needed("threadpoolctl").__name__ == "threadpoolctl"


def test_each_extra_brings_what_it_is_said_to():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for package, extra in EXTRAS.items():
        assert any(line.startswith(package) for line in extras[extra]), package
