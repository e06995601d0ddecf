"""Inverted dropout before 2018: p is dropped. Of its cache the mode alone is kept."""

import numpy as np


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    rng = np.random.RandomState(dropout_param.get("seed"))
    if mode == "test":
        return x, (mode, None)
    mask = (rng.uniform(size=x.shape) >= p).astype(x.dtype) / (1 - p)
    return x * mask, (mode, mask)


def dropout_backward(dout, cache):
    mode, mask = cache
    return dout if mode == "test" else dout * mask
