"""The loss is regularised and the gradients are not."""

import numpy as np

from cs231n.layers import *
from cs231n.fast_layers import *
from cs231n.layer_utils import *


class ThreeLayerConvNet(object):
    def __init__(self, input_dim=(3, 32, 32), num_filters=32, filter_size=7, hidden_dim=100, num_classes=10,
                 weight_scale=1e-3, reg=0.0, dtype=np.float32):
        C, H, W = input_dim
        self.reg, self.params = reg, {}
        self.params["W1"] = weight_scale * np.random.randn(num_filters, C, filter_size, filter_size)
        self.params["W2"] = weight_scale * np.random.randn(num_filters * (H // 2) * (W // 2), hidden_dim)
        self.params["W3"] = weight_scale * np.random.randn(hidden_dim, num_classes)
        self.params["b1"], self.params["b2"], self.params["b3"] = map(np.zeros, (num_filters, hidden_dim, num_classes))
        self.params = {k: v.astype(dtype) for k, v in self.params.items()}

    def loss(self, X, y=None):
        W1, W2, W3 = (self.params["W%d" % i] for i in (1, 2, 3))
        conv_param = {"stride": 1, "pad": (W1.shape[2] - 1) // 2}
        pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        a, cache1 = conv_relu_pool_forward(X, W1, self.params["b1"], conv_param, pool_param)
        h, cache2 = affine_relu_forward(a, W2, self.params["b2"])
        scores, cache3 = affine_forward(h, W3, self.params["b3"])
        if y is None:
            return scores
        loss, d = softmax_loss(scores, y)
        loss += 0.5 * self.reg * (np.sum(W1**2) + np.sum(W2**2) + np.sum(W3**2))
        d, dW3, db3 = affine_backward(d, cache3)
        d, dW2, db2 = affine_relu_backward(d, cache2)
        _, dW1, db1 = conv_relu_pool_backward(d, cache1)
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}
