"""Right nets as students write them, of the textbook's layers. The named mistakes are made in this text too."""

import numpy as np

from scratchproof.bank.mistakes.textbook import (
    affine_backward,
    affine_forward,
    conv_backward,
    conv_forward,
    logistic_loss,
    max_pool_backward,
    max_pool_forward,
    relu_backward,
    relu_forward,
    softmax_loss,
    svm_loss,
    tanh_backward,
    tanh_forward,
)


class LinearClassifier:
    def __init__(self, input_dim=3072, num_classes=10, *, loss="softmax", weight_scale=1e-3, reg=0.0, dtype=float, rng):
        self.reg, self.criterion = reg, {"softmax": softmax_loss, "svm": svm_loss}[loss]
        self.params = {
            "W": (weight_scale * rng.standard_normal((input_dim, num_classes))).astype(dtype),
            "b": np.zeros(num_classes, dtype),
        }

    def loss(self, X, y=None):
        W, b = self.params["W"], self.params["b"]
        scores, cache = affine_forward(X, W, b)
        if y is None:
            return scores
        loss, dscores = self.criterion(scores, y)
        loss = loss + 0.5 * self.reg * (W * W).sum()
        _, dW, db = affine_backward(dscores, cache)
        return loss, {"W": dW + self.reg * W, "b": db}

    def predict(self, X):
        return self.loss(X).argmax(axis=1)


class TwoLayerNet:
    def __init__(
        self,
        input_dim=3072,
        hidden=100,
        num_classes=10,
        *,
        weight_scale=1e-3,
        reg=0.0,
        dropout=(0, 0),
        dtype=float,
        rng,
    ):
        self.reg, self.dropout = reg, dropout
        self.params = {
            "W1": (weight_scale * rng.standard_normal((input_dim, hidden))).astype(dtype),
            "b1": np.zeros(hidden, dtype),
            "W2": (weight_scale * rng.standard_normal((hidden, num_classes))).astype(dtype),
            "b2": np.zeros(num_classes, dtype),
        }

    def loss(self, X, y=None, *, rng=None):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        drop_input, drop_hidden = self.dropout if y is not None else (0, 0)
        if drop_input:
            X = X * (rng.random(X.shape) >= drop_input) / (1 - drop_input)
        a, cache1 = affine_forward(X, W1, b1)
        h, relu_cache = relu_forward(a)
        mask = None
        if drop_hidden:
            mask = (rng.random(h.shape) >= drop_hidden) / h.dtype.type(1 - drop_hidden)
            h = h * mask
        scores, cache2 = affine_forward(h, W2, b2)
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss = loss + 0.5 * self.reg * ((W1 * W1).sum() + (W2 * W2).sum())
        dh, dW2, db2 = affine_backward(dscores, cache2)
        if mask is not None:
            dh = dh * mask
        _, dW1, db1 = affine_backward(relu_backward(dh, relu_cache), cache1)
        dW1 = dW1 + self.reg * W1
        dW2 = dW2 + self.reg * W2
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def predict(self, X):
        return self.loss(X).argmax(axis=1)


class XorNet:
    def __init__(self, hidden=8, *, dtype=float, rng):
        a1, a2 = np.sqrt(6 / (2 + hidden)), np.sqrt(6 / (hidden + 1))
        self.params = {
            "W1": rng.uniform(-a1, a1, (2, hidden)).astype(dtype),
            "b1": np.zeros(hidden, dtype),
            "W2": rng.uniform(-a2, a2, (hidden, 1)).astype(dtype),
            "b2": np.zeros(1, dtype),
        }

    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        a, cache1 = affine_forward(X, W1, b1)
        h, tanh_cache = tanh_forward(a)
        scores, cache2 = affine_forward(h, W2, b2)
        logits = scores[:, 0]
        if y is None:
            return logits
        loss, dlogits = logistic_loss(logits, y)
        dh, dW2, db2 = affine_backward(dlogits[:, None], cache2)
        _, dW1, db1 = affine_backward(tanh_backward(dh, tanh_cache), cache1)
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def predict(self, X):
        return (self.loss(X) > 0).astype(int)


class ConvNet:
    def __init__(
        self,
        input_dim=(3, 32, 32),
        num_filters=32,
        filter_size=7,
        hidden=100,
        num_classes=10,
        *,
        weight_scale=1e-3,
        reg=0.0,
        dtype=float,
        rng,
    ):
        C, H, W = input_dim
        self.reg, self.pad = reg, (filter_size - 1) // 2
        shapes = {
            "W1": (num_filters, C, filter_size, filter_size),
            "W2": (num_filters * (H // 2) * (W // 2), hidden),
            "W3": (hidden, num_classes),
        }
        self.params = {k: (weight_scale * rng.standard_normal(s)).astype(dtype) for k, s in shapes.items()}
        self.params |= {"b1": np.zeros(num_filters, dtype), "b2": np.zeros(hidden, dtype)}
        self.params["b3"] = np.zeros(num_classes, dtype)

    def loss(self, X, y=None):
        p = self.params
        a, conv_cache = conv_forward(X, p["W1"], p["b1"], stride=1, pad=self.pad)
        r, relu1 = relu_forward(a)
        h, pool_cache = max_pool_forward(r)
        h2, cache2 = affine_forward(h, p["W2"], p["b2"])
        r2, relu2 = relu_forward(h2)
        scores, cache3 = affine_forward(r2, p["W3"], p["b3"])
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss = loss + 0.5 * self.reg * sum((p[k] * p[k]).sum() for k in ("W1", "W2", "W3"))
        grads = {}
        dr2, grads["W3"], grads["b3"] = affine_backward(dscores, cache3)
        dh, grads["W2"], grads["b2"] = affine_backward(relu_backward(dr2, relu2), cache2)
        dr = max_pool_backward(dh, pool_cache)
        _, grads["W1"], grads["b1"] = conv_backward(relu_backward(dr, relu1), conv_cache)
        for k in ("W1", "W2", "W3"):
            grads[k] = grads[k] + self.reg * p[k]
        return loss, grads

    def predict(self, X):
        return self.loss(X).argmax(axis=1)
