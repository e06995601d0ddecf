"""Convolution and pooling by an im2col of one's own."""

import numpy as np


def get_indices(shape, HH, WW, pad, stride):
    N, C, H, W = shape
    out_h = (H + 2 * pad - HH) // stride + 1
    out_w = (W + 2 * pad - WW) // stride + 1
    i0 = np.tile(np.repeat(np.arange(HH), WW), C)
    j0 = np.tile(np.arange(WW), HH * C)
    i1 = stride * np.repeat(np.arange(out_h), out_w)
    j1 = stride * np.tile(np.arange(out_w), out_h)
    k = np.repeat(np.arange(C), HH * WW).reshape(-1, 1)
    return k, i0.reshape(-1, 1) + i1, j0.reshape(-1, 1) + j1


def im2col(x, HH, WW, pad, stride):
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    k, i, j = get_indices(x.shape, HH, WW, pad, stride)
    cols = xp[:, k, i, j]
    return cols.transpose(1, 2, 0).reshape(HH * WW * x.shape[1], -1)


def col2im(cols, shape, HH, WW, pad, stride):
    N, C, H, W = shape
    xp = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=cols.dtype)
    k, i, j = get_indices(shape, HH, WW, pad, stride)
    cols = cols.reshape(C * HH * WW, -1, N).transpose(2, 0, 1)
    np.add.at(xp, (slice(None), k, i, j), cols)
    return xp if pad == 0 else xp[:, :, pad:-pad, pad:-pad]


def conv_forward_naive(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    out_h = (H + 2 * pad - HH) // stride + 1
    out_w = (W + 2 * pad - WW) // stride + 1
    cols = im2col(x, HH, WW, pad, stride)
    out = w.reshape(F, -1).dot(cols) + b.reshape(-1, 1)
    out = out.reshape(F, out_h, out_w, N).transpose(3, 0, 1, 2)
    return out, (x, w, b, conv_param, cols)


def conv_backward_naive(dout, cache):
    x, w, b, conv_param, cols = cache
    F, _, HH, WW = w.shape
    flat = dout.transpose(1, 2, 3, 0).reshape(F, -1)
    dw = flat.dot(cols.T).reshape(w.shape)
    dcols = w.reshape(F, -1).T.dot(flat)
    dx = col2im(dcols, x.shape, HH, WW, conv_param["pad"], conv_param["stride"])
    return dx, dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward_naive(x, pool_param):
    HH, WW, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    out_h, out_w = (H - HH) // stride + 1, (W - WW) // stride + 1
    cols = im2col(x.reshape(N * C, 1, H, W), HH, WW, 0, stride)
    best = np.argmax(cols, axis=0)
    out = cols[best, np.arange(cols.shape[1])].reshape(out_h, out_w, N, C).transpose(2, 3, 0, 1)
    return out, (x, cols.shape, best, pool_param)


def max_pool_backward_naive(dout, cache):
    x, shape, best, pool_param = cache
    N, C, H, W = x.shape
    dcols = np.zeros(shape, dtype=dout.dtype)
    dcols[best, np.arange(shape[1])] = dout.transpose(2, 3, 0, 1).ravel()
    HH, WW, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    return col2im(dcols, (N * C, 1, H, W), HH, WW, 0, stride).reshape(x.shape)
