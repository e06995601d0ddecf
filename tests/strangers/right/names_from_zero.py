"""The parameters are counted from zero, their keys are pairs, and one gradient too many is given."""

import numpy as np


class TwoLayerNet(object):
    def __init__(self, input_dim=3 * 32 * 32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        sizes = [input_dim, hidden_dim, num_classes]
        self.reg, self.params = reg, {}
        for l in range(2):
            self.params["W%d" % l] = np.random.normal(0, weight_scale, (sizes[l], sizes[l + 1]))
            self.params["b%d" % l] = np.zeros(sizes[l + 1])

    def loss(self, X, y=None):
        p = self.params
        flat = X.reshape(X.shape[0], -1)
        a = flat @ p["W0"] + p["b0"]
        h = np.maximum(a, 0)
        scores = h @ p["W1"] + p["b1"]
        if y is None:
            return scores
        N = len(y)
        top = scores.max(axis=1, keepdims=True)
        logp = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
        loss = -logp[np.arange(N), y].mean() + 0.5 * self.reg * (np.sum(p["W0"] ** 2) + np.sum(p["W1"] ** 2))
        d = np.exp(logp)
        d[np.arange(N), y] -= 1
        d /= N
        dh = (d @ p["W1"].T) * (a > 0)
        grads = {"W1": h.T @ d + self.reg * p["W1"], "b1": d.sum(0)}
        grads.update(W0=flat.T @ dh + self.reg * p["W0"], b0=dh.sum(0), X=(dh @ p["W0"].T).reshape(X.shape))
        return loss, grads


class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3072, num_classes=10, reg=0.0, weight_scale=1e-2, dtype=np.float64):
        dims = [input_dim] + list(hidden_dims) + [num_classes]
        self.L, self.reg, self.params = len(dims) - 1, reg, {}
        for i, (a, b) in enumerate(zip(dims, dims[1:])):
            self.params["W", i] = (weight_scale * np.random.randn(a, b)).astype(dtype)
            self.params["b", i] = np.zeros(b, dtype)

    def loss(self, X, y=None):
        outs = [X.reshape(len(X), -1)]
        for i in range(self.L):
            z = outs[-1] @ self.params["W", i] + self.params["b", i]
            outs.append(np.maximum(z, 0) if i < self.L - 1 else z)
        scores = outs[-1]
        if y is None:
            return scores
        z = scores - scores.max(1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(1, keepdims=True))
        loss = -logp[range(len(y)), y].mean()
        d = np.exp(logp)
        d[range(len(y)), y] -= 1
        d, grads = d / len(y), {}
        for i in range(self.L - 1, -1, -1):
            W = self.params["W", i]
            loss += 0.5 * self.reg * np.sum(W * W)
            grads["W", i], grads["b", i] = outs[i].T @ d + self.reg * W, d.sum(0)
            d = (d @ W.T) * (outs[i] > 0)
        return loss, grads
