"""Packages that not everybody needs: what lacks one says which extra brings it."""

import importlib
from types import ModuleType

from scratchproof.errors import InputError


def needed(package: str, extra: str) -> ModuleType:
    """Import a package. Raises: InputError that says what to install, where it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.split(".")[0]:
            raise
        raise InputError(f"{error.name} is not installed: pip install 'scratchproof[{extra}]'") from None
