import numpy as np
def softmax_loss_naive(W, X, y, reg):
    loss, dW = 0.0, np.zeros_like(W)
    N, C = X.shape[0], W.shape[1]
    for i in range(N):
        s = X[i].dot(W)
        s -= s.max()
        p = np.exp(s) / np.sum(np.exp(s))
        loss += -np.log(p[y[i]])
        for j in range(C):
            dW[:, j] += (p[j] - (j == y[i])) * X[i]
    loss = loss / N + reg * np.sum(W * W)
    dW = dW / N + reg * W                       # 2 forgotten
    return loss, dW
def softmax_loss_vectorized(W, X, y, reg):
    N = X.shape[0]
    s = X.dot(W)
    s -= s.max(axis=1, keepdims=True)
    p = np.exp(s) / np.sum(np.exp(s), axis=0, keepdims=True)       # axis 0
    loss = -np.log(p[np.arange(N), y]).mean() + 0.5 * reg * np.sum(W * W)
    p[np.arange(N), y] -= 1
    return loss, X.T.dot(p) / N + reg * W
def svm_loss_naive(W, X, y, reg):
    dW, loss = np.zeros_like(W), 0.0
    N, C = X.shape[0], W.shape[1]
    for i in range(N):
        s = X[i].dot(W)
        for j in range(C):
            if j == y[i]:
                continue
            m = s[j] - s[y[i]] + 1
            if m > 0:
                loss += m
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    return loss / N + 0.5 * reg * np.sum(W ** 2), dW / N + reg * np.sum(W)    # sum for W
def svm_loss_vectorized(W, X, y, reg):
    N = X.shape[0]
    s = X.dot(W)
    m = np.maximum(0, s - s[np.arange(N), y][:, None] + 1)
    m[np.arange(N), y] = 0
    loss = np.mean(m) + 0.5 * reg * np.sum(W ** 2)             # mean over everything
    k = (m > 0).astype(float)
    k[np.arange(N), y] = -k.sum(1)
    return loss, X.T.dot(k) / N + reg * W
class TwoLayerNet(object):
    def __init__(self, input_dim=3*32*32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.reg = reg
        self.params = {'W1': np.random.randn(input_dim, hidden_dim) / np.sqrt(input_dim), 'b1': np.zeros(hidden_dim),
                       'W2': np.random.randn(hidden_dim, num_classes) / np.sqrt(hidden_dim), 'b2': np.zeros(num_classes)}    # not weight_scale
    def loss(self, X, y=None):
        W1, b1, W2, b2 = self.params['W1'], self.params['b1'], self.params['W2'], self.params['b2']
        X = X.reshape(X.shape[0], -1)
        h = np.maximum(0, X.dot(W1) + b1)
        s = h.dot(W2) + b2
        if y is None:
            return s
        N = X.shape[0]
        p = np.exp(s - s.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(N), y]).mean() + 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2) + np.sum(b1 * b1) + np.sum(b2 * b2))    # biases in the loss
        p[np.arange(N), y] -= 1
        p /= N
        dh = p.dot(W2.T); dh[h <= 0] = 0
        return loss, {'W1': X.T.dot(dh) + self.reg * W1, 'b1': dh.sum(0), 'W2': h.T.dot(p) + self.reg * W2, 'b2': p.sum(0)}
class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3*32*32, num_classes=10, reg=0.0, weight_scale=1e-2, dtype=np.float32):
        self.reg, self.dtype, self.params = reg, dtype, {}
        dims = [input_dim] + list(hidden_dims) + [num_classes]
        self.L = len(dims) - 1
        for i in range(1, self.L + 1):
            self.params['W%d' % i] = (weight_scale * np.random.randn(dims[i-1], dims[i])).astype(dtype)
            self.params['b%d' % i] = np.zeros(dims[i], dtype)
    def loss(self, X, y=None):
        a, z = [X.reshape(len(X), -1)], []
        for i in range(1, self.L + 1):
            z.append(a[-1].dot(self.params['W%d' % i]) + self.params['b%d' % i])
            a.append(np.maximum(z[-1], 0))          # also on the last
        if y is None:
            return a[-1]
        N, s = len(y), a[-1]
        p = np.exp(s - s.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
        loss, grads = -np.log(p[np.arange(N), y]).mean(), {}
        d = p; d[np.arange(N), y] -= 1; d /= N
        for i in range(self.L, 0, -1):
            d = d * (z[i-1] > 0)
            W = self.params['W%d' % i]
            loss += 0.5 * self.reg * np.sum(W * W)
            grads['W%d' % i], grads['b%d' % i] = a[i-1].T.dot(d) + self.reg * W, d.sum(0)
            d = d.dot(W.T)
        return loss, grads
