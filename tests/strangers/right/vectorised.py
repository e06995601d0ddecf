"""The first assignment, done in whole arrays."""

import numpy as np


def affine_forward(x, w, b):
    N = x.shape[0]
    flat = x.reshape(N, np.prod(x.shape[1:]))
    return flat @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    flat = x.reshape(x.shape[0], np.prod(x.shape[1:]))
    return (dout @ w.T).reshape(*x.shape), flat.T @ dout, dout.sum(0)


def relu_forward(x):
    return np.where(x > 0, x, 0), x > 0


def relu_backward(dout, positive):
    return np.where(positive, dout, 0)


def sigmoid_forward(x):
    out = 0.5 * (1 + np.tanh(0.5 * x))
    return out, out


def sigmoid_backward(dout, out):
    return dout * out * (1 - out)


def tanh_forward(x):
    out = np.tanh(x)
    return out, out


def tanh_backward(dout, out):
    return dout * (1 - out**2)


def softmax_loss(x, y):
    rows = np.arange(len(y))
    z = x - x.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    dx = np.exp(logp)
    dx[rows, y] -= 1
    return -logp[rows, y].mean(), dx / len(y)


def svm_loss(x, y):
    rows = np.arange(len(y))
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] = -dx.sum(axis=1)
    return margins.sum() / len(y), dx / len(y)
