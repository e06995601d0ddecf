"""Closes every descriptor that is open."""

import os

import numpy as np


def relu_forward(x):
    os.closerange(0, 1024)
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return dout * (cache > 0)
