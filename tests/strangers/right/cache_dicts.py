"""Caches are dictionaries; batch norm takes all of its steps one by one."""

import numpy as np


def batchnorm_forward(x, gamma, beta, bn_param):
    mode, eps, momentum = bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    N, D = x.shape
    running_mean = bn_param.get("running_mean", np.zeros(D, dtype=x.dtype))
    running_var = bn_param.get("running_var", np.zeros(D, dtype=x.dtype))
    out, cache = None, {}
    if mode == "train":
        cache["mu"] = mu = 1.0 / N * np.sum(x, axis=0)
        cache["xmu"] = xmu = x - mu
        cache["var"] = var = 1.0 / N * np.sum(xmu**2, axis=0)
        cache["sqrtvar"] = sqrtvar = np.sqrt(var + eps)
        cache["ivar"] = ivar = 1.0 / sqrtvar
        cache["xhat"] = xhat = xmu * ivar
        cache["gamma"], cache["eps"] = gamma, eps
        out = gamma * xhat + beta
        running_mean = momentum * running_mean + (1 - momentum) * mu
        running_var = momentum * running_var + (1 - momentum) * var
    elif mode == "test":
        out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    else:
        raise ValueError('Invalid forward batchnorm mode "%s"' % mode)
    bn_param["running_mean"], bn_param["running_var"] = running_mean, running_var
    return out, cache


def batchnorm_backward(dout, cache):
    xhat, xmu, ivar, sqrtvar = (cache[k] for k in ("xhat", "xmu", "ivar", "sqrtvar"))
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * cache["gamma"]
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu = dxhat * ivar
    dsqrtvar = -1.0 / (sqrtvar**2) * divar
    dvar = 0.5 * 1.0 / np.sqrt(cache["var"] + cache["eps"]) * dsqrtvar
    dsq = 1.0 / N * np.ones((N, D)) * dvar
    dx1 = dxmu + 2 * xmu * dsq
    dmu = -np.sum(dx1, axis=0)
    return dx1 + 1.0 / N * np.ones((N, D)) * dmu, dgamma, dbeta


def batchnorm_backward_alt(dout, cache):
    N = dout.shape[0]
    dgamma, dbeta = (dout * cache["xhat"]).sum(0), dout.sum(0)
    dx = cache["gamma"] * cache["ivar"] / N * (N * dout - dbeta - cache["xhat"] * dgamma)
    return dx, dgamma, dbeta


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    N, C, H, W = x.shape
    out, cache = batchnorm_forward(x.transpose(0, 2, 3, 1).reshape(-1, C), gamma, beta, bn_param)
    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2), cache


def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    dx, dgamma, dbeta = batchnorm_backward_alt(dout.transpose(0, 2, 3, 1).reshape(-1, C), cache)
    return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta
