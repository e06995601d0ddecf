"""Convolution (cross-correlation, as in CS231n and torch); the pooling pairs have their own room.

Axes: N images, C channels, H and W rows and columns, F filters, KH and KW the kernel's rows and columns,
OH and OW the output's. `conv_*_plain` are the definition, tap by tap; `conv_*` compute the same as matrix
products and are what nets use. Both share one cache, so either backward may follow either forward.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from ._buffers import Empty, fresh
from ._threads import in_parts, products_in_parts
from ._types import Array
from ._validate import quiet_nonfinite, require_axes, require_cotangent, require_one_dtype, require_shape
from ._windows import images_first, output_size, pad_images, require_images, rows_first, taps
from .pooling import (
    avg_pool_backward,
    avg_pool_forward,
    max_pool_backward,
    max_pool_backward_plain,
    max_pool_forward,
    max_pool_forward_plain,
)

__all__ = [
    "avg_pool_backward",
    "avg_pool_forward",
    "conv_backward",
    "conv_backward_plain",
    "conv_forward",
    "conv_forward_plain",
    "max_pool_backward",
    "max_pool_backward_plain",
    "max_pool_forward",
    "max_pool_forward_plain",
]

PIECES = 16  # at most so many partial sums of dw are taken in a block of rows

ConvCache: TypeAlias = tuple[Array, Array, int, int]
ConvGradients: TypeAlias = tuple[Any, Array, Array]  # dx is None where it was not asked for


def _require_conv(x: Array, w: Array, b: Array) -> None:
    require_one_dtype(x=x, w=w, b=b)
    require_images(x)
    require_axes("w", w, "F, C, KH, KW")
    if w.shape[1] != x.shape[1]:
        raise ValueError(f"w has {w.shape[1]} channels but x has {x.shape[1]}")
    require_shape("b", b, w.shape[:1], "one bias for each filter of w")


def _output_shape(x: Array, w: Array, stride: int, pad: int) -> tuple[int, int]:
    height = output_size(x.shape[2], w.shape[2], stride=stride, pad=pad)
    return height, output_size(x.shape[3], w.shape[3], stride=stride, pad=pad)


# ---------------------------------------------------------------- the definition


@quiet_nonfinite
def conv_forward_plain(x: Array, w: Array, b: Array, *, stride: int = 1, pad: int = 0) -> tuple[Array, ConvCache]:
    """The definition: one sum over channels for each of the kernel's taps.

    out[n, f, p, q] = b[f] + sum over c, i, j of w[f, c, i, j] * xpad[n, c, p*stride + i, q*stride + j]

    x (N, C, H, W), w (F, C, KH, KW), b (F,), of one floating dtype; out (N, F, OH, OW) of that dtype,
    where OH = (H + 2 pad - KH) // stride + 1. `pad` zeros surround each image.
    Raises: ValueError for shapes that do not fit, dtypes that differ, stride < 1, pad < 0.
    Source: CS231n, convolutional networks; S4's 7x7 with 3x3 gives 5x5.
    """
    _require_conv(x, w, b)
    height, width = _output_shape(x, w, stride, pad)
    xpad = pad_images(x, pad)
    out = np.zeros((x.shape[0], w.shape[0], height, width), x.dtype)
    for i, rows in enumerate(taps(xpad.shape[2], w.shape[2], stride=stride)):
        for j, columns in enumerate(taps(xpad.shape[3], w.shape[3], stride=stride)):
            out += np.einsum("nchw,fc->nfhw", xpad[:, :, rows, columns], w[:, :, i, j])
    out += b[:, None, None]
    return out, (x, w, stride, pad)


@quiet_nonfinite
def conv_backward_plain(dout: Array, cache: ConvCache, *, need_dx: bool = True) -> ConvGradients:
    """The definition's gradients, tap by tap: each product of the forward sum hands dout to both its factors.

    dw[f, c, i, j] = sum over n, p, q of dout[n, f, p, q] * xpad[n, c, p*stride + i, q*stride + j]
    dxpad[n, c, p*stride + i, q*stride + j] += w[f, c, i, j] * dout[n, f, p, q];
    db = dout summed over n, p, q

    dout (N, F, OH, OW), cache from a forward pass; dx (N, C, H, W) or None if not needed,
    dw (F, C, KH, KW), db (F,). Raises: ValueError if dout does not fit the output.
    """
    x, w, stride, pad = cache
    require_cotangent(dout, (x.shape[0], w.shape[0], *_output_shape(x, w, stride, pad)), x.dtype)
    xpad = pad_images(x, pad)
    dxpad, dw = np.zeros(xpad.shape, x.dtype), np.zeros(w.shape, w.dtype)
    for i, rows in enumerate(taps(xpad.shape[2], w.shape[2], stride=stride)):
        for j, columns in enumerate(taps(xpad.shape[3], w.shape[3], stride=stride)):
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xpad[:, :, rows, columns])
            if need_dx:
                dxpad[:, :, rows, columns] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
    dx = dxpad[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]] if need_dx else None
    return dx, dw, dout.sum(axis=(0, 2, 3))


# ---------------------------------------------------------------- the same as matrix products


@quiet_nonfinite
def conv_forward(x: Array, w: Array, b: Array, *, stride: int = 1, pad: int = 0) -> tuple[Array, ConvCache]:
    """`conv_forward_plain` as one matrix product an output row.

    Inside, images lie as (H, C, W, N). Then all that the kernel sees from output row p is one matrix
    V_p (KH*C*KW, OW*N), a view that it shares with its neighbours (see `_windows`), and
    out[p] = w (F, KH*C*KW) @ V_p + b.
    The result lies as (OH, F, OW, N) and is handed out as (N, F, OH, OW): the next layer finds the order it
    works in. An x that lies otherwise in memory is copied into it first.

    x (N, C, H, W), w (F, C, KH, KW), b (F,), of one floating dtype; out (N, F, OH, OW) of that dtype.
    Raises: ValueError for shapes that do not fit, dtypes that differ, stride < 1, pad < 0.
    Source: im2col of CS231n, with the kernel's width alone expanded.
    """
    return forward_in(fresh, x, w, b, stride, pad)


def forward_in(empty: Empty, x: Array, w: Array, b: Array, stride: int, pad: int) -> tuple[Array, ConvCache]:
    """`conv_forward` in memory that `empty` gives."""
    _require_conv(x, w, b)
    height, width = _output_shape(x, w, stride, pad)
    inner, kernels = rows_first(x), w.transpose(0, 2, 1, 3).reshape(w.shape[0], w[:1].size)
    out = empty("conv out", (height, w.shape[0], width * x.shape[0]), x.dtype)
    for rows, windows in _windows(empty, inner, w, stride, pad):
        _multiply(kernels, windows, b, out[rows])
    out = out.reshape(height, w.shape[0], width, x.shape[0])
    return images_first(out), (images_first(inner), w, stride, pad)


def _multiply(kernels: Array, windows: list[Array], b: Array, out: Array) -> None:
    """Fill each row of out with what the kernels (F, K) see in its windows (K, OW*N)."""

    def fill(part: slice) -> None:
        for row, seen in zip(out[part], windows[part], strict=True):
            np.matmul(kernels, seen, out=row)
            row += b[:, None]

    products_in_parts(fill, len(windows), out.size * kernels.shape[1])


@quiet_nonfinite
def conv_backward(dout: Array, cache: ConvCache, *, need_dx: bool = True) -> ConvGradients:
    """The gradients of `conv_forward`, again as matrix products.

    From out[p] = w V_p + b: dw = sum over p of dout_p V_pᵀ with dout_p (F, OW*N), and db = dout summed over
    n, p, q. dx: see `_conv_dx`; the first layer of a net has no use for it, and `need_dx=False` saves a third.

    dout (N, F, OH, OW), cache from a forward pass; dx (N, C, H, W) or None if not needed,
    dw (F, C, KH, KW), db (F,). Raises: ValueError if dout does not fit the output.
    """
    return backward_in(fresh, dout, cache, need_dx=need_dx)


def backward_in(empty: Empty, dout: Array, cache: ConvCache, *, need_dx: bool) -> ConvGradients:
    """`conv_backward` with its windows in memory that `empty` gives."""
    x, w, stride, pad = cache
    height, width = _output_shape(x, w, stride, pad)
    require_cotangent(dout, (x.shape[0], w.shape[0], height, width), x.dtype)
    filters, channels, kernel_height, kernel_width = w.shape
    inner = rows_first(dout)
    flat = inner.reshape(height, filters, width * x.shape[0])
    dw = np.zeros((kernel_height * channels * kernel_width, filters), x.dtype)
    db = np.zeros(filters, x.dtype)
    for rows, windows in _windows(empty, rows_first(x), w, stride, pad):
        for sums in _sums_of_rows(flat[rows], windows):
            dw += sums[0]
            db += sums[1]
    dw = dw.reshape(kernel_height, channels, kernel_width, filters).transpose(3, 1, 0, 2)
    return (_conv_dx(inner, cache) if need_dx else None), np.ascontiguousarray(dw), db


def _sums_of_rows(dout: Array, windows: list[Array]) -> list[tuple[Array, Array]]:
    """Some rows' share of dw as it lies inside, (K, F), and of db, (F,), a few rows at a time.

    How many rows go together hangs on the shapes alone, and so do the bits of the sum.
    """
    ones = np.ones(dout.shape[2], dout.dtype)
    of_piece = windows[0].shape[0] * dout.shape[1]
    pieces_at_most = max(1, min(PIECES, dout.size // max(of_piece, 1)))  # all their sums fit into dout's size
    together = -(-len(windows) // pieces_at_most)
    pieces = [slice(first, first + together) for first in range(0, len(windows), together)]

    def add_up(part: slice) -> list[tuple[Array, Array]]:
        return [add_piece(piece) for piece in pieces[part]]

    def add_piece(piece: slice) -> tuple[Array, Array]:
        dw = np.zeros((windows[0].shape[0], dout.shape[1]), dout.dtype)
        db = np.zeros(dout.shape[1], dout.dtype)
        for row, seen in zip(dout[piece], windows[piece], strict=True):
            dw += seen @ row.T  # this way round OpenBLAS is half as fast again as row @ seen.T
            db += row @ ones
        return dw, db

    return [sums for part in products_in_parts(add_up, len(pieces), dout.size * windows[0].shape[0]) for sums in part]


def _windows(empty: Empty, inner: Array, w: Array, stride: int, pad: int) -> Iterator[tuple[slice, list[Array]]]:
    """A block of output rows after the other, and for each row all the pixels its windows see, V_p (KH*C*KW, OW*N).

    It is im2col without its bulk: only the kernel's width is expanded, R[h, (c, j), (q, n)] = xpad[h, c, q*stride + j,
    n], KW times the image where im2col takes KH*KW. The rows (i, c, j) of V_p are then the rows of R from h = p*stride
    on, KH*C*KW of them, one after another in memory: a view that BLAS takes, whatever the stride.

    Blocks are no larger than x and twice out together, which bounds the memory.
    """
    filters, channels, kernel_height, kernel_width = w.shape
    height, width = _output_shape(images_first(inner), w, stride, pad)
    row_size = channels * kernel_width * width * inner.shape[3]
    budget = inner.size + 2 * height * filters * width * inner.shape[3]
    block = max(1, (budget // max(row_size, 1) - kernel_height) // stride + 1)
    for first in range(0, height, block):
        count = min(block, height - first)
        rows = (count - 1) * stride + kernel_height
        expanded = _expand_width(empty, inner, w, slice(first * stride, first * stride + rows), stride, pad)
        flat = expanded.reshape(rows * channels * kernel_width, width * inner.shape[3])
        step, size = stride * channels * kernel_width, kernel_height * channels * kernel_width
        yield slice(first, first + count), [flat[p * step : p * step + size] for p in range(count)]


def _expand_width(empty: Empty, inner: Array, w: Array, rows: slice, stride: int, pad: int) -> Array:
    """R (rows, C, KW, OW, N) for a range of padded rows: R[h, c, j, q, n] = xpad[h, c, q*stride + j, n]."""
    height, channels, columns, images = inner.shape
    width = output_size(columns, w.shape[3], stride=stride, pad=pad)
    expanded = empty("windows", (rows.stop - rows.start, channels, w.shape[3], width, images), inner.dtype)
    top = min(max(pad - rows.start, 0), len(expanded))
    bottom = min(max(pad + height - rows.start, top), len(expanded))
    expanded[:top], expanded[bottom:] = 0, 0
    filled, seen = expanded[top:bottom], inner[top + rows.start - pad : bottom + rows.start - pad]

    def fill(part: slice) -> None:
        for j in range(w.shape[3]):
            windows, pixels = _seen_at(j, columns, width, stride, pad)
            column = filled[part, :, j]
            column[:, :, : windows.start], column[:, :, windows.stop :] = 0, 0
            column[:, :, windows] = seen[part, :, pixels]

    in_parts(fill, len(filled), filled.size)
    return expanded


def _seen_at(j: int, columns: int, width: int, stride: int, pad: int) -> tuple[slice, slice]:
    """Which of a row's windows see a pixel of the image at offset j, not padding, and which pixels those are."""
    first = min(max(-((j - pad) // stride), 0), width)
    last = max(min((columns - 1 + pad - j) // stride + 1, width), first)
    start = first * stride + j - pad
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


def _conv_dx(dout: Array, cache: ConvCache) -> Array:
    """dx (N, C, H, W) from dout (OH, F, OW, N): one matrix product an input row, then KW shifted adds.

    Output row p sees padded row h through tap i = h - p*stride. The p that see h follow one another, so their
    rows of dout are one matrix (taps*F, OW*N), and
    spread[j, c, q, n] = sum over p, f of w[f, c, h - p*stride, j] * dout[p, f, q, n]
    is one product, with nothing to scatter over height. It lands at dxpad[h, c, q*stride + j, n].
    """
    x, w, stride, pad = cache
    images, channels, height, columns = x.shape
    rows, filters, width, _ = dout.shape
    flat = dout.reshape(rows * filters, width * images)
    kernels = [_turned(w[:, :, phase::stride]) for phase in range(stride)]
    landing = [_seen_at(j, columns, width, stride, pad) for j in range(w.shape[3])]
    product = np.empty((w.shape[3] * channels, width * images), x.dtype)
    spread = product.reshape(w.shape[3], channels, width, images)
    dx = np.zeros((height, channels, columns, images), x.dtype)
    for h, row in enumerate(dx, start=pad):
        kernel = kernels[h % stride]
        count = kernel.shape[1] // filters if filters else 0
        base = h // stride - count + 1  # the output row that the last of these taps belongs to
        first, last = max(base, 0), min(base + count, rows)
        if first < last:
            facing = kernel[:, (first - base) * filters : (last - base) * filters]
            np.matmul(facing, flat[first * filters : last * filters], out=product)
            for (windows, pixels), part in zip(landing, spread, strict=True):
                row[:, pixels] += part[:, windows]
    return images_first(dx)


def _turned(w: Array) -> Array:
    """Kernels (F, C, T, KW) as the matrix (KW*C, T*F) that meets rows of dout in order: the last tap first."""
    filters, channels, count, width = w.shape
    return w[:, :, ::-1].transpose(3, 1, 2, 0).reshape(width * channels, count * filters)
