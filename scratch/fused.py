"""Every trick of a fast SGD step, in one place. The plain code in `nets.py` and `optim.py` says what is computed.

`fuse(net)` gives the fast step of a net that has one. `step(X, y, learning_rate)` then does what
`net.loss` followed by `sgd` on every parameter does, up to rounding, with less traffic through memory:

- -learning_rate multiplies the scores' gradient, a few numbers, and so reaches every update for nothing;
- L2 decay is one number a matrix (`_Weights`): no pass over the weights;
- the products that update a large matrix are taken a block of rows at a time, and added while in the cache;
- float64 keeps a large matrix the other way round in memory, where its products are faster;
- buffers stay from step to step;
- the rectifier comes after the pooling it commutes with, on a quarter of the numbers, and the
  pooled images stay in the layout (H, C, W, N), the weights behind them being permuted once instead.

Source: measured for this project; `python -m experiments.speed` repeats the measurement.
"""

import math
from typing import Any

import numpy as np

from ._types import Array
from ._validate import quiet_nonfinite
from ._windows import images_first, rows_first
from .conv import conv_backward, conv_forward, max_pool_backward, max_pool_forward
from .losses import softmax_loss
from .nets import ConvNet, TwoLayerNet

__all__ = ["FusedConvNet", "FusedTwoLayerNet", "fuse"]

BLOCK = 1 << 20  # bytes of a block of rows: with its update it stays in the second-level cache
FOLD = 2.0**-10  # the smallest scale a weight matrix is kept under


def fuse(net: Any) -> "FusedTwoLayerNet | FusedConvNet | None":
    """The fast SGD step of a net, or None where there is none (other nets, dropout)."""
    # exactly these: a subclass may compute something else
    if type(net) is TwoLayerNet and not any(net.dropout):
        return FusedTwoLayerNet(net)
    if type(net) is ConvNet:
        return FusedConvNet(net)
    return None


class FusedTwoLayerNet:
    """SGD on a TwoLayerNet without dropout. While it is in use, the net's parameters are its own to write.

    Between steps they are in a form of its own: `settle` brings the net up to date. Who writes them makes a new one.
    Raises: ValueError for a net with dropout.
    """

    def __init__(self, net: TwoLayerNet) -> None:
        if any(net.dropout):
            raise ValueError(f"dropout is {net.dropout} but the fused step has none")
        self._net = net
        self._W1, self._W2 = _Weights(net.params["W1"]), _Weights(net.params["W2"])
        self._buffers = _Buffers(net.dtype)

    def settle(self) -> dict[str, Array]:
        """Bring the net's own parameters up to date and return them: arrays that the next step writes to."""
        self._W1.write_back()
        self._W2.write_back()
        return self._net.params

    @quiet_nonfinite
    def step(self, X: Array, y: Array, learning_rate: float) -> float:
        """One step of SGD on a minibatch; the loss before it, L2 term included.

        X (N, ...) of the net's dtype, y (N,) integer labels. A loss that is not finite changes nothing.
        Raises: ValueError if X or y do not fit.
        """
        net, b1, b2 = self._net, self._net.params["b1"], self._net.params["b2"]
        X = _rows(X, len(self._W1), net.dtype)
        h, dh = self._buffers("h", len(X), b1.size), self._buffers("dh", len(X), b1.size)
        self._W1.after(X, h)
        h += b1
        np.maximum(h, 0, out=h)
        scores = self._W2.after(h, self._buffers("scores", len(X), b2.size))
        scores += b2
        loss, move = softmax_loss(scores, y)
        loss = float(loss) + net.reg / 2 * (self._W1.squares + self._W2.squares)
        if math.isfinite(loss):
            move *= -learning_rate
            self._W2.before(move, dh)
            np.multiply(dh, h > 0, out=dh)
            b2 += move.sum(axis=0)
            b1 += dh.sum(axis=0)
            self._W2.update(1 - learning_rate * net.reg, h.T, move)
            self._W1.update(1 - learning_rate * net.reg, X.T, dh)
        return loss


