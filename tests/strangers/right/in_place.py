"""Writes, but only into arrays of its own; buffers are kept from call to call."""

import numpy as np

_buffers = {}


def _buffer(name, shape, dtype):
    key = (name, shape, np.dtype(dtype))
    if key not in _buffers:
        _buffers[key] = np.empty(shape, dtype)
    return _buffers[key]


def relu_forward(x):
    out = x.copy()
    out[out < 0] = 0
    return out, x


def relu_backward(dout, x):
    dx = np.array(dout)
    dx[x <= 0] = 0
    return dx


def leaky_relu_forward(x, alpha=0.01):
    out = _buffer("leaky", x.shape, x.dtype)
    np.multiply(x, alpha, out=out)
    np.maximum(out, x, out=out)
    return out, (x, alpha)


def leaky_relu_backward(dout, cache):
    x, alpha = cache
    dx = dout.copy()
    dx[x <= 0] *= alpha
    return dx


def svm_loss(x, y):
    N = x.shape[0]
    margins = x - x[np.arange(N), y].reshape(-1, 1)
    margins += 1
    margins[margins < 0] = 0
    margins[np.arange(N), y] = 0
    loss = margins.sum() / N
    margins[margins > 0] = 1
    margins[np.arange(N), y] -= margins.sum(axis=1)
    margins /= N
    return loss, margins
