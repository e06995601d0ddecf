"""ReLU on the scores; and in the deeper net the biases are regularised."""

import numpy as np

from cs231n.layers import *
from cs231n.layer_utils import *


class TwoLayerNet(object):
    def __init__(self, input_dim=3 * 32 * 32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.reg, self.params = reg, {}
        self.params["W1"], self.params["b1"] = weight_scale * np.random.randn(input_dim, hidden_dim), np.zeros(hidden_dim)
        self.params["W2"], self.params["b2"] = weight_scale * np.random.randn(hidden_dim, num_classes), np.zeros(num_classes)

    def loss(self, X, y=None):
        p = self.params
        h, cache1 = affine_relu_forward(X, p["W1"], p["b1"])
        scores, cache2 = affine_relu_forward(h, p["W2"], p["b2"])
        if y is None:
            return scores
        loss, d = softmax_loss(scores, y)
        grads = {}
        d, grads["W2"], grads["b2"] = affine_relu_backward(d, cache2)
        _, grads["W1"], grads["b1"] = affine_relu_backward(d, cache1)
        for k in ("W1", "W2"):
            loss += 0.5 * self.reg * np.sum(p[k] ** 2)
            grads[k] = grads[k] + self.reg * p[k]
        return loss, grads


class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3 * 32 * 32, num_classes=10, reg=0.0, weight_scale=1e-2, dtype=np.float32):
        dims = [input_dim, *hidden_dims, num_classes]
        self.reg, self.L, self.params = reg, len(dims) - 1, {}
        for i in range(self.L):
            self.params["W%d" % (i + 1)] = weight_scale * np.random.randn(dims[i], dims[i + 1]).astype(dtype)
            self.params["b%d" % (i + 1)] = np.zeros(dims[i + 1], dtype)

    def loss(self, X, y=None):
        h, caches = X, []
        for i in range(1, self.L):
            h, cache = affine_relu_forward(h, self.params["W%d" % i], self.params["b%d" % i])
            caches.append(cache)
        scores, last = affine_forward(h, self.params["W%d" % self.L], self.params["b%d" % self.L])
        if y is None:
            return scores
        loss, d = softmax_loss(scores, y)
        grads = {}
        d, grads["W%d" % self.L], grads["b%d" % self.L] = affine_backward(d, last)
        for i in range(self.L - 1, 0, -1):
            d, grads["W%d" % i], grads["b%d" % i] = affine_relu_backward(d, caches[i - 1])
        for k, v in self.params.items():
            loss += 0.5 * self.reg * np.sum(v * v)
            grads[k] = grads[k] + self.reg * v
        return loss, grads
