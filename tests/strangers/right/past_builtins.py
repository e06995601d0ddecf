from __future__ import print_function, division
from builtins import range, object
from past.builtins import xrange
from past.utils import old_div
from random import shuffle
import matplotlib.pyplot as plt
from IPython import embed
import numexpr as ne
import numpy as np

plt.rcParams["figure.figsize"] = (10.0, 8.0)


def relu_forward(x):
    out = np.maximum(np.zeros_like(x), x)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    dx, x = None, cache
    dx = np.zeros_like(dout)
    for n in xrange(x.shape[0]):
        dx[n] = dout[n] * (x[n] > 0)
    return dx


def max_pool_forward_naive(x, pool_param):
    N, C, H, W = x.shape
    ph, pw, S = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    HH, WW = old_div(H - ph, S) + 1, old_div(W - pw, S) + 1
    out = np.zeros((N, C, HH, WW))
    for i in xrange(HH):
        for j in xrange(WW):
            out[:, :, i, j] = np.max(x[:, :, i * S : i * S + ph, j * S : j * S + pw], axis=(2, 3))
    cache = (x, pool_param)
    return out, cache


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    N, C, H, W = x.shape
    ph, pw, S = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(x.shape)
    for n in xrange(N):
        for c in xrange(C):
            for i in xrange(dout.shape[2]):
                for j in xrange(dout.shape[3]):
                    window = x[n, c, i * S : i * S + ph, j * S : j * S + pw]
                    r, q = np.unravel_index(window.argmax(), window.shape)
                    dx[n, c, i * S + r, j * S + q] += dout[n, c, i, j]
    return dx
