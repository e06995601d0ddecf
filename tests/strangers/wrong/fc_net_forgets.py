"""Every call of loss begins with batch norm parameters of its own: nothing is left for test mode."""

import numpy as np

from cs231n.layers import *


class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3072, num_classes=10, use_batchnorm=False, reg=0.0,
                 weight_scale=1e-2, dtype=np.float32, seed=None):
        self.reg, self.L, self.bn = reg, len(hidden_dims) + 1, use_batchnorm
        dims, self.params = [input_dim] + list(hidden_dims) + [num_classes], {}
        for i in range(1, self.L + 1):
            self.params["W%d" % i] = (weight_scale * np.random.randn(dims[i - 1], dims[i])).astype(dtype)
            self.params["b%d" % i] = np.zeros(dims[i], dtype)
            if use_batchnorm and i < self.L:
                self.params["gamma%d" % i], self.params["beta%d" % i] = np.ones(dims[i], dtype), np.zeros(dims[i], dtype)

    def loss(self, X, y=None):
        h, caches, p = X, {}, self.params
        for i in range(1, self.L):
            bn_param = {"mode": "test" if y is None else "train"}
            h, affine = affine_forward(h, p["W%d" % i], p["b%d" % i])
            normed = None
            if self.bn:
                h, normed = batchnorm_forward(h, p["gamma%d" % i], p["beta%d" % i], bn_param)
            h, relu = relu_forward(h)
            caches[i] = affine, normed, relu
        scores, last = affine_forward(h, p["W%d" % self.L], p["b%d" % self.L])
        if y is None:
            return scores
        loss, d = softmax_loss(scores, y)
        grads = {}
        d, grads["W%d" % self.L], grads["b%d" % self.L] = affine_backward(d, last)
        for i in range(self.L - 1, 0, -1):
            affine, normed, relu = caches[i]
            d = relu_backward(d, relu)
            if self.bn:
                d, grads["gamma%d" % i], grads["beta%d" % i] = batchnorm_backward(d, normed)
            d, grads["W%d" % i], grads["b%d" % i] = affine_backward(d, affine)
        for i in range(1, self.L + 1):
            loss += 0.5 * self.reg * np.sum(p["W%d" % i] ** 2)
            grads["W%d" % i] = grads["W%d" % i] + self.reg * p["W%d" % i]
        return loss, grads
