"""Nets composed of the layers: parameters in a dict, `loss` and `predict`, nothing hidden.

An "N-layer net" does not count the input, and its output layer has no activation. Rows are samples:
X is (N, ...) of the net's dtype, the weights of an affine layer are (inputs, outputs). L2 regularisation
is 0.5 · reg · Σ w² over the weights W*, so that its gradient is reg · w; biases are not regularised.
The first weights are drawn from `rng`, or without one from the operating system's entropy.

Source: CS231n assignment 1 (`TwoLayerNet`) and assignment 2 (`ThreeLayerConvNet`).
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import DTypeLike

from ._types import Array
from ._validate import quiet_nonfinite, require_axes, require_one_dtype
from .conv import conv_backward, conv_forward, max_pool_backward, max_pool_forward
from .init import gaussian, xavier_uniform
from .layers import (
    affine_backward,
    affine_forward,
    affine_relu_backward,
    affine_relu_forward,
    dropout_backward,
    dropout_forward,
    relu_backward,
    relu_forward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from .losses import logistic_loss, softmax_loss, svm_loss

Params: TypeAlias = dict[str, Array]
Loss: TypeAlias = Callable[[Array, Array], tuple[Any, Array]]


class Net:
    """What all nets share: a forward pass, a loss on its scores, a backward pass.

    A net fills `params`, names its loss in `_criterion`, and defines `_forward(X, rng) -> (scores, cache)`
    and `_backward(dscores, cache) -> grads`.
    """

    params: Params
    dtype: np.dtype[Any]
    reg: float
    _criterion: Loss

    @overload
    def loss(self, X: Array, y: None = None, *, rng: np.random.Generator | None = None) -> Array: ...
    @overload
    def loss(self, X: Array, y: Array, *, rng: np.random.Generator | None = None) -> tuple[Any, Params]: ...
    def loss(
        self, X: Array, y: Array | None = None, *, rng: np.random.Generator | None = None
    ) -> Array | tuple[Any, Params]:
        """Scores when y is None (test mode); otherwise the loss and its gradient in every parameter.

        X (N, ...) of the net's dtype, y (N,) integer labels. Returns scores (N, C), or the regularised loss
        (a NumPy scalar of the net's dtype) and grads, a dict with the keys and shapes of `params`.
        `rng` draws the masks of a net with dropout, and is not used otherwise.
        Raises ValueError if X or y do not fit the net, or if dropout lacks its rng.
        """
        if y is None:
            return self._forward(X, None)[0]
        scores, cache = self._forward(X, self._masks_from(rng))
        loss, dscores = self._criterion(scores, y)
        grads = self._backward(dscores, cache)
        if self.reg:
            loss = loss + self._regularise(grads)
        return loss, grads

    def predict(self, X: Array) -> Array:
        """The label (N,) with the highest score, for each row of X."""
        return self.loss(X).argmax(axis=1)  # type: ignore[no-any-return]

    def _regularise(self, grads: Params) -> Any:
        """0.5 · reg · Σ w², after adding its gradient reg · w to the weights' own."""
        squares: Any = 0
        for name, w in self.params.items():
            if name.startswith("W"):
                grads[name] += self.reg * w
                squares = squares + np.vdot(w, w)
        return 0.5 * self.reg * squares

    def _masks_from(self, rng: np.random.Generator | None) -> np.random.Generator | None:
        return None

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        raise NotImplementedError

    def _backward(self, dscores: Array, cache: Any) -> Params:
        raise NotImplementedError


class LinearClassifier(Net):
    """Scores X W + b, trained with the softmax or the SVM loss.

    params: W (input_dim, num_classes) Gaussian of deviation weight_scale, b (num_classes,) zero.
    Raises ValueError if `loss` is neither "softmax" nor "svm".
    """

    def __init__(
        self,
        input_dim: int = 3072,
        num_classes: int = 10,
        *,
        loss: Literal["softmax", "svm"] = "softmax",
        weight_scale: float = 1e-3,
        reg: float = 0.0,
        dtype: DTypeLike = np.float64,
        rng: np.random.Generator | None = None,
    ) -> None:
        losses: dict[str, Loss] = {"softmax": softmax_loss, "svm": svm_loss}
        if loss not in losses:
            raise ValueError(f"loss is {loss!r} but must be one of {sorted(losses)}")
        self._criterion = losses[loss]
        self.dtype, self.reg = np.dtype(dtype), float(reg)
        self.params = {
            "W": gaussian((input_dim, num_classes), scale=weight_scale, rng=rng, dtype=dtype),
            "b": np.zeros(num_classes, dtype),
        }

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        return affine_forward(X, self.params["W"], self.params["b"])

    def _backward(self, dscores: Array, cache: Any) -> Params:
        _, dW, db = affine_backward(dscores, cache, need_dx=False)
        return {"W": dW, "b": db}


class TwoLayerNet(Net):
    """affine - relu - affine, trained with the softmax loss.

    params: W1 (input_dim, hidden_dim), W2 (hidden_dim, num_classes) Gaussian of deviation weight_scale;
    b1 (hidden_dim,), b2 (num_classes,) zero. `dropout` holds the probabilities to *drop* an input and a hidden unit in
    training; where one is positive, `loss(X, y, rng=rng)` draws its masks from rng.
    Raises ValueError if a dropout probability is outside [0, 1).
    """

    _criterion = staticmethod(softmax_loss)

    def __init__(
        self,
        input_dim: int = 3072,
        hidden_dim: int = 100,
        num_classes: int = 10,
        *,
        weight_scale: float = 1e-3,
        reg: float = 0.0,
        dropout: tuple[float, float] = (0.0, 0.0),
        dtype: DTypeLike = np.float64,
        rng: np.random.Generator | None = None,
    ) -> None:
        if not all(0 <= drop < 1 for drop in dropout):
            raise ValueError(f"dropout is {dropout} but probabilities to drop must be in [0, 1)")
        self.dtype, self.reg, self.dropout = np.dtype(dtype), float(reg), dropout
        self.params = {
            "W1": gaussian((input_dim, hidden_dim), scale=weight_scale, rng=rng, dtype=dtype),
            "b1": np.zeros(hidden_dim, dtype),
            "W2": gaussian((hidden_dim, num_classes), scale=weight_scale, rng=rng, dtype=dtype),
            "b2": np.zeros(num_classes, dtype),
        }

    def _masks_from(self, rng: np.random.Generator | None) -> np.random.Generator | None:
        if rng is None and any(self.dropout):
            raise ValueError(f"dropout is {self.dropout} but loss(X, y) got no rng to draw masks from")
        return rng

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        p = self.params
        X, _ = _dropout(X, self.dropout[0], rng)
        h, hidden_cache = affine_relu_forward(X, p["W1"], p["b1"])
        h, dropout_cache = _dropout(h, self.dropout[1], rng)
        scores, output_cache = affine_forward(h, p["W2"], p["b2"])
        return scores, (hidden_cache, dropout_cache, output_cache)

    def _backward(self, dscores: Array, cache: Any) -> Params:
        hidden_cache, dropout_cache, output_cache = cache
        dh, dW2, db2 = affine_backward(dscores, output_cache)
        if dropout_cache is not None:
            dh = dropout_backward(dh, dropout_cache)
        _, dW1, db1 = affine_relu_backward(dh, hidden_cache, need_dx=False)
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


class XorNet(Net):
    """affine - tanh - affine on points of the plane, one logit, binary cross-entropy on its sigmoid.

    params: W1 (2, hidden_dim), W2 (hidden_dim, 1) Xavier uniform; b1 (hidden_dim,), b2 (1,) zero. `loss(X)` gives
    logits (N,); `probability(X)` their sigmoid; labels are 0 and 1. Without the tanh it would be a linear classifier,
    which cannot learn exclusive or.
    """

    _criterion = staticmethod(logistic_loss)

    def __init__(
        self, hidden_dim: int = 8, *, dtype: DTypeLike = np.float64, rng: np.random.Generator | None = None
    ) -> None:
        self.dtype, self.reg = np.dtype(dtype), 0.0
        self.params = {
            "W1": xavier_uniform(2, hidden_dim, rng=rng, dtype=dtype),
            "b1": np.zeros(hidden_dim, dtype),
            "W2": xavier_uniform(hidden_dim, 1, rng=rng, dtype=dtype),
            "b2": np.zeros(1, dtype),
        }

    def predict(self, X: Array) -> Array:
        """1 where the probability is above one half, that is the logit positive; else 0. Shape (N,)."""
        return (self.probability(X) > 0.5).astype(np.int64)

    def probability(self, X: Array) -> Array:
        """The probability (N,) of label 1, for each row of X (N, 2)."""
        return sigmoid_forward(self.loss(X))[0]

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        p = self.params
        a, affine_cache = affine_forward(X, p["W1"], p["b1"])
        h, tanh_cache = tanh_forward(a)
        logits, output_cache = affine_forward(h, p["W2"], p["b2"])
        return logits[:, 0], (affine_cache, tanh_cache, output_cache)

    def _backward(self, dscores: Array, cache: Any) -> Params:
        affine_cache, tanh_cache, output_cache = cache
        dh, dW2, db2 = affine_backward(dscores[:, None], output_cache)
        da = tanh_backward(dh, tanh_cache)
        _, dW1, db1 = affine_backward(da, affine_cache, need_dx=False)
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


class ConvNet(Net):
    """conv - relu - 2x2 max-pool - affine - relu - affine on images, trained with the softmax loss.

    input_dim (C, H, W), filter_size odd: stride 1 and padding (filter_size - 1) / 2 keep the image's size.
    params: W1 (num_filters, C, filter_size, filter_size), W2 (num_filters · (H // 2) · (W // 2), hidden_dim),
    W3 (hidden_dim, num_classes) Gaussian of deviation weight_scale; b1, b2, b3 zero.
    Raises ValueError if filter_size is not odd.
    """

    _criterion = staticmethod(softmax_loss)

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (3, 32, 32),
        num_filters: int = 32,
        filter_size: int = 7,
        hidden_dim: int = 100,
        num_classes: int = 10,
        *,
        weight_scale: float = 1e-3,
        reg: float = 0.0,
        dtype: DTypeLike = np.float64,
        rng: np.random.Generator | None = None,
    ) -> None:
        if filter_size % 2 != 1:
            raise ValueError(f"filter_size is {filter_size} but must be odd to keep the image's size")
        self.dtype, self.reg, self.pad = np.dtype(dtype), float(reg), filter_size // 2
        channels, height, width = self.input_dim = input_dim
        shapes = {
            "W1": (num_filters, channels, filter_size, filter_size),
            "W2": (num_filters * (height // 2) * (width // 2), hidden_dim),
            "W3": (hidden_dim, num_classes),
        }
        self.params = {}
        for (name, shape), outputs in zip(shapes.items(), (num_filters, hidden_dim, num_classes), strict=True):
            self.params[name] = gaussian(shape, scale=weight_scale, rng=rng, dtype=dtype)
            self.params[name.replace("W", "b")] = np.zeros(outputs, dtype)

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        p = self.params
        a, conv_cache = conv_forward(X, p["W1"], p["b1"], stride=1, pad=self.pad)
        r, relu_cache = relu_forward(a)
        h, pool_cache = max_pool_forward(r, pool_height=2, pool_width=2, stride=2)
        h, hidden_cache = affine_relu_forward(h, p["W2"], p["b2"])
        scores, output_cache = affine_forward(h, p["W3"], p["b3"])
        return scores, (conv_cache, relu_cache, pool_cache, hidden_cache, output_cache)

    def _backward(self, dscores: Array, cache: Any) -> Params:
        conv_cache, relu_cache, pool_cache, hidden_cache, output_cache = cache
        dh, dW3, db3 = affine_backward(dscores, output_cache)
        dh, dW2, db2 = affine_relu_backward(dh, hidden_cache)
        da = relu_backward(max_pool_backward(dh, pool_cache), relu_cache)
        _, dW1, db1 = conv_backward(da, conv_cache, need_dx=False)
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}


def three_layer_forward(x: Array, W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array) -> Array:
    """Forward pass of a 3-layer net on column vectors: sigmoid, sigmoid, no activation at the output.

    x (D, N); W1 (H1, D), W2 (H2, H1), W3 (C, H2); biases (H1, 1), (H2, 1), (C, 1); one floating dtype.
    Returns out (C, N). A column is a sample here, so each W stands on the left: h = σ(W1 x + b1).
    Raises ValueError if dtypes or shapes do not fit.
    Source: CS231n lecture notes, "Neural networks 1" (3 → 4 → 4 → 1).
    """
    h1, _ = sigmoid_forward(_column_affine(W1, x, b1))
    h2, _ = sigmoid_forward(_column_affine(W2, h1, b2))
    return _column_affine(W3, h2, b3)


@quiet_nonfinite
def _column_affine(W: Array, x: Array, b: Array) -> Array:
    """W x + b on columns: W (M, D), x (D, N), b (M, 1)."""
    require_one_dtype(x=x, W=W, b=b)
    require_axes("x", x, "D, N")
    require_axes("W", W, "M, D")
    if W.shape[1] != x.shape[0]:
        raise ValueError(f"W has {W.shape[1]} columns but x has {x.shape[0]} rows")
    if b.shape != (W.shape[0], 1):
        raise ValueError(f"b has shape {b.shape} but {W.shape[0]} rows of W need shape ({W.shape[0]}, 1)")
    return W @ x + b


def _dropout(x: Array, drop: float, rng: np.random.Generator | None) -> tuple[Array, Any]:
    """Dropout with a fresh mask in training (rng given); x itself and no cache where nothing is dropped."""
    if rng is None or not drop:
        return x, None
    mask = rng.random(x.shape, dtype=np.float32) >= drop
    return dropout_forward(x, mask, p=1 - drop)
