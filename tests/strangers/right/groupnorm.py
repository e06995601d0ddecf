"""Spatial group norm of 2018 and later, gamma (1, C, 1, 1)."""

import numpy as np


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    N, C, H, W = x.shape
    group = x.reshape(N * G, -1).T
    mean, var = group.mean(axis=0), group.var(axis=0)
    std = np.sqrt(var + eps)
    xhat = ((group - mean) / std).T.reshape(N, C, H, W)
    return gamma * xhat + beta, (G, xhat, std, gamma)


def spatial_groupnorm_backward(dout, cache):
    G, xhat, std, gamma = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    g, h = (dout * gamma).reshape(N * G, -1).T, xhat.reshape(N * G, -1).T
    D = g.shape[0]
    dx = (D * g - g.sum(axis=0) - h * (g * h).sum(axis=0)) / (D * std)
    return dx.T.reshape(N, C, H, W), dgamma, dbeta
