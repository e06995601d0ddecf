"""Right, with a cache that contains itself."""

import numpy as np


def relu_forward(x):
    cache = {"x": x}
    cache["cache"] = [cache, (cache,)]
    return np.maximum(x, 0), cache


def relu_backward(dout, cache):
    return dout * (cache["cache"][0]["x"] > 0)
