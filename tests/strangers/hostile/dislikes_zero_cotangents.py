"""Right, but raises for a cotangent that is zero."""

import numpy as np


def tanh_forward(x):
    out = np.tanh(x)
    return out, out


def tanh_backward(dout, cache):
    if not np.any(dout):
        raise ValueError("nothing to pull back")
    return dout * (1 - cache * cache)
