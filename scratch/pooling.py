"""Max and average pooling. Axes: N images, C channels, H and W rows and columns, OH and OW the output's.

`max_pool_*_plain` are the definition; `max_pool_*` do the same a row at a time, in the layout convolution hands
out. Both share one cache. Average pooling has one form: its definition is all slices already.
"""

from itertools import product
from typing import TypeAlias

import numpy as np

from ._buffers import Empty, fresh
from ._threads import in_parts
from ._types import Array
from ._validate import quiet_nonfinite, require_cotangent
from ._windows import images_first, output_size, require_images, rows_first, taps

__all__ = [
    "avg_pool_backward",
    "avg_pool_forward",
    "max_pool_backward",
    "max_pool_backward_plain",
    "max_pool_forward",
    "max_pool_forward_plain",
]

MaxPoolCache: TypeAlias = tuple[Array, int, int, int]
AvgPoolCache: TypeAlias = tuple[tuple[int, ...], np.dtype[np.generic], int, int, int]

_BITS = {2: np.int16, 4: np.int32, 8: np.int64}  # the integers as wide as a floating dtype


def _pooled_shape(shape: tuple[int, ...], height: int, width: int, stride: int) -> tuple[int, ...]:
    rows = output_size(shape[2], height, stride=stride)
    columns = output_size(shape[3], width, stride=stride)
    return (*shape[:2], rows, columns)


def _require_ordered(x: Array) -> None:
    require_images(x)
    if x.dtype.kind == "c":
        raise ValueError(f"x is {x.dtype} but a maximum needs real numbers")


def max_pool_forward_plain(
    x: Array, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2
) -> tuple[Array, MaxPoolCache]:
    """The definition: the largest entry of each window; NaN if the window holds one.

    x (N, C, H, W) floating; out (N, C, OH, OW) of x's dtype, OH = (H - pool_height) // stride + 1:
    rows and columns that fill no window are left out, as in torch.
    Raises: ValueError for other shapes or dtypes, and windows that do not fit.
    """
    _require_ordered(x)
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


def max_pool_forward(
    x: Array, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2
) -> tuple[Array, MaxPoolCache]:
    """`max_pool_forward_plain` a row of windows at a time, in the inner layout (H, C, W, N).

    There the pixels that all windows of a row see through one tap are a slice with whole batches side by side,
    and a row of windows fits the processor's cache.

    x (N, C, H, W) floating; out (N, C, OH, OW) of x's dtype, lying as (OH, C, OW, N), OH as in the definition.
    Raises: ValueError for other shapes or dtypes, and windows that do not fit.
    """
    return forward_in(fresh, x, pool_height, pool_width, stride)


def forward_in(empty: Empty, x: Array, pool_height: int, pool_width: int, stride: int) -> tuple[Array, MaxPoolCache]:
    """`max_pool_forward` into memory that `empty` gives."""
    _require_ordered(x)
    images, channels, height, width = _pooled_shape(x.shape, pool_height, pool_width, stride)
    inner = rows_first(x)
    cache = (images_first(inner), pool_height, pool_width, stride)
    out = empty("pooled", (height, channels, width, images), x.dtype)

    def fill(rows: slice) -> None:
        for p in range(rows.start, rows.stop):
            _row_maximum(_row_of_windows(inner, p, cache), out[p])

    in_parts(fill, height, x.size)
    return images_first(out), cache


def max_pool_backward(dout: Array, cache: MaxPoolCache) -> Array:
    """`max_pool_backward_plain` by elimination: dout is offered to one tap of every window after the other.

    A tap that equals its window's maximum takes what is left of dout and leaves zero, so the first of equals
    wins. Taking is done on the bits, times 1 or 0 and exclusive or: exact, even where dout is infinite. A NaN
    equals nothing; where there are any, the definition decides.

    dout (N, C, OH, OW), cache from a forward pass; dx (N, C, H, W). Raises: ValueError if dout does not fit.
    """
    return backward_in(fresh, dout, cache)


def backward_in(empty: Empty, dout: Array, cache: MaxPoolCache) -> Array:
    """`max_pool_backward` into memory that `empty` gives."""
    x, pool_height, pool_width, stride = cache
    require_cotangent(dout, _pooled_shape(x.shape, pool_height, pool_width, stride), x.dtype)
    integer = _BITS.get(x.dtype.itemsize)
    if integer is None:
        return max_pool_backward_plain(dout, cache)
    inner, rows = rows_first(x), rows_first(dout).view(integer)
    apart = stride >= max(pool_height, pool_width)  # no pixel lies in two windows
    every = apart and dout.size * pool_height * pool_width == x.size  # each pixel lies in one
    dx = empty("dx of pooling", inner.shape, x.dtype) if every else np.zeros(inner.shape, x.dtype)

    def meets_nan(part: slice) -> bool:
        best, share = np.empty(rows.shape[1:], x.dtype), np.empty(rows.shape[1:], integer)
        for p in range(part.start, part.stop):
            left, entries = rows[p].copy(), _row_of_windows(inner, p, cache)
            _row_maximum(entries, best)
            if np.isnan(best.max(initial=-np.inf)):
                return True
            for entry, into in zip(entries, _row_of_windows(dx, p, cache), strict=True):
                taken = into.view(integer) if apart else share
                np.multiply(left, entry == best, out=taken)
                np.bitwise_xor(left, taken, out=left)
                if not apart:
                    into += share.view(x.dtype)
        return False

    met = in_parts(meets_nan, len(rows), x.size if apart else 0)  # else two parts would add to one row
    return max_pool_backward_plain(dout, cache) if any(met) else images_first(dx)


def _row_of_windows(inner: Array, p: int, cache: MaxPoolCache) -> list[Array]:
    """What the windows of output row p see through each tap, row by row of the window: views (C, OW, N)."""
    _, pool_height, pool_width, stride = cache
    columns = taps(inner.shape[2], pool_width, stride=stride)
    return [inner[p * stride + i, :, seen] for i, seen in product(range(pool_height), columns)]


def _row_maximum(entries: list[Array], out: Array) -> None:
    """The largest of the entries, element by element, into out; NaN where one of them is."""
    np.maximum(entries[0], entries[-1], out=out)
    for entry in entries[1:-1]:
        np.maximum(out, entry, out=out)


@quiet_nonfinite
def avg_pool_forward(
    x: Array, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2
) -> tuple[Array, AvgPoolCache]:
    """The mean of each window, added up tap by tap.

    x (N, C, H, W) floating; out (N, C, OH, OW) of x's dtype, OH = (H - pool_height) // stride + 1:
    rows and columns that fill no window are left out, as in torch.
    Raises: ValueError for other shapes or dtypes, and windows that do not fit.
    """
    require_images(x)
    out = np.zeros(_pooled_shape(x.shape, pool_height, pool_width, stride), x.dtype)
    for rows in taps(x.shape[2], pool_height, stride=stride):
        for columns in taps(x.shape[3], pool_width, stride=stride):
            out += x[:, :, rows, columns]
    np.divide(out, pool_height * pool_width, out=out)
    return out, (x.shape, x.dtype, pool_height, pool_width, stride)


@quiet_nonfinite
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
