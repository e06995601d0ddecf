"""Inputs and caches are written to."""

import numpy as np


def relu_forward(x):
    x[x < 0] = 0
    return x.copy(), x


def relu_backward(dout, x):
    return dout * (x > 0)


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dw = x.reshape(len(x), -1).T @ dout
    dx = (dout @ w.T).reshape(x.shape)
    x[...] = 0
    return dx, dw, dout.sum(0)
