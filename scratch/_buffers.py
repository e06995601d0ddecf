"""Where large arrays come from: fresh memory, or a room that keeps them from call to call.

Fresh memory of many megabytes is handed out by the system page by page and cleared first, which takes a third of the
time of a small convolution. Who takes step after step over the same shapes keeps a `Room`.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ._types import Array

Empty: TypeAlias = Callable[[str, tuple[int, ...], "np.dtype[Any]"], Array]
"""`empty(name, shape, dtype)`: an array of any content, which no other name's array shares memory with."""


def fresh(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A new array; the name is for those who keep them."""
    return np.empty(shape, dtype)


class Room:
    """Arrays kept by name: asked again for the same name, it gives the same memory, larger if it must be."""

    def __init__(self) -> None:
        self._kept: dict[str, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.dtype != dtype or kept.size < size:
            kept = self._kept[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)
