"""Batch norm stays in training mode in the test; dropout is told and does nothing."""

import numpy as np

from cs231n.layers import *


class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3072, num_classes=10, dropout=0, use_batchnorm=False, reg=0.0,
                 weight_scale=1e-2, dtype=np.float32, seed=None):
        self.reg, self.L, self.bn, self.dtype = reg, len(hidden_dims) + 1, use_batchnorm, dtype
        dims = [input_dim] + list(hidden_dims) + [num_classes]
        self.params = {}
        for i in range(1, self.L + 1):
            self.params["W%d" % i] = weight_scale * np.random.randn(dims[i - 1], dims[i])
            self.params["b%d" % i] = np.zeros(dims[i])
            if use_batchnorm and i < self.L:
                self.params["gamma%d" % i], self.params["beta%d" % i] = np.ones(dims[i]), np.zeros(dims[i])
        self.params = {k: v.astype(dtype) for k, v in self.params.items()}

    def loss(self, X, y=None):
        h, caches, p = X, {}, self.params
        for i in range(1, self.L):
            h, caches["a", i] = affine_forward(h, p["W%d" % i], p["b%d" % i])
            if self.bn:
                h, caches["n", i] = batchnorm_forward(h, p["gamma%d" % i], p["beta%d" % i], {"mode": "train"})
            h, caches["r", i] = relu_forward(h)
        scores, caches["a", self.L] = affine_forward(h, p["W%d" % self.L], p["b%d" % self.L])
        if y is None:
            return scores
        loss, d = softmax_loss(scores, y)
        grads = {}
        for i in range(self.L, 0, -1):
            if i < self.L:
                d = relu_backward(d, caches["r", i])
                if self.bn:
                    d, grads["gamma%d" % i], grads["beta%d" % i] = batchnorm_backward(d, caches["n", i])
            d, grads["W%d" % i], grads["b%d" % i] = affine_backward(d, caches["a", i])
            loss += 0.5 * self.reg * np.sum(p["W%d" % i] ** 2)
            grads["W%d" % i] = grads["W%d" % i] + self.reg * p["W%d" % i]
        return loss, grads
