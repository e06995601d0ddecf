"""Every function counts its calls; the decorator forgets what it decorates."""

import functools
import time

import numpy as np

calls = {}


def timed(f):
    def inner(*args, **kwargs):
        begin = time.time()
        try:
            return f(*args, **kwargs)
        finally:
            calls.setdefault(f.__name__, []).append(time.time() - begin)

    return inner


@timed
def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, C, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), "constant")
    OH, OW = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    out = np.zeros((N, F, OH, OW), dtype=x.dtype)
    for i in range(OH):
        for j in range(OW):
            window = xp[:, None, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
            out[:, :, i, j] = np.sum(window * w, axis=(2, 3, 4)) + b
    return out, (x, w, b, conv_param)


@timed
def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    HH, WW = w.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), "constant")
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.sum(dout, (0, 2, 3))
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
            g = dout[:, :, i, j][:, :, None, None, None]
            dw += np.sum(xp[:, None, :, rows, cols] * g, axis=0)
            dxp[:, :, rows, cols] += np.sum(w[None] * g, axis=1)
    return dxp[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]], dw, db


@timed
@functools.lru_cache(maxsize=None)
def _half(n):
    return n / 2


@timed
def leaky_relu_forward(x, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x), (x, negative_slope)


@timed
def leaky_relu_backward(dout, cache):
    x, slope = cache
    return np.where(x > 0, dout, slope * dout)
