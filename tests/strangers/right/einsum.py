"""Everything is an einsum."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def affine_forward(x, w, b):
    flat = x.reshape(len(x), w.shape[0])
    return np.einsum("nd,dm->nm", flat, w) + b, {"x": x, "flat": flat, "w": w}


def affine_backward(dout, cache):
    dx = np.einsum("nm,dm->nd", dout, cache["w"]).reshape(cache["x"].shape)
    return dx, np.einsum("nd,nm->dm", cache["flat"], dout), np.einsum("nm->m", dout)


def conv_forward_naive(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    padded = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)])
    windows = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    out = np.einsum("nchwij,fcij->nfhw", windows, w) + b[None, :, None, None]
    return out, (x.shape, windows, w, s, p, padded.shape)


def conv_backward_naive(dout, cache):
    shape, windows, w, s, p, padded = cache
    dw = np.einsum("nfhw,nchwij->fcij", dout, windows)
    dx = np.zeros(padded, dtype=dout.dtype)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            part = np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
            dx[:, :, i : i + s * dout.shape[2] : s, j : j + s * dout.shape[3] : s] += part
    return dx[:, :, p : p + shape[2], p : p + shape[3]], dw, np.einsum("nfhw->f", dout)


def layernorm_forward(x, gamma, beta, ln_param):
    D = x.shape[1]
    centred = x - np.einsum("nd->n", x)[:, None] / D
    std = np.sqrt(np.einsum("nd,nd->n", centred, centred)[:, None] / D + ln_param.get("eps", 1e-5))
    return centred / std * gamma + beta, (centred / std, std, gamma)


def layernorm_backward(dout, cache):
    xhat, std, gamma = cache
    g = dout * gamma
    dx = (g - g.mean(1, keepdims=True) - xhat * (g * xhat).mean(1, keepdims=True)) / std
    return dx, np.einsum("nd,nd->d", dout, xhat), np.einsum("nd->d", dout)
