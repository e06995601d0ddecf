"""Packages that not everybody needs: what lacks one says which extra brings it."""

import importlib
from importlib.util import find_spec
from types import ModuleType

from scratchproof.errors import InputError

EXTRAS = {
    "expecttest": "test",
    "jax": "jax",
    "matplotlib": "experiments",
    "numba": "test",
    "optuna": "experiments",
    "pytest": "test",
    "threadpoolctl": "experiments",
}
"""The extra that brings each of them."""


def require(*packages: str) -> None:
    """Raises: InputError that says what to install, for the first that is missing; none is imported."""
    for package in packages:
        if find_spec(package) is None:
            raise InputError(_missing(package))


def needed(package: str) -> ModuleType:
    """Import a package. Raises: InputError that says what to install, where it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.split(".")[0]:
            raise
        raise InputError(_missing(error.name)) from None


def _missing(package: str) -> str:
    return f"{package} is not installed: pip install 'scratchproof[{EXTRAS[package]}]'"
