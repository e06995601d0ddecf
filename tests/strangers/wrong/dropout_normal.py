"""The mask is drawn from normal numbers."""

import numpy as np


def dropout_forward(x, dropout_param):
    p = dropout_param["p"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    if dropout_param["mode"] == "test":
        return x, None
    mask = (np.random.randn(*x.shape) < p) / p
    return x * mask, mask


def dropout_backward(dout, mask):
    return dout if mask is None else dout * mask
