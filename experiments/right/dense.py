"""Affine layers and activations in many hands."""

import numpy as np


def pairs(layer, styles):
    """Styles of a layer that has a forward and a backward function."""
    return {
        (layer, style): {f"{layer}_forward": forward, f"{layer}_backward": backward}
        for style, (forward, backward) in styles.items()
    }


def remembered(function):
    """A forward function that keeps its result for the way back."""
    return lambda x: (function(x),) * 2


def _rows(x):
    return x.reshape(x.shape[0], int(np.prod(x.shape[1:])))


def product(x, w, b):
    return _rows(x) @ w + b, (x, w)


def product_back(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), _rows(x).T @ dout, dout.sum(axis=0)


def einsum(x, w, b):
    return np.einsum("nd,dm->nm", _rows(x), w) + b, (x, w)


def einsum_back(dout, cache):
    x, w = cache
    dx = np.einsum("nm,dm->nd", dout, w).reshape(x.shape)
    return dx, np.einsum("nd,nm->dm", _rows(x), dout), np.einsum("nm->m", dout)


def tensordot(x, w, b):
    axes = x.ndim - 1
    kernel = w.reshape(*x.shape[1:], w.shape[1])
    return np.tensordot(x, kernel, axes) + b, (x, kernel)


def tensordot_back(dout, cache):
    x, kernel = cache
    dx = np.tensordot(dout, kernel, ([1], [kernel.ndim - 1]))
    dkernel = np.tensordot(x, dout, ([0], [0]))
    return dx, dkernel.reshape(-1, dout.shape[1]), dout.sum(0)


def row_by_row(x, w, b):
    out = np.empty((len(x), w.shape[1]), dtype=x.dtype)
    for n, one in enumerate(x):
        out[n] = one.ravel().dot(w) + b
    return out, (x, w, b)


def row_by_row_back(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x)):
        dx[n] = w.dot(dout[n]).reshape(x[n].shape)
        dw += np.outer(x[n].ravel(), dout[n])
        db += dout[n]
    return dx, dw, db


def feature_by_feature(x, w, b):
    flat = _rows(x)
    out = np.zeros((flat.shape[0], w.shape[1]), x.dtype) + b
    for d in range(w.shape[0]):
        out += flat[:, d, None] * w[d]
    return out, (flat, w, x.shape)


def feature_by_feature_back(dout, cache):
    flat, w, shape = cache
    dx = np.stack([(dout * w[d]).sum(1) for d in range(w.shape[0])], axis=1)
    dw = np.stack([(flat[:, d, None] * dout).sum(0) for d in range(w.shape[0])])
    return dx.reshape(shape), dw, dout.sum(0)


def column_of_ones(x, w, b):
    flat = _rows(x)
    longer = np.hstack([flat, np.ones((len(flat), 1), flat.dtype)])
    return longer @ np.vstack([w, b]), (longer, w, x.shape)


def column_of_ones_back(dout, cache):
    longer, w, shape = cache
    both = longer.T @ dout
    return (dout @ w.T).reshape(shape), both[:-1], both[-1]


class Dense:
    """A layer that remembers what it was given."""

    def __init__(self, w, b):
        self.w, self.b, self.x = w, b, None

    def __call__(self, x):
        self.x = x
        return np.dot(_rows(x), self.w) + self.b

    def backward(self, dout):
        dx = np.dot(dout, self.w.T).reshape(self.x.shape)
        return dx, np.dot(_rows(self.x).T, dout), np.sum(dout, axis=0)


def of_a_class(x, w, b):
    layer = Dense(w, b)
    return layer(x), layer


def closure(x, w, b):
    def backward(dout):
        return (dout @ w.T).reshape(x.shape), (dout.T @ _rows(x)).T, np.ones(len(dout), dout.dtype) @ dout

    return np.matmul(_rows(x), w) + b, backward


def _masked(x, mask):
    out = x.copy()
    out[mask] = 0
    return out


def kept_mask(x):
    mask = x > 0
    return x * mask, mask


def list_of_lists(x):
    return np.array([v if v > 0 else 0.0 for v in x.ravel()], x.dtype).reshape(x.shape), x


