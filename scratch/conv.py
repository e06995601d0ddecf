"""Convolution (cross-correlation, as in CS231n and torch) and, from their own room, the pooling pairs.

Axes: N images, C channels, H and W rows and columns, F filters, KH and KW the kernel's rows and columns,
OH and OW the output's.
"""

from typing import TypeAlias

import numpy as np

from ._types import Array
from ._windows import output_size, pad_images, require_cotangent, require_images, taps
from .pooling import avg_pool_backward, avg_pool_forward, max_pool_backward, max_pool_forward

__all__ = [
    "avg_pool_backward",
    "avg_pool_forward",
    "conv_backward",
    "conv_backward_plain",
    "conv_forward",
    "conv_forward_plain",
    "max_pool_backward",
    "max_pool_forward",
]

ConvCache: TypeAlias = tuple[Array, Array, int, int]


def _require_conv(x: Array, w: Array, b: Array) -> None:
    require_images(x, complex_too=True)
    if w.ndim != 4:
        raise ValueError(f"w has shape {w.shape} but filters need four axes (F, C, KH, KW)")
    if w.shape[1] != x.shape[1]:
        raise ValueError(f"w has {w.shape[1]} channels but x has {x.shape[1]}")
    if b.shape != w.shape[:1]:
        raise ValueError(f"b has shape {b.shape} but {w.shape[0]} filters need shape ({w.shape[0]},)")
    if not x.dtype == w.dtype == b.dtype:
        raise ValueError(f"x, w, b are {x.dtype}, {w.dtype}, {b.dtype} but must share one dtype")


@np.errstate(over="ignore", invalid="ignore")  # NaN and inf pass through in silence, as in torch
def conv_forward_plain(
    x: Array, w: Array, b: Array, *, stride: int = 1, pad: int = 0
) -> tuple[Array, ConvCache]:
    """The definition: one sum over channels for each of the kernel's taps.

    out[n, f, p, q] = b[f] + sum over c, i, j of w[f, c, i, j] * xpad[n, c, p*stride + i, q*stride + j]

    x (N, C, H, W), w (F, C, KH, KW), b (F,), of one floating dtype; out (N, F, OH, OW) of that dtype,
    where OH = (H + 2 pad - KH) // stride + 1. `pad` zeros surround each image.
    Raises: ValueError for shapes that do not fit, dtypes that differ, stride < 1, pad < 0.
    Source: CS231n, convolutional networks; S4's 7x7 with 3x3 gives 5x5.
    """
    _require_conv(x, w, b)
    height = output_size(x.shape[2], w.shape[2], stride=stride, pad=pad)
    width = output_size(x.shape[3], w.shape[3], stride=stride, pad=pad)
    xpad = pad_images(x, pad)
    out = np.zeros((x.shape[0], w.shape[0], height, width), x.dtype)
    for i, rows in enumerate(taps(xpad.shape[2], w.shape[2], stride=stride)):
        for j, columns in enumerate(taps(xpad.shape[3], w.shape[3], stride=stride)):
            out += np.einsum("nchw,fc->nfhw", xpad[:, :, rows, columns], w[:, :, i, j])
    out += b[:, None, None]
    return out, (x, w, stride, pad)


@np.errstate(over="ignore", invalid="ignore")
def conv_backward_plain(
    dout: Array, cache: ConvCache, *, need_dx: bool = True
) -> tuple[Array | None, Array, Array]:
    """The definition's gradients, tap by tap: each product of the forward sum hands dout to both its factors.

    dw[f, c, i, j] = sum over n, p, q of dout[n, f, p, q] * xpad[n, c, p*stride + i, q*stride + j]
    dxpad[n, c, p*stride + i, q*stride + j] += w[f, c, i, j] * dout[n, f, p, q];
    db = dout summed over n, p, q

    dout (N, F, OH, OW), cache from `conv_forward_plain`; dx (N, C, H, W) or None if not needed,
    dw (F, C, KH, KW), db (F,). Raises: ValueError if dout does not fit the output.
    """
    x, w, stride, pad = cache
    height = output_size(x.shape[2], w.shape[2], stride=stride, pad=pad)
    width = output_size(x.shape[3], w.shape[3], stride=stride, pad=pad)
    require_cotangent(dout, (x.shape[0], w.shape[0], height, width), x.dtype)
    xpad = pad_images(x, pad)
    dxpad, dw = np.zeros_like(xpad), np.zeros_like(w)
    for i, rows in enumerate(taps(xpad.shape[2], w.shape[2], stride=stride)):
        for j, columns in enumerate(taps(xpad.shape[3], w.shape[3], stride=stride)):
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xpad[:, :, rows, columns])
            if need_dx:
                dxpad[:, :, rows, columns] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
    dx = dxpad[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]] if need_dx else None
    return dx, dw, dout.sum(axis=(0, 2, 3))


conv_forward = conv_forward_plain
conv_backward = conv_backward_plain
