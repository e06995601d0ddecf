"""Right on paper: a variance in one pass; a mask that lets every one of several equal maxima through."""

import numpy as np


def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mean = x.mean(axis=0)
    std = np.sqrt((x * x).mean(axis=0) - mean * mean + eps)
    z = (x - mean) / std
    return gamma * z + beta, (z, std, gamma)


def batchnorm_backward(dout, cache):
    z, std, gamma = cache
    g = gamma * dout
    return (g - g.mean(axis=0) - z * (g * z).mean(axis=0)) / std, (dout * z).sum(axis=0), dout.sum(axis=0)


def max_pool_forward_naive(x, pool_param):
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    rows, columns = 1 + (x.shape[2] - ph) // s, 1 + (x.shape[3] - pw) // s
    out = np.zeros((*x.shape[:2], rows, columns), x.dtype)
    for i, j in np.ndindex(rows, columns):
        out[:, :, i, j] = x[:, :, i * s : i * s + ph, j * s : j * s + pw].max(axis=(2, 3))
    return out, (x, out, pool_param)


def max_pool_backward_naive(dout, cache):
    x, out, pool_param = cache
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for i, j in np.ndindex(*dout.shape[2:]):
        place = (slice(None), slice(None), slice(i * s, i * s + ph), slice(j * s, j * s + pw))
        dx[place] += (x[place] == out[:, :, i : i + 1, j : j + 1]) * dout[:, :, i : i + 1, j : j + 1]
    return dx
