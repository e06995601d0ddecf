"""Every trick of a fast SGD step, in one place. The plain code in `nets.py` and `optim.py` says what is computed.

`fuse(net)` gives the fast step of a net that has one. `step(X, y, learning_rate)` then does what
`net.loss` followed by `sgd` on every parameter does, up to rounding, with less traffic through memory:

- -learning_rate / N multiplies the scores' gradient, a few numbers, and so reaches every update for nothing;
- L2 decay is one number a matrix (`_Weights`): no pass over the weights, nor over the hidden units;
- the products that update a large matrix are taken a block of rows at a time, and added while in the cache;
- float64 keeps a large matrix the other way round in memory, where its products are faster;
- buffers stay from step to step; scores lie class by class, so that the softmax sweeps along whole batches;
- the rectifier comes after the pooling it commutes with, on a quarter of the numbers, and the
  pooled images stay in the layout (H, C, W, N), the weights behind them being permuted once instead.

Source: measured for this project; `python -m experiments.speed` repeats the measurement.
"""

import math
from typing import Any

import numpy as np

from . import conv, pooling
from ._buffers import Room
from ._threads import own_threads
from ._types import Array
from ._validate import quiet_nonfinite, require_labels, require_rows
from ._windows import images_first, rows_first
from .nets import ConvNet, TwoLayerNet

__all__ = ["FusedConvNet", "FusedTwoLayerNet", "fuse"]

BLOCK = 1 << 19  # bytes of a block of rows: with its update it stays in the second-level cache
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
        p = net.params
        self._net, self._layers = net, _TwoLayers(p["W1"], p["b1"], p["W2"], p["b2"])

    def settle(self) -> dict[str, Array]:
        """Bring the net's own parameters up to date and return them: arrays that the next step writes to."""
        self._layers.write_back()
        return self._net.params

    @quiet_nonfinite
    def step(self, X: Array, y: Array, learning_rate: float) -> float:
        """One step of SGD on a minibatch; the loss before it, L2 term included.

        X (N, ...) of the net's dtype, y (N,) integer labels. A loss that is not finite changes nothing.
        Raises: ValueError if X or y do not fit.
        """
        net, layers = self._net, self._layers
        X, rate = _rows(X, layers.inputs, net.dtype), float(learning_rate)
        loss, move = layers.loss(X, y, rate)
        loss += net.reg / 2 * layers.squares
        if math.isfinite(loss):
            layers.step(X, move, 1 - rate * net.reg)
        return loss


class FusedConvNet:
    """SGD on a ConvNet. While it is in use, the net's parameters are its own to write.

    Between steps they are in a form of its own: `settle` brings the net up to date. Who writes them makes a new one.
    """

    def __init__(self, net: ConvNet) -> None:
        p, self._net, self._room = net.params, net, Room()
        self._W2 = self._pixels_first().copy().reshape(p["W2"].shape)
        self._layers = _TwoLayers(self._W2, p["b2"], p["W3"], p["b3"])

    def settle(self) -> dict[str, Array]:
        """Bring the net's own parameters up to date and return them: arrays that the next step writes to."""
        self._layers.write_back()
        rows = self._pixels_first()
        rows[...] = self._W2.reshape(rows.shape)
        return self._net.params

    @quiet_nonfinite
    def step(self, X: Array, y: Array, learning_rate: float) -> float:
        """One step of SGD on a minibatch; the loss before it, L2 term included.

        X (N, C, H, W) of the net's dtype, y (N,) integer labels. A loss that is not finite changes nothing.
        Raises: ValueError if X or y do not fit.
        """
        with own_threads():  # a small product has no use for more, and BLAS's would be in the way of the sweeps
            return self._step(X, y, float(learning_rate))

    def _step(self, X: Array, y: Array, rate: float) -> float:
        net, layers, W1 = self._net, self._layers, self._net.params["W1"]
        pooled, caches = self._images(X)
        loss, move = layers.loss(pooled.T, y, rate)
        loss += net.reg / 2 * (layers.squares + float(np.vdot(W1, W1)))
        if math.isfinite(loss):
            decay = 1 - rate * net.reg
            dpooled = self._room("dpooled", pooled.shape, pooled.dtype)
            layers.step(pooled.T, move, decay, dpooled.T)
            self._update_kernels(decay, pooled, dpooled, caches)
        return loss

    def _images(self, X: Array) -> tuple[Array, tuple[Any, Any]]:
        """Pooled images (PH*F*PW, N) after the rectifier, and the caches of what came before."""
        p = self._net.params
        images, conv_cache = conv.forward_in(self._room, X, p["W1"], p["b1"], 1, self._net.pad)
        images, pool_cache = pooling.forward_in(self._room, images, 2, 2, 2)
        pooled = rows_first(images).reshape(self._layers.inputs, len(X))
        return np.maximum(pooled, 0, out=pooled), (conv_cache, pool_cache)

    def _update_kernels(self, decay: float, pooled: Array, dpooled: Array, caches: tuple[Any, Any]) -> None:
        """W1 and b1 moved; dpooled, like pooled, is -learning_rate times its gradient."""
        p, (conv_cache, pool_cache) = self._net.params, caches
        np.multiply(dpooled, pooled > 0, out=dpooled)
        height, width = self._pooled_size
        dimages = images_first(dpooled.reshape(height, -1, width, dpooled.shape[1]))
        dimages = pooling.backward_in(self._room, dimages, pool_cache)
        _, dW1, db1 = conv.backward_in(self._room, dimages, conv_cache, need_dx=False)
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


