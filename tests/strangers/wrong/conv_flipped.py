"""The kernel is flipped; the pool shares its gradient over the window."""

import numpy as np


def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    F, C, HH, WW = w.shape
    k = w[:, :, ::-1, ::-1]
    out = np.zeros((len(x), F, 1 + (xp.shape[2] - HH) // stride, 1 + (xp.shape[3] - WW) // stride))
    for n, f, i, j in np.ndindex(*out.shape):
        out[n, f, i, j] = np.sum(xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] * k[f]) + b[f]
    return out, (xp, k, stride, pad, x.shape)


def conv_backward_naive(dout, cache):
    xp, k, stride, pad, shape = cache
    HH, WW = k.shape[2:]
    dxp, dk = np.zeros_like(xp), np.zeros(k.shape)
    for n, f, i, j in np.ndindex(*dout.shape):
        dk[f] += xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] * dout[n, f, i, j]
        dxp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] += k[f] * dout[n, f, i, j]
    dx = dxp[:, :, pad : pad + shape[2], pad : pad + shape[3]]
    return dx, dk[:, :, ::-1, ::-1].copy(), dout.sum(axis=(0, 2, 3))


def max_pool_forward_naive(x, pool_param):
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    out = np.zeros(x.shape[:2] + ((x.shape[2] - h) // s + 1, (x.shape[3] - w) // s + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * s : i * s + h, j * s : j * s + w].max(axis=(2, 3))
    return out, (x.shape, pool_param)


def max_pool_backward_naive(dout, cache):
    shape, pool_param = cache
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(shape)
    for n, c, i, j in np.ndindex(*dout.shape):
        dx[n, c, i * s : i * s + h, j * s : j * s + w] += dout[n, c, i, j] / (h * w)
    return dx
