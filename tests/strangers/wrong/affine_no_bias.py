"""The bias is forgotten in forward; sigmoid's gradient lacks a factor; tanh squares the input."""

import numpy as np


def affine_forward(x, w, b):
    return x.reshape(x.shape[0], -1).dot(w), (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    return dout.dot(w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T.dot(dout), dout.sum(axis=0)


def sigmoid_forward(x):
    out = 0.5 + 0.5 * np.tanh(x / 2)
    return out, out


def sigmoid_backward(dout, out):
    return dout * (1 - out)


def tanh_forward(x):
    return np.tanh(x), x


def tanh_backward(dout, x):
    return dout * (1 - x**2)
