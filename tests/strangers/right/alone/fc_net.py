"""Handed in by itself: the layers and what else it imports are not there."""

import numpy as np

from cs231n.layers import *
from cs231n.layer_utils import *
from cs231n.gradient_check import eval_numerical_gradient


class TwoLayerNet(object):
    def __init__(self, input_dim=3 * 32 * 32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.params, self.reg, self.D, self.M, self.C = {}, reg, input_dim, hidden_dim, num_classes
        self.params["W1"] = weight_scale * np.random.randn(self.D, self.M)
        self.params["b1"] = np.zeros(self.M)
        self.params["W2"] = weight_scale * np.random.randn(self.M, self.C)
        self.params["b2"] = np.zeros(self.C)

    def loss(self, X, y=None):
        W1, b1, W2, b2 = self.params["W1"], self.params["b1"], self.params["W2"], self.params["b2"]
        X = X.reshape(X.shape[0], self.D)
        hidden, cache_hidden = affine_relu_forward(X, W1, b1)
        scores, cache_scores = affine_forward(hidden, W2, b2)
        if y is None:
            return scores
        data_loss, dscores = softmax_loss(scores, y)
        reg_loss = 0.5 * self.reg * np.sum(W1**2) + 0.5 * self.reg * np.sum(W2**2)
        dx1, dW2, db2 = affine_backward(dscores, cache_scores)
        dx, dW1, db1 = affine_relu_backward(dx1, cache_hidden)
        return data_loss + reg_loss, {"W1": dW1 + self.reg * W1, "b1": db1, "W2": dW2 + self.reg * W2, "b2": db2}


class FullyConnectedNet(object):
    """As it was in 2016: use_batchnorm, and a dropout that says what is dropped."""

    def __init__(self, hidden_dims, input_dim=3 * 32 * 32, num_classes=10, dropout=0, use_batchnorm=False,
                 reg=0.0, weight_scale=1e-2, dtype=np.float32, seed=None):
        self.use_batchnorm, self.use_dropout = use_batchnorm, dropout > 0
        self.reg, self.num_layers, self.dtype, self.params = reg, 1 + len(hidden_dims), dtype, {}
        dims = [input_dim] + hidden_dims + [num_classes]
        for i in range(self.num_layers):
            self.params["W%d" % (i + 1)] = np.random.randn(dims[i], dims[i + 1]) * weight_scale
            self.params["b%d" % (i + 1)] = np.zeros(dims[i + 1])
            if use_batchnorm and i < len(hidden_dims):
                self.params["gamma%d" % (i + 1)] = np.ones(dims[i + 1])
                self.params["beta%d" % (i + 1)] = np.zeros(dims[i + 1])
        self.bn_params = [{"mode": "train"} for i in range(len(hidden_dims))]
        self.dropout_param = {"p": dropout, **({} if seed is None else {"seed": seed})}
        self.params = {k: v.astype(dtype) for k, v in self.params.items()}

    def loss(self, X, y=None):
        h, caches = X, {}
        for bn_param in self.bn_params:
            bn_param["mode"] = "test" if y is None else "train"
        for i in range(1, self.num_layers):
            h, caches["fc", i] = affine_forward(h, self.params["W%d" % i], self.params["b%d" % i])
            if self.use_batchnorm:
                h, caches["bn", i] = batchnorm_forward(h, self.params["gamma%d" % i], self.params["beta%d" % i], self.bn_params[i - 1])
            h, caches["relu", i] = relu_forward(h)
            if self.use_dropout and y is not None:
                np.random.seed(self.dropout_param.get("seed"))
                caches["mask", i] = (np.random.rand(*h.shape) > self.dropout_param["p"]) / (1 - self.dropout_param["p"])
                h = h * caches["mask", i]
        L = self.num_layers
        scores, caches["fc", L] = affine_forward(h, self.params["W%d" % L], self.params["b%d" % L])
        if y is None:
            return scores
        loss, d = softmax_loss(scores, y)
        grads = {}
        for i in range(L, 0, -1):
            if i < L:
                if self.use_dropout:
                    d = d * caches["mask", i]
                d = relu_backward(d, caches["relu", i])
                if self.use_batchnorm:
                    d, grads["gamma%d" % i], grads["beta%d" % i] = batchnorm_backward(d, caches["bn", i])
            d, dW, grads["b%d" % i] = affine_backward(d, caches["fc", i])
            W = self.params["W%d" % i]
            grads["W%d" % i] = dW + self.reg * W
            loss += 0.5 * self.reg * np.sum(W * W)
        return loss, grads