class FusedConvNet:
    """SGD on a ConvNet. While it is in use, the net's parameters are its own to write.

    Between steps they are in a form of its own: `settle` brings the net up to date. Who writes them makes a new one.
    """

    def __init__(self, net: ConvNet) -> None:
        self._net, self._buffers = net, _Buffers(net.dtype)
        self._W2, self._W3 = (
            _Weights(self._pixels_first().copy().reshape(net.params["W2"].shape)),
            _Weights(net.params["W3"]),
        )

    def settle(self) -> dict[str, Array]:
        """Bring the net's own parameters up to date and return them: arrays that the next step writes to."""
        self._W3.write_back()
        rows = self._pixels_first()
        rows[...] = self._W2.write_back().reshape(rows.shape)
        return self._net.params

    @quiet_nonfinite
    def step(self, X: Array, y: Array, learning_rate: float) -> float:
        """One step of SGD on a minibatch; the loss before it, L2 term included.

        X (N, C, H, W) of the net's dtype, y (N,) integer labels. A loss that is not finite changes nothing.
        Raises: ValueError if X or y do not fit.
        """
        net, (pooled, h, scores), caches = self._net, *self._forward(X)
        loss, move = softmax_loss(scores, y)
        W1 = net.params["W1"]
        squares = self._W2.squares + self._W3.squares + float(np.vdot(W1, W1))
        loss = float(loss) + net.reg / 2 * squares
        if math.isfinite(loss):
            move *= -learning_rate
            self._backward(move, pooled, h, caches, 1 - learning_rate * net.reg)
        return loss

    def _forward(self, X: Array) -> tuple[tuple[Array, Array, Array], tuple[Any, Any]]:
        """Pooled images (PH*F*PW, N), hidden units (N, H) and scores (N, C), with the images' caches."""
        p = self._net.params
        images, conv_cache = conv_forward(X, p["W1"], p["b1"], stride=1, pad=self._net.pad)
        images, pool_cache = max_pool_forward(images)
        pooled = rows_first(images).reshape(len(self._W2), len(X))
        np.maximum(pooled, 0, out=pooled)
        h = self._W2.after(pooled.T, self._buffers("h", len(X), p["b2"].size))
        h += p["b2"]
        np.maximum(h, 0, out=h)
        scores = self._W3.after(h, self._buffers("scores", len(X), p["b3"].size))
        scores += p["b3"]
        return (pooled, h, scores), (conv_cache, pool_cache)

    def _backward(self, move: Array, pooled: Array, h: Array, caches: tuple[Any, Any], decay: float) -> None:
        """Every parameter moved; `move` (N, C) is -learning_rate times the scores' gradient."""
        p, (conv_cache, pool_cache) = self._net.params, caches
        dh = self._W3.before(move, self._buffers("dh", *h.shape))
        np.multiply(dh, h > 0, out=dh)
        dpooled = self._buffers("dpooled", *pooled.shape)
        self._W2.before(dh, dpooled.T)
        np.multiply(dpooled, pooled > 0, out=dpooled)
        p["b3"] += move.sum(axis=0)
        p["b2"] += dh.sum(axis=0)
        self._W3.update(decay, h.T, move)
        self._W2.update(decay, pooled, dh)
        images, height, width = len(h), *self._pooled_size
        dimages = images_first(dpooled.reshape(height, -1, width, images))
        _, dW1, db1 = conv_backward(max_pool_backward(dimages, pool_cache), conv_cache, need_dx=False)
        p["W1"] *= decay
        p["W1"] += dW1
        p["b1"] += db1

    @property
    def _pooled_size(self) -> tuple[int, int]:
        return self._net.input_dim[1] // 2, self._net.input_dim[2] // 2

    def _pixels_first(self) -> Array:
        """The net's W2 (F, PH, PW, H) as pooled images lie inside: a view (PH, F, PW, H)."""
        w = self._net.params["W2"]
        return w.reshape(-1, *self._pooled_size, w.shape[1]).transpose(1, 0, 2, 3)


class _Buffers:
    """Arrays that are kept from one step to the next, by name."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype, self._kept = dtype, dict[str, Array]()

    def __call__(self, name: str, *shape: int) -> Array:
        """An array of this shape with whatever the last step left in it."""
        if name not in self._kept or self._kept[name].shape != shape:
            self._kept[name] = np.empty(shape, self._dtype)
        return self._kept[name]


class _Weights:
    """A matrix W (D, M) kept as scale * V, so that W = decay * W + A @ B is one number and a product.

    The scale falls with every step; before it gets so small that V loses range, it is multiplied out.
    V is W's own memory, or in float64 a copy that lies the other way round.
    """

    def __init__(self, w: Array) -> None:
        self._w, self._scale = w, 1.0
        turned = w.dtype == np.float64 and w.nbytes > BLOCK
        self._v = np.asfortranarray(w) if turned else w
        self._lying = self._v.T if turned else self._v  # the same memory, its rows contiguous
        self._turned = turned
        # turned, every block would have BLAS pack all of X again: one block
        rows = len(w.T) if turned else max(1, BLOCK // max(w[:1].nbytes, 1))
        self._block = np.empty((min(rows, len(self._lying)), self._lying.shape[1]), w.dtype)
        self._v_squares = float(np.vdot(w, w))

    def __len__(self) -> int:
        return len(self._w)

    @property
    def squares(self) -> float:
        """The sum of the squares of W."""
        return self._scale**2 * self._v_squares

    def after(self, x: Array, out: Array) -> Array:
        """x @ W for x (N, D), into out (N, M)."""
        np.matmul(x, self._v, out=out)
        return self._scaled(out)

    def before(self, dout: Array, out: Array) -> Array:
        """dout @ Wᵀ for dout (N, M), into out (N, D)."""
        np.matmul(dout, self._v.T, out=out)
        return self._scaled(out)

    def _scaled(self, out: Array) -> Array:
        return out if self._scale == 1 else np.multiply(out, self._scale, out=out)

    def update(self, decay: float, a: Array, b: Array) -> None:
        """W = decay * W + a @ b for a (D, N), b (N, M); b is overwritten."""
        self._scale *= decay
        if abs(self._scale) < FOLD:
            self._fold()
        if self._scale != 1:
            b *= 1 / self._scale
        left, right = (b.T, a.T) if self._turned else (a, b)
        self._v_squares = 0.0
        for start in range(0, len(self._lying), len(self._block)):
            rows = self._lying[start : start + len(self._block)]
            rows += np.matmul(left[start : start + len(rows)], right, out=self._block[: len(rows)])
            self._v_squares += float(np.vdot(rows, rows))

    def _fold(self) -> None:
        self._v *= self._scale
        self._scale = 1.0

    def write_back(self) -> Array:
        """The W that was handed in, brought up to date; from here on all is as if it had just been handed in."""
        self._fold()
        if self._turned:
            self._w[...] = self._v
        self._v_squares = float(np.vdot(self._w, self._w))
        return self._w


def _rows(X: Array, features: int, dtype: np.dtype[Any]) -> Array:
    """X (N, ...) as (N, D)."""
    if X.dtype != dtype or X[:1].size != features * min(len(X), 1):
        raise ValueError(f"X is {X.dtype} of shape {X.shape} but the net needs {dtype} and {features} features a row")
    return X.reshape(len(X), features)
