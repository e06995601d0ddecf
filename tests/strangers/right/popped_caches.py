"""The cache is a stack that backward empties."""

import numpy as np


def affine_relu_forward(x, w, b):
    stack = []
    flat = x.reshape(x.shape[0], -1)
    stack.append((x.shape, flat, w))
    out = flat.dot(w) + b
    stack.append(out > 0)
    return np.maximum(out, 0), stack


def affine_relu_backward(dout, stack):
    dz = dout * stack.pop()
    shape, flat, w = stack.pop()
    return dz.dot(w.T).reshape(shape), flat.T.dot(dz), dz.sum(axis=0)


def relu_forward(x):
    return np.maximum(x, 0), [x]


def relu_backward(dout, cache):
    return dout * (cache.pop() > 0)
