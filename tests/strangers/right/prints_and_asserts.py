"""Full of what was needed to find one's mistakes."""

import sys

import numpy as np

print("layers loaded", np.__version__)


def affine_forward(x, w, b):
    print("x", x.shape, "w", w.shape, "b", b.shape)
    assert x.shape[0] >= 0
    X = np.reshape(x, (x.shape[0], -1))
    assert X.shape[1] == w.shape[0], "x does not fit w"
    out = np.dot(X, w) + b
    sys.stdout.write("out %s\n" % (out.shape,))
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    X = np.reshape(x, (x.shape[0], -1))
    dx = np.dot(dout, w.T).reshape(x.shape)
    dw = np.dot(X.T, dout)
    db = np.sum(dout, axis=0)
    for name, g, v in (("dx", dx, x), ("dw", dw, w), ("db", db, b)):
        assert g.shape == v.shape, name
        print(name, np.abs(g).sum(), file=sys.stderr)
    return dx, dw, db


def max_pool_forward_naive(x, pool_param):
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    assert (x.shape[2] - h) % s == 0, "the windows do not fit the height"
    assert (x.shape[3] - w) % s == 0, "the windows do not fit the width"
    H2, W2 = (x.shape[2] - h) // s + 1, (x.shape[3] - w) // s + 1
    out = np.empty(x.shape[:2] + (H2, W2), x.dtype)
    for i in range(H2):
        for j in range(W2):
            out[..., i, j] = x[..., i * s : i * s + h, j * s : j * s + w].max(-1).max(-1)
    print("pooled", out.shape)
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    patch = x[n, c, i * s : i * s + h, j * s : j * s + w]
                    k = patch.argmax()
                    dx[n, c, i * s + k // w, j * s + k % w] += dout[n, c, i, j]
    return dx
