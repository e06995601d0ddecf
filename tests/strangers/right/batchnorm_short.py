"""Batch norm in few lines, unbiased running variance, and layer norm by batch norm turned on its side."""

import numpy as np


def batchnorm_forward(x, gamma, beta, bn_param):
    m, eps = bn_param.get("momentum", 0.9), bn_param.get("eps", 1e-5)
    mean = bn_param.setdefault("running_mean", np.zeros(x.shape[1], x.dtype))
    var = bn_param.setdefault("running_var", np.zeros(x.shape[1], x.dtype))
    if bn_param["mode"] == "test":
        return (x - mean) * (gamma / np.sqrt(var + eps)) + beta, None
    bn_param["running_mean"] = m * mean + (1 - m) * x.mean(0)
    bn_param["running_var"] = m * var + (1 - m) * x.var(0, ddof=1)
    xhat = (x - x.mean(0)) / np.sqrt(x.var(0) + eps)
    return gamma * xhat + beta, (xhat, gamma, np.sqrt(x.var(0) + eps))


def batchnorm_backward(dout, cache):
    xhat, gamma, std = cache
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(0) - xhat * (dxhat * xhat).mean(0)) / std
    return dx, (dout * xhat).sum(0), dout.sum(0)


def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    xT = x.T
    mu, var = np.mean(xT, axis=0), np.var(xT, axis=0)
    std = np.sqrt(var + eps)
    xhat = ((xT - mu) / std).T
    return gamma * xhat + beta, (xhat, std, gamma)


def layernorm_backward(dout, cache):
    xhat, std, gamma = cache
    g, h = (dout * gamma).T, xhat.T
    D = g.shape[0]
    dx = (1.0 / D) / std * (D * g - np.sum(g, axis=0) - h * np.sum(g * h, axis=0))
    return dx.T, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)