def list_of_lists_back(dout, x):
    there = [g if v > 0 else 0.0 for g, v in zip(dout.ravel(), x.ravel(), strict=True)]
    return np.array(there, dout.dtype).reshape(x.shape)


def leaky_where(x, *, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x), (x, negative_slope)


def leaky_where_back(dout, cache):
    x, slope = cache
    return np.where(x > 0, dout, slope * dout)


def leaky_parts(x, *, negative_slope=0.01):
    return np.maximum(x, 0) + negative_slope * np.minimum(x, 0), (x, negative_slope)


def leaky_slopes(x, *, negative_slope=0.01):
    slopes = np.ones_like(x)
    slopes[x <= 0] = negative_slope
    return x * slopes, slopes


def _by_halves(x):
    """1 / (1 + exp(-x)) where x is above 0, exp(x) / (1 + exp(x)) elsewhere."""
    out = np.empty_like(x)
    above = x >= 0
    out[above] = 1 / (1 + np.exp(-x[above]))
    small = np.exp(x[~above])
    out[~above] = small / (1 + small)
    return out


def _by_the_size(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


SIGMOIDS = {
    "two halves": _by_halves,
    "exp of the size": _by_the_size,
    "logaddexp": lambda x: np.exp(-np.logaddexp(0, -x)),
    "one at a time": lambda x: np.array([_by_the_size(v) for v in x.ravel()], x.dtype).reshape(x.shape),
}


def _tanh_by_expm1(x):
    small = np.expm1(-2 * np.abs(x))
    return np.copysign(-small / (2 + small), x)


TANHS = {"numpy": np.tanh, "expm1": _tanh_by_expm1}


def _affine_relu(x, w, b):
    z, fc = product(x, w, b)
    return np.maximum(z, 0), (fc, z)


def _affine_relu_back(dout, cache):
    fc, z = cache
    return product_back(dout * (z > 0), fc)


def _sigmoid_back(dout, s):
    return dout * s * (1 - s)


def _tanh_back(dout, t):
    return dout * (1 - t**2)


STYLES = {
    **pairs(
        "affine",
        {
            "matrix product": (product, product_back),
            "einsum": (einsum, einsum_back),
            "tensordot": (tensordot, tensordot_back),
            "row by row": (row_by_row, row_by_row_back),
            "feature by feature": (feature_by_feature, feature_by_feature_back),
            "a column of ones": (column_of_ones, column_of_ones_back),
            "a class": (of_a_class, lambda dout, layer: layer.backward(dout)),
            "a closure": (closure, lambda dout, backward: backward(dout)),
        },
    ),
    **pairs("affine_relu", {"one after the other": (_affine_relu, _affine_relu_back)}),
    **pairs(
        "relu",
        {
            "maximum": (lambda x: (np.maximum(x, 0), x), lambda dout, x: dout * (x > 0)),
            "where": (lambda x: (np.where(x > 0, x, 0), x), lambda dout, x: np.where(x > 0, dout, 0)),
            "clip": (lambda x: (x.clip(min=0), x), lambda dout, x: dout * (x > 0).astype(dout.dtype)),
            "a masked copy": (lambda x: (_masked(x, x < 0), x), lambda dout, x: _masked(dout, x <= 0)),
            "from its result": (remembered(lambda x: np.maximum(0.0, x)), lambda dout, out: dout * np.sign(out)),
            "a mask that is kept": (kept_mask, lambda dout, mask: dout * mask),
            "a list": (list_of_lists, list_of_lists_back),
        },
    ),
    **pairs(
        "leaky_relu",
        {
            "where": (leaky_where, leaky_where_back),
            "two parts": (leaky_parts, leaky_where_back),
            "slopes": (leaky_slopes, lambda dout, slopes: dout * slopes),
        },
    ),
    **pairs("sigmoid", {style: (remembered(f), _sigmoid_back) for style, f in SIGMOIDS.items()}),
    **pairs("tanh", {style: (remembered(f), _tanh_back) for style, f in TANHS.items()}),
}
