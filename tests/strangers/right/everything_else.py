import numpy as np


def softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)


class FullyConnectedNet:
    """No helper layers at all, everything inline."""

    def __init__(self, hidden_dims, input_dim=3 * 32 * 32, num_classes=10, reg=0.0, weight_scale=1e-2, dtype=np.float32, **kwargs):
        self.reg, self.dtype = reg, dtype
        sizes = (input_dim, *hidden_dims, num_classes)
        self.L = len(sizes) - 1
        self.params = {}
        for k in range(1, self.L + 1):
            self.params['W%d' % k] = np.random.normal(scale=weight_scale, size=sizes[k - 1:k + 1]).astype(dtype)
            self.params['b%d' % k] = np.zeros(sizes[k], dtype)

    def loss(self, X, y=None):
        acts = [X.reshape(X.shape[0], -1).astype(self.dtype)]
        for k in range(1, self.L + 1):
            z = acts[-1].dot(self.params['W%d' % k]) + self.params['b%d' % k]
            acts.append(np.maximum(z, 0) if k < self.L else z)
        if y is None:
            return acts[-1]
        N = len(y)
        P = softmax(acts[-1])
        loss = -np.log(P[np.arange(N), y]).mean()
        delta = (P - np.eye(P.shape[1], dtype=P.dtype)[y]) / N
        grads = {}
        for k in range(self.L, 0, -1):
            W = self.params['W%d' % k]
            loss += .5 * self.reg * np.vdot(W, W)
            grads['W%d' % k] = acts[k - 1].T @ delta + self.reg * W
            grads['b%d' % k] = delta.sum(axis=0)
            delta = (delta @ W.T) * (acts[k - 1] > 0)
        return loss, grads

    def predict(self, X):
        return self.loss(X).argmax(1)
