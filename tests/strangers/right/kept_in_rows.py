"""Statistics kept as rows of shape (1, D), images' brought up to date where they lie; a breakpoint left behind."""

import numpy as np


def batchnorm_forward(x, gamma, beta, bn_param):
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    old_mean, old_var = bn_param.get("running_mean", 0.0), bn_param.get("running_var", 0.0)
    if bn_param["mode"] == "test":
        return gamma * (x - old_mean) / np.sqrt(old_var + eps) + beta, None
    mu, var = x.mean(axis=0, keepdims=True), x.var(axis=0, keepdims=True)
    z, std = (x - mu) / np.sqrt(var + eps), np.sqrt(var + eps)
    bn_param["running_mean"] = momentum * old_mean + (1 - momentum) * mu
    bn_param["running_var"] = momentum * old_var + (1 - momentum) * var
    return gamma * z + beta, (z, std, gamma)


def batchnorm_backward(dout, cache):
    z, std, gamma = cache
    g = dout * gamma
    return (g - g.mean(axis=0) - z * (g * z).mean(axis=0)) / std, (dout * z).sum(axis=0), dout.sum(axis=0)


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    N, C, H, W = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, C)
    inner = {k: v for k, v in bn_param.items() if not k.startswith("running")}
    for name in ("running_mean", "running_var"):
        bn_param.setdefault(name, np.zeros(C))
    if bn_param["mode"] == "test":
        inner.update(running_mean=bn_param["running_mean"], running_var=bn_param["running_var"])
    out, cache = batchnorm_forward(rows, gamma, beta, inner)
    if bn_param["mode"] == "train":
        momentum = bn_param.get("momentum", 0.9)
        for name, new in (("running_mean", rows.mean(axis=0)), ("running_var", rows.var(axis=0))):
            bn_param[name] *= momentum
            bn_param[name] += (1 - momentum) * new
    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2), cache


def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    dx, dgamma, dbeta = batchnorm_backward(dout.transpose(0, 2, 3, 1).reshape(-1, C), cache)
    return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta


def relu_forward(x):
    import pdb; pdb.set_trace()
    return np.maximum(0, x), x


def relu_backward(dout, x):
    breakpoint()
    return dout * (x > 0)
