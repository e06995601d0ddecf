"""The cache is a global: the last forward pass counts."""

import numpy as np

_last = {}


def affine_forward(x, w, b):
    _last["x"], _last["w"] = x, w
    return x.reshape(len(x), -1) @ w + b, None


def affine_backward(dout, cache):
    x, w = _last["x"], _last["w"]
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
