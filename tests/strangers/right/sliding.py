import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def _view(x, kh, kw, s):
    return sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::s, ::s]


def conv_forward_naive(x, w, b, conv_param={'stride': 1, 'pad': 0}):
    s, p = conv_param['stride'], conv_param['pad']
    xp = np.pad(x, [(0, 0)] * 2 + [(p, p)] * 2)
    out = np.einsum('nchwij,fcij->nfhw', _view(xp, *w.shape[2:], s), w, optimize=True)
    out += b[:, None, None]
    return out, (x, w, b, conv_param, xp)


def conv_backward_naive(dout, cache):
    x, w, b, conv_param, xp = cache
    s, p = conv_param['stride'], conv_param['pad']
    kh, kw = w.shape[2:]
    dw = np.einsum('nchwij,nfhw->fcij', _view(xp, kh, kw, s), dout, optimize=True)
    # transposed convolution: dilate dout, full-pad, correlate with flipped kernel
    N, F, oh, ow = dout.shape
    H, W = xp.shape[2:]
    dil = np.zeros((N, F, H + kh - 1, W + kw - 1), dtype=dout.dtype)
    dil[:, :, kh - 1:kh - 1 + s * oh:s, kw - 1:kw - 1 + s * ow:s] = dout
    dxp = np.einsum('nfhwij,fcij->nchw', _view(dil, kh, kw, 1), w[:, :, ::-1, ::-1], optimize=True)
    return dxp[:, :, p:H - p, p:W - p], dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward_naive(x, pool_param):
    v = _view(x, pool_param['pool_height'], pool_param['pool_width'], pool_param['stride'])
    return v.max(axis=(-2, -1)), (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pp = cache
    v = _view(x, pp['pool_height'], pp['pool_width'], pp['stride'])
    hit = v == v.max(axis=(-2, -1), keepdims=True)
    hit = hit / hit.sum(axis=(-2, -1), keepdims=True)          # share among ties
    dx = np.zeros_like(x)
    writable = np.lib.stride_tricks.sliding_window_view(dx, v.shape[-2:], axis=(2, 3), writeable=True)
    writable = writable[:, :, ::pp['stride'], ::pp['stride']]
    for i in range(v.shape[-2]):
        for j in range(v.shape[-1]):
            writable[..., i, j] += hit[..., i, j] * dout
    return dx
