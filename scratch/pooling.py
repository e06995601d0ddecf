"""Max and average pooling. Axes: N images, C channels, H and W rows and columns, OH and OW the output's."""

from typing import TypeAlias

import numpy as np

from ._types import Array
from ._windows import output_size, require_cotangent, require_images, taps

MaxPoolCache: TypeAlias = tuple[Array, int, int, int]
AvgPoolCache: TypeAlias = tuple[tuple[int, ...], np.dtype[np.generic], int, int, int]


def _pooled_shape(shape: tuple[int, ...], height: int, width: int, stride: int) -> tuple[int, ...]:
    rows = output_size(shape[2], height, stride=stride)
    columns = output_size(shape[3], width, stride=stride)
    return (*shape[:2], rows, columns)


def max_pool_forward_plain(
    x: Array, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2
) -> tuple[Array, MaxPoolCache]:
    """The definition: the largest entry of each window; NaN if the window holds one.

    x (N, C, H, W) floating; out (N, C, OH, OW) of x's dtype, OH = (H - pool_height) // stride + 1:
    rows and columns that fill no window are left out, as in torch.
    Raises: ValueError for other shapes or dtypes, and windows that do not fit.
    """
    require_images(x)
    out = np.full(_pooled_shape(x.shape, pool_height, pool_width, stride), -np.inf, x.dtype)
    for rows in taps(x.shape[2], pool_height, stride=stride):
        for columns in taps(x.shape[3], pool_width, stride=stride):
            out = np.maximum(out, x[:, :, rows, columns])
    return out, (x, pool_height, pool_width, stride)


def _winners(x: Array, pool_height: int, pool_width: int, stride: int) -> Array:
    """The number of the tap that wins each window, counted row by row: the first maximum, the last NaN."""
    best = np.full(_pooled_shape(x.shape, pool_height, pool_width, stride), -np.inf, x.dtype)
    winner = np.zeros(best.shape, np.intp)
    tap = 0
    for rows in taps(x.shape[2], pool_height, stride=stride):
        for columns in taps(x.shape[3], pool_width, stride=stride):
            entry = x[:, :, rows, columns]
            wins = (entry > best) | np.isnan(entry)  # torch's rule, to the letter
            best, winner = np.where(wins, entry, best), np.where(wins, tap, winner)
            tap += 1
    return winner


def max_pool_backward_plain(dout: Array, cache: MaxPoolCache) -> Array:
    """dx: each window hands its dout to its winner; where windows overlap the shares add up.

    Ties go to the first entry in row-major window order, torch's convention (several NaNs: to the last).
    dout (N, C, OH, OW), cache from `max_pool_forward_plain`; dx (N, C, H, W).
    Raises: ValueError if dout does not fit the output.
    """
    x, pool_height, pool_width, stride = cache
    require_cotangent(dout, _pooled_shape(x.shape, pool_height, pool_width, stride), x.dtype)
    winner, dx, tap = _winners(x, pool_height, pool_width, stride), np.zeros_like(x), 0
    for rows in taps(x.shape[2], pool_height, stride=stride):
        for columns in taps(x.shape[3], pool_width, stride=stride):
            dx[:, :, rows, columns] += np.where(winner == tap, dout, dout.dtype.type(0))
            tap += 1
    return dx


@np.errstate(over="ignore", invalid="ignore")
def avg_pool_forward(
    x: Array, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2
) -> tuple[Array, AvgPoolCache]:
    """The mean of each window, added up tap by tap.

    x (N, C, H, W) floating; out (N, C, OH, OW) of x's dtype, OH = (H - pool_height) // stride + 1:
    rows and columns that fill no window are left out, as in torch.
    Raises: ValueError for other shapes or dtypes, and windows that do not fit.
    """
    require_images(x, complex_too=True)
    out = np.zeros(_pooled_shape(x.shape, pool_height, pool_width, stride), x.dtype)
    for rows in taps(x.shape[2], pool_height, stride=stride):
        for columns in taps(x.shape[3], pool_width, stride=stride):
            out += x[:, :, rows, columns]
    np.divide(out, pool_height * pool_width, out=out)
    return out, (x.shape, x.dtype, pool_height, pool_width, stride)


@np.errstate(over="ignore", invalid="ignore")
def avg_pool_backward(dout: Array, cache: AvgPoolCache) -> Array:
    """dx: each entry of a window gets dout / (pool_height * pool_width); where windows overlap they add up.

    dout (N, C, OH, OW), cache from `avg_pool_forward`; dx (N, C, H, W).
    Raises: ValueError if dout does not fit the output.
    """
    shape, dtype, pool_height, pool_width, stride = cache
    require_cotangent(dout, _pooled_shape(shape, pool_height, pool_width, stride), dtype)
    share: Array = dout / (pool_height * pool_width)
    dx: Array = np.zeros(shape, dtype)
    for rows in taps(shape[2], pool_height, stride=stride):
        for columns in taps(shape[3], pool_width, stride=stride):
            dx[:, :, rows, columns] += share
    return dx


max_pool_forward = max_pool_forward_plain
max_pool_backward = max_pool_backward_plain
