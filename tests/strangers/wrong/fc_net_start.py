import numpy as np
class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3*32*32, num_classes=10, reg=0.0, weight_scale=1e-2, dtype=np.float32):
        self.reg, self.dtype = reg, dtype
        dims = [input_dim] + list(hidden_dims) + [num_classes]
        self.L = len(dims) - 1
        self.params = {}
        for i in range(1, self.L + 1):
            self.params['W%d' % i] = weight_scale * np.random.randn(dims[i-1], dims[i])
            self.params['b%d' % i] = np.zeros(dims[i])
    def loss(self, X, y=None):
        a = [X.reshape(len(X), -1)]
        for i in range(1, self.L + 1):
            z = a[-1].dot(self.params['W%d' % i]) + self.params['b%d' % i]
            a.append(z if i == self.L else np.maximum(z, 0))
        if y is None:
            return a[-1]
        N = len(y)
        s = a[-1] - a[-1].max(1, keepdims=True)
        p = np.exp(s) / np.exp(s).sum(1, keepdims=True)
        loss = -np.log(p[np.arange(N), y]).mean()
        d = p.copy()
        d[np.arange(N), y] -= 1
        d /= N
        grads = {}
        for i in range(self.L, 0, -1):
            W = self.params['W%d' % i]
            loss += 0.5 * self.reg * np.sum(W * W)
            grads['W%d' % i] = a[i-1].T.dot(d)                  # regularisation missing in the gradients
            grads['b%d' % i] = d.sum(0)
            d = d.dot(W.T)
            if i > 1:
                d = d * (a[i-1] > 0)
        return loss, grads
class TwoLayerNet(object):
    def __init__(self, input_dim=3*32*32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.params = {}
        self.reg = reg
        self.params['W1'] = np.random.normal(0, weight_scale, (input_dim, hidden_dim))
        self.params['b1'] = np.random.normal(0, weight_scale, hidden_dim)         # biases not zero
        self.params['W2'] = np.random.normal(0, weight_scale, (hidden_dim, num_classes))
        self.params['b2'] = np.random.normal(0, weight_scale, num_classes)
    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[k] for k in ('W1', 'b1', 'W2', 'b2'))
        X = X.reshape(len(X), -1)
        h = np.maximum(X.dot(W1) + b1, 0)
        scores = h.dot(W2) + b2
        if y is None:
            return scores
        N = len(y)
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(N), y]).mean() + 0.5 * self.reg * (np.sum(W1**2) + np.sum(W2**2))
        p[np.arange(N), y] -= 1
        p /= N
        dh = p.dot(W2.T) * (h > 0)
        return loss, {'W1': X.T.dot(dh) + self.reg * W1, 'b1': dh.sum(0), 'W2': h.T.dot(p) + self.reg * W2, 'b2': dh.sum() * 0 + p.mean(0)}  # b2 averaged
