"""More parameters stand behind the dictionary, all with defaults."""

import numpy as np


def conv_forward_naive(x, w, b, conv_param, verbose=False, use_bias=True):
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, C, H, W), (F, _, HH, WW) = x.shape, w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    OH, OW = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    out = np.zeros((N, F, OH, OW))
    for n in range(N):
        for f in range(F):
            for i in range(OH):
                for j in range(OW):
                    out[n, f, i, j] = (xp[n, :, i * stride :, j * stride :][:, :HH, :WW] * w[f]).sum()
                    out[n, f, i, j] += b[f] if use_bias else 0
            if verbose:
                print(n, f)
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout, cache, verbose=False):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, C, H, W), (F, _, HH, WW) = x.shape, w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = 0 * xp, 0 * w, 0 * b
    for n, f, i, j in np.ndindex(*dout.shape):
        g = dout[n, f, i, j]
        window = (n, slice(None), slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW))
        dxp[window] += g * w[f]
        dw[f] += g * xp[window]
        db[f] += g
    return dxp[:, :, pad : H + pad, pad : W + pad], dw, db


def batchnorm_forward(x, gamma, beta, bn_param, axis=0, debug=None):
    eps, mode = bn_param.get("eps", 1e-5), bn_param["mode"]
    decay = bn_param.get("momentum", 0.9)
    rm = bn_param.get("running_mean", np.zeros(x.shape[1]))
    rv = bn_param.get("running_var", np.zeros(x.shape[1]))
    cache = None
    if mode == "train":
        mean, var = x.mean(axis), x.var(axis)
        rm, rv = decay * rm + (1 - decay) * mean, decay * rv + (1 - decay) * var
        cache = (x - mean, var + eps, gamma)
    else:
        mean, var = rm, rv
    bn_param.update(running_mean=rm, running_var=rv)
    return (x - mean) / np.sqrt(var + eps) * gamma + beta, cache


def batchnorm_backward(dout, cache, axis=0):
    centred, var, gamma = cache
    N = len(dout)
    g = dout * gamma
    dvar = (g * centred).sum(axis) * -0.5 * var**-1.5
    dmean = -(g / np.sqrt(var)).sum(axis) - 2 * dvar * centred.mean(axis)
    dx = g / np.sqrt(var) + 2 * dvar * centred / N + dmean / N
    return dx, (dout * centred / np.sqrt(var)).sum(axis), dout.sum(axis)
