"""The bias is added for every channel; leaky relu has no slope in backward."""

import numpy as np


def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    F, C, HH, WW = w.shape
    out = np.zeros((len(x), F, 1 + (xp.shape[2] - HH) // stride, 1 + (xp.shape[3] - WW) // stride))
    for n, f, i, j in np.ndindex(*out.shape):
        for c in range(C):
            window = xp[n, c, i * stride : i * stride + HH, j * stride : j * stride + WW]
            out[n, f, i, j] += np.sum(window * w[f, c]) + b[f]
    return out, (x, xp, w, stride, pad)


def conv_backward_naive(dout, cache):
    x, xp, w, stride, pad = cache
    HH, WW = w.shape[2:]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(*dout.shape):
        dw[f] += xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] * dout[n, f, i, j]
        dxp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]], dw, dout.sum(axis=(0, 2, 3))


def leaky_relu_forward(x, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x), x


def leaky_relu_backward(dout, x):
    return dout * (x > 0)
