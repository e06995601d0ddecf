"""The dictionaries have keys of the author's own."""

import numpy as np


def max_pool_forward(x, pool_param):
    h, w, s = pool_param["height"], pool_param["width"], pool_param["stride"]
    OH, OW = (x.shape[2] - h) // s + 1, (x.shape[3] - w) // s + 1
    out = np.zeros(x.shape[:2] + (OH, OW), dtype=x.dtype)
    where = np.zeros(out.shape, dtype=int)
    for i in range(OH):
        for j in range(OW):
            flat = x[:, :, i * s : i * s + h, j * s : j * s + w].reshape(x.shape[0], x.shape[1], -1)
            out[:, :, i, j], where[:, :, i, j] = flat.max(2), flat.argmax(2)
    return out, (x.shape, where, w, s)


def max_pool_backward(dout, cache):
    shape, where, w, s = cache
    dx = np.zeros(shape, dtype=dout.dtype)
    for n, c, i, j in np.ndindex(*dout.shape):
        dx[n, c, i * s + where[n, c, i, j] // w, j * s + where[n, c, i, j] % w] += dout[n, c, i, j]
    return dx


def conv_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["padding"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    OH, OW = (xp.shape[2] - w.shape[2]) // s + 1, (xp.shape[3] - w.shape[3]) // s + 1
    out = np.zeros((len(x), len(w), OH, OW), dtype=x.dtype)
    for i in range(OH):
        for j in range(OW):
            window = xp[:, :, i * s : i * s + w.shape[2], j * s : j * s + w.shape[3]]
            out[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3])) + b
    return out, (xp, w, s, p)


def conv_backward(dout, cache):
    xp, w, s, p = cache
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            place = (slice(None), slice(None), slice(i * s, i * s + w.shape[2]), slice(j * s, j * s + w.shape[3]))
            dw += np.tensordot(dout[:, :, i, j], xp[place], axes=([0], [0]))
            dxp[place] += np.tensordot(dout[:, :, i, j], w, axes=([1], [0]))
    H, W = xp.shape[2] - 2 * p, xp.shape[3] - 2 * p
    return dxp[:, :, p : p + H, p : p + W], dw, dout.sum(axis=(0, 2, 3))
