"""NumPy as it was before 1.24 and 2.0."""

import numpy as np


def softmax_loss(x, y):
    N = np.int(x.shape[0])
    z = x - np.max(x, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    dx = np.exp(logp).astype(np.float)
    dx[np.arange(N), y] -= 1
    return -np.sum(logp[np.arange(N), y]) / np.float(N), dx / N


def relu_forward(x):
    mask = (x > 0).astype(np.bool)
    return x * mask, mask


def relu_backward(dout, mask):
    return np.product([dout, mask.astype(dout.dtype)], axis=0)


def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, _, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.lib.pad(x, ((0,), (0,), (pad,), (pad,)), "constant", constant_values=(0,))
    OH, OW = np.int((H + 2 * pad - HH) / stride + 1), np.int((W + 2 * pad - WW) / stride + 1)
    out = np.zeros((N, F, OH, OW), dtype=np.float)
    for n, f, i, j in np.ndindex(N, F, OH, OW):
        out[n, f, i, j] = np.sum(xp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW] * w[f]) + b[f]
    return out, (xp, w, conv_param, x.shape)


def conv_backward_naive(dout, cache):
    xp, w, conv_param, shape = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    HH, WW = w.shape[2:]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(*dout.shape):
        place = np.index_exp[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
        dxp[place] += w[f] * dout[n, f, i, j]
        dw[f] += xp[place] * dout[n, f, i, j]
    return dxp[:, :, pad : pad + shape[2], pad : pad + shape[3]], dw, dout.sum((0, 2, 3))
