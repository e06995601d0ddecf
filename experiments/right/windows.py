"""Convolution and pooling in many hands."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from .dense import pairs


def _padded(x, pad):
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def _cut(dx, pad):
    return dx[:, :, pad : dx.shape[2] - pad, pad : dx.shape[3] - pad]


def _size(x, height, width, stride):
    return 1 + (x.shape[2] - height) // stride, 1 + (x.shape[3] - width) // stride


def window_by_window(x, w, b, *, stride=1, pad=0):
    padded = _padded(x, pad)
    F, _, HH, WW = w.shape
    rows, columns = _size(padded, HH, WW, stride)
    out = np.zeros((len(x), F, rows, columns), x.dtype)
    for n, f, i, j in np.ndindex(*out.shape):
        window = padded[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
        out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (padded, w, stride, pad)


def window_by_window_back(dout, cache):
    padded, w, stride, pad = cache
    dx, dw, db = np.zeros_like(padded), np.zeros_like(w), np.zeros(len(w), dout.dtype)
    for n, f, i, j in np.ndindex(*dout.shape):
        at = (n, slice(None), slice(i * stride, i * stride + w.shape[2]), slice(j * stride, j * stride + w.shape[3]))
        dx[at] += w[f] * dout[n, f, i, j]
        dw[f] += padded[at] * dout[n, f, i, j]
        db[f] += dout[n, f, i, j]
    return _cut(dx, pad), dw, db


def tap_by_tap(x, w, b, *, stride=1, pad=0):
    """A loop over the kernel alone: each tap meets a shifted image."""
    padded = _padded(x, pad)
    rows, columns = _size(padded, *w.shape[2:], stride)
    out = np.zeros((len(x), len(w), rows, columns), x.dtype)
    for i, j in np.ndindex(*w.shape[2:]):
        out += np.einsum("nchw,fc->nfhw", padded[_shifted(i, j, rows, columns, stride)], w[:, :, i, j])
    return out + b[:, None, None], (padded, w, stride, pad)


def _shifted(i, j, rows, columns, stride):
    return ..., slice(i, i + stride * rows, stride), slice(j, j + stride * columns, stride)


def tap_by_tap_back(dout, cache):
    padded, w, stride, pad = cache
    dx, dw = np.zeros_like(padded), np.empty_like(w)
    for i, j in np.ndindex(*w.shape[2:]):
        at = _shifted(i, j, *dout.shape[2:], stride)
        dx[at] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
        dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, padded[at])
    return _cut(dx, pad), dw, dout.sum((0, 2, 3))


def _columns_of(shape, height, width, stride):
    """Which channel, row and column each tap of each window reads."""
    _, C, H, W = shape
    rows, columns = 1 + (H - height) // stride, 1 + (W - width) // stride
    c, i, j = (v.reshape(-1, 1) for v in np.indices((C, height, width)))
    y, x = (stride * v.reshape(1, -1) for v in np.indices((rows, columns)))
    return c, i + y, j + x


def columns(x, w, b, *, stride=1, pad=0):
    padded = _padded(x, pad)
    taps = _columns_of(padded.shape, *w.shape[2:], stride)
    col = padded[:, *taps]
    flat = w.reshape(len(w), int(np.prod(w.shape[1:])))
    out = (flat @ col + b[:, None]).reshape(len(x), len(w), *_size(padded, *w.shape[2:], stride))
    return out, (padded.shape, col, taps, w, pad)


def columns_back(dout, cache):
    shape, col, taps, w, pad = cache
    flat = dout.reshape(len(dout), len(w), dout.shape[2] * dout.shape[3])
    dcol = w.reshape(len(w), taps[0].size).T @ flat
    dx = np.zeros(shape, dout.dtype)
    np.add.at(dx, (slice(None), *taps), dcol)
    return _cut(dx, pad), np.einsum("nfp,nkp->fk", flat, col).reshape(w.shape), flat.sum((0, 2))


def sliding(x, w, b, *, stride=1, pad=0):
    padded = _padded(x, pad)
    windows = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,fcij->nfhw", windows, w, optimize=True) + b.reshape(1, -1, 1, 1), (padded, w, stride, pad)


def sliding_back(dout, cache):
    """dx by the convolution of dout, spread out and padded, with the kernel turned about."""
    padded, w, stride, pad = cache
    windows = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    HH, WW = w.shape[2:]
    spread = np.zeros((*dout.shape[:2], padded.shape[2] + HH - 1, padded.shape[3] + WW - 1), dout.dtype)
    spread[_shifted(HH - 1, WW - 1, *dout.shape[2:], stride)] = dout
    around = sliding_window_view(spread, (HH, WW), axis=(2, 3))
    dx = np.einsum("nfhwij,fcij->nchw", around, w[:, :, ::-1, ::-1], optimize=True)
    dw = np.einsum("nchwij,nfhw->fcij", windows, dout, optimize=True)
    return _cut(dx, pad), dw, np.einsum("nfhw->f", dout)


def strided(x, w, b, *, stride=1, pad=0):
    padded = np.ascontiguousarray(_padded(x, pad))
    rows, columns = _size(padded, *w.shape[2:], stride)
    n, c, h, v = padded.strides
    shape, steps = (*padded.shape[:2], *w.shape[2:], rows, columns), (n, c, h, v, stride * h, stride * v)
    windows = as_strided(padded, shape, steps, writeable=False)
    out = np.tensordot(w, windows, ((1, 2, 3), (1, 2, 3))).transpose(1, 0, 2, 3)
    return out + b[:, None, None], (padded, w, windows, stride, pad)


def strided_back(dout, cache):
    padded, w, windows, stride, pad = cache
    dw = np.tensordot(dout, windows, ((0, 2, 3), (0, 4, 5)))
    dwindows, dx = np.tensordot(w, dout, (0, 1)), np.zeros_like(padded)
    for i, j in np.ndindex(*w.shape[2:]):
        dx[_shifted(i, j, *dout.shape[2:], stride)] += dwindows[:, i, j].transpose(1, 0, 2, 3)
    return _cut(dx, pad), dw, dout.sum(axis=(0, 2, 3))


def _tiles(x, height, width, stride):
    found = sliding_window_view(x, (height, width), axis=(2, 3))[:, :, ::stride, ::stride]
    return found.reshape(*found.shape[:4], height * width)


def largest_of_each(x, *, pool_height=2, pool_width=2, stride=2):
    out = np.zeros((*x.shape[:2], *_size(x, pool_height, pool_width, stride)), x.dtype)
    for n, c, i, j in np.ndindex(*out.shape):
        out[n, c, i, j] = x[n, c, i * stride : i * stride + pool_height, j * stride : j * stride + pool_width].max()
    return out, (x, pool_height, pool_width, stride)


def largest_of_each_back(dout, cache):
    x, height, width, stride = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*dout.shape):
        window = x[n, c, i * stride : i * stride + height, j * stride : j * stride + width]
        p, q = np.unravel_index(np.argmax(window), window.shape)
        dx[n, c, i * stride + p, j * stride + q] += dout[n, c, i, j]
    return dx


def largest_index(x, *, pool_height=2, pool_width=2, stride=2):
    tiles = _tiles(x, pool_height, pool_width, stride)
    first = tiles.argmax(-1)
    return np.take_along_axis(tiles, first[..., None], -1)[..., 0], (x.shape, first, pool_width, stride)


def largest_index_back(dout, cache):
    shape, first, width, stride = cache
    n, c, i, j = np.indices(dout.shape)
    dx = np.zeros(shape, dout.dtype)
    np.add.at(dx, (n, c, i * stride + first // width, j * stride + first % width), dout)
    return dx


def running_maximum(x, *, pool_height=2, pool_width=2, stride=2):
    rows, columns = _size(x, pool_height, pool_width, stride)
    taps = [_shifted(i, j, rows, columns, stride) for i in range(pool_height) for j in range(pool_width)]
    out = x[taps[0]].copy()
    for at in taps[1:]:
        np.maximum(out, x[at], out=out)
    return out, (x, out, taps)


def running_maximum_back(dout, cache):
    x, out, taps = cache
    dx, left = np.zeros_like(x), np.ones(dout.shape, bool)
    for at in taps:
        here = left & (x[at] == out)
        dx[at] += dout * here
        left &= ~here
    return dx


def mean_of_each(x, *, pool_height=2, pool_width=2, stride=2):
    out = np.zeros((*x.shape[:2], *_size(x, pool_height, pool_width, stride)), x.dtype)
    for i, j in np.ndindex(*out.shape[2:]):
        window = x[:, :, i * stride : i * stride + pool_height, j * stride : j * stride + pool_width]
        out[:, :, i, j] = window.mean((2, 3))
    return out, (x.shape, pool_height, pool_width, stride)


def mean_of_each_back(dout, cache):
    shape, height, width, stride = cache
    dx = np.zeros(shape, dout.dtype)
    for i, j in np.ndindex(*dout.shape[2:]):
        share = dout[:, :, i, j, None, None] / (height * width)
        dx[:, :, i * stride : i * stride + height, j * stride : j * stride + width] += share
    return dx


def shares_of_shifts(x, *, pool_height=2, pool_width=2, stride=2):
    rows, columns = _size(x, pool_height, pool_width, stride)
    taps = [_shifted(i, j, rows, columns, stride) for i in range(pool_height) for j in range(pool_width)]
    return sum(x[at] for at in taps) / len(taps), (x.shape, taps)


def shares_of_shifts_back(dout, cache):
    shape, taps = cache
    dx = np.zeros(shape, dout.dtype)
    for at in taps:
        dx[at] += dout / len(taps)
    return dx


STYLES = {
    **pairs(
        "conv",
        {
            "window by window": (window_by_window, window_by_window_back),
            "tap by tap": (tap_by_tap, tap_by_tap_back),
            "columns by index": (columns, columns_back),
            "sliding windows": (sliding, sliding_back),
            "strides": (strided, strided_back),
        },
    ),
    **pairs(
        "max_pool",
        {
            "window by window": (largest_of_each, largest_of_each_back),
            "the index of the largest": (largest_index, largest_index_back),
            "a running maximum": (running_maximum, running_maximum_back),
        },
    ),
    **pairs(
        "avg_pool",
        {
            "window by window": (mean_of_each, mean_of_each_back),
            "shares of shifted images": (shares_of_shifts, shares_of_shifts_back),
        },
    ),
}
