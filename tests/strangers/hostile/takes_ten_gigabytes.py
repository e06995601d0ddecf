"""Wants more memory than any layer needs, and means it."""

import numpy as np


def relu_forward(x):
    return np.maximum(x, 0), np.ones(10 * 2**30, np.uint8)


def relu_backward(dout, cache):
    return dout
