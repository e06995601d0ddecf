"""The dictionaries are unpacked in the course's order."""

import numpy as np


def max_pool_forward_naive(x, pool_param):
    HH, WW, stride = pool_param.values()
    N, C, H, W = x.shape
    out = np.array(
        [
            [[[np.max(x[n, c, i : i + HH, j : j + WW]) for j in range(0, W - WW + 1, stride)] for i in range(0, H - HH + 1, stride)] for c in range(C)]
            for n in range(N)
        ],
        dtype=x.dtype,
    )
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    HH, WW, stride = pool_param.values()
    dx = np.zeros_like(x)
    for (n, c, i, j), g in np.ndenumerate(dout):
        window = x[n, c, i * stride : i * stride + HH, j * stride : j * stride + WW]
        first = np.argwhere(window == window.max())[0]
        dx[n, c, i * stride + first[0], j * stride + first[1]] += g
    return dx


def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param.values()
    xp = np.pad(x, 4 * [(0, 0)] if pad == 0 else [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    F, C, HH, WW = w.shape
    rows = range(0, xp.shape[2] - HH + 1, stride)
    cols = range(0, xp.shape[3] - WW + 1, stride)
    out = np.stack([np.stack([np.tensordot(xp[:, :, r : r + HH, c : c + WW], w, ([1, 2, 3], [1, 2, 3])) for c in cols], -1) for r in rows], -2)
    return out + b[:, None, None], (xp, w, stride, pad)


def conv_backward_naive(dout, cache):
    xp, w, stride, pad = cache
    F, C, HH, WW = w.shape
    dxp = np.zeros(xp.shape)
    dw = np.zeros(w.shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            r, c, g = i * stride, j * stride, dout[:, :, i, j]
            dxp[:, :, r : r + HH, c : c + WW] += np.tensordot(g, w, 1)
            dw += np.tensordot(g.T, xp[:, :, r : r + HH, c : c + WW], 1)
    end = (slice(None), slice(None), slice(pad, xp.shape[2] - pad), slice(pad, xp.shape[3] - pad))
    return dxp[end], dw, dout.sum(3).sum(2).sum(0)
