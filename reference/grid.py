"""Where an array is wrong, small enough to be drawn: at most 32 by 32 numbers, whatever the array's shape."""

import math
from dataclasses import dataclass

import numpy as np

from scratchproof.vjp import Array

SIDE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Error over allowance, laid out on paper; more than 1 is wrong, infinite is nan or an infinity out of place.

    shape: of the array. rows: the numbers, each the worst of a block of elements. tile: the height and width of one
    image (or matrix) of the array where several are laid side by side, (0, 0) where there is one or blocks are
    larger than an element.
    """

    shape: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...]
    tile: tuple[int, int]


def grid(excess: Array) -> Grid | None:
    """Lay `excess`, errors over allowances of any shape, out: (N, C, H, W) as N rows of C images. None if empty."""
    if not excess.size:
        return None
    flat, tile = _flat(np.nan_to_num(excess, nan=0.0, posinf=math.inf))
    small = _worst(_worst(flat, 0), 1)
    if small.shape != flat.shape or tile == flat.shape:
        tile = (0, 0)
    rows = tuple(tuple(float(f"{value:.3g}") for value in row) for row in small)
    return Grid(shape=excess.shape, rows=rows, tile=tile)


def _flat(array: Array) -> tuple[Array, tuple[int, int]]:
    """The array on a plane, and the size of one tile."""
    if array.ndim < 2:
        return array.reshape(1, -1), (1, array.size)
    *outer, height, width = array.shape
    columns = outer[-1] if len(outer) > 1 else 1
    tiles = array.reshape(-1, columns, height, width)
    return tiles.transpose(0, 2, 1, 3).reshape(len(tiles) * height, columns * width), (height, width)


def _worst(plane: Array, axis: int) -> Array:
    """The plane with at most SIDE entries along `axis`, each the largest of those that it stands for."""
    length = plane.shape[axis]
    if length <= SIDE:
        return plane
    found: Array = np.maximum.reduceat(plane, np.arange(SIDE) * length // SIDE, axis=axis)
    return found