class _TwoLayers:
    """affine - relu - affine - softmax loss on rows, and its step: what both nets end in.

    The matrices are kept as scale * V. For a positive scale s, relu(s z + b) = s relu(z + b / s): the hidden units are
    kept divided by the first scale, and both scales multiply the scores alone.
    """

    def __init__(self, W1: Array, b1: Array, W2: Array, b2: Array) -> None:
        self._W1, self._b1, self._W2, self._b2 = _Weights(W1), b1, _Weights(W2), b2
        self.inputs = len(W1)
        self._make_room(0)

    def _make_room(self, rows: int) -> None:
        """What is as long as a minibatch, kept from step to step."""
        dtype, hidden = self._b1.dtype, self._b1.size
        self._h, self._dh = np.empty((rows, hidden), dtype), np.empty((rows, hidden), dtype)
        self._scores, self._ones = np.empty((self._b2.size, rows), dtype), np.ones(rows, dtype)

    @property
    def squares(self) -> float:
        """The sum of the squares of both matrices."""
        return self._W1.squares + self._W2.squares

    def loss(self, x: Array, y: Array, rate: float) -> tuple[float, Array]:
        """The mean loss of rows x (N, D) with labels y, and -rate times its gradient in the scores, (C, N).

        Raises: ValueError if y does not fit, and if there are no rows.
        """
        require_rows(x)
        require_labels(y, len(x), self._b2.size)
        if len(x) != len(self._h):
            self._make_room(len(x))
        W1, W2, h, scores = self._W1, self._W2, self._h, self._scores
        np.matmul(x, W1.v, out=h)
        h += self._b1 / W1.scale
        np.maximum(h, 0, out=h)
        np.matmul(W2.v.T, h.T, out=scores)
        scores *= W1.scale * W2.scale
        scores += self._b2[:, None]
        return _softmax_in_place(scores, y, rate), scores

    def step(self, x: Array, move: Array, decay: float, dx: Array | None = None) -> None:
        """The parameters moved; move (C, N) is what `loss` gave for x, and is overwritten.

        dx (N, D), where there is one, is filled with -learning_rate times the gradient in x.
        """
        W1, W2, h, dh = self._W1, self._W2, self._h, self._dh
        np.matmul((move * W2.scale).T, W2.v.T, out=dh)
        np.multiply(dh, h > 0, out=dh)
        if dx is not None:
            np.matmul(dh * W1.scale, W1.v.T, out=dx)
        self._b2 += move @ self._ones  # as a product a sum takes a third of the time
        self._b1 += self._ones @ dh
        move *= W1.scale  # h is kept divided by it
        W2.update(decay, h.T, move.T)
        W1.update(decay, x.T, dh)

    def write_back(self) -> None:
        """Bring both matrices that were handed in up to date."""
        self._W1.write_back()
        self._W2.write_back()


def _softmax_in_place(scores: Array, y: Array, rate: float) -> float:
    """`softmax_loss` of scores (C, N), which -rate times their gradient overwrites. Returns the mean loss."""
    flat, own = scores.reshape(-1), y.astype(np.intp) * len(y) + np.arange(len(y))
    scores -= scores.max(axis=0)
    right = flat[own]
    np.exp(scores, out=scores)
    total = scores.sum(axis=0)
    loss = (np.log(total) - right).sum() / len(y)
    scores *= -rate / len(y) / total
    flat[own] += rate / len(y)
    return float(loss)


class _Weights:
    """A matrix W (D, M) kept as scale * v, so that W = decay * W + A @ B is one number and a product.

    The scale falls with every step; before it gets so small that v loses range, it is multiplied out.
    v is W's own memory, or in float64 a copy that lies the other way round.
    """

    def __init__(self, w: Array) -> None:
        self._w, self.scale = w, 1.0
        turned = w.dtype == np.float64 and w.nbytes > BLOCK
        self.v = np.asfortranarray(w) if turned else w
        self._lying = self.v.T if turned else self.v  # the same memory, its rows contiguous
        self._turned = turned
        # turned, every block would have BLAS pack all of X again: one block
        rows = len(w.T) if turned else max(1, BLOCK // max(w[:1].nbytes, 1))
        self._block = np.empty((min(rows, len(self._lying)), self._lying.shape[1]), w.dtype)
        self._v_squares = float(np.vdot(w, w))

    @property
    def squares(self) -> float:
        """The sum of the squares of W."""
        return self.scale**2 * self._v_squares

    def update(self, decay: float, a: Array, b: Array) -> None:
        """W = decay * W + a @ b for a (D, N), b (N, M); b is overwritten."""
        self.scale *= float(decay)
        if self.scale < FOLD:
            self._fold()
        if self.scale != 1:
            b *= 1 / self.scale
        left, right = (b.T, a.T) if self._turned else (a, b)
        self._v_squares = 0.0
        for start in range(0, len(self._lying), len(self._block)):
            rows = self._lying[start : start + len(self._block)]
            rows += np.matmul(left[start : start + len(rows)], right, out=self._block[: len(rows)])
            self._v_squares += float(np.vdot(rows, rows))

    def _fold(self) -> None:
        self.v *= self.scale
        self.scale = 1.0

    def write_back(self) -> None:
        """Bring the W that was handed in up to date; from here on all is as if it had just been handed in."""
        self._fold()
        if self._turned:
            self._w[...] = self.v
        self._v_squares = float(np.vdot(self._w, self._w))


def _rows(X: Array, features: int, dtype: np.dtype[Any]) -> Array:
    """X (N, ...) as (N, D)."""
    if X.dtype != dtype or X[:1].size != features * min(len(X), 1):
        raise ValueError(f"X is {X.dtype} of shape {X.shape} but the net needs {dtype} and {features} features a row")
    return X.reshape(len(X), features)
