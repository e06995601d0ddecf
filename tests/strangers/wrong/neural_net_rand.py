import numpy as np
class TwoLayerNet(object):
    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.params = {}
        self.params['W1'] = std * np.random.rand(input_size, hidden_size)   # rand for randn
        self.params['b1'] = np.zeros(hidden_size)
        self.params['W2'] = std * np.random.rand(hidden_size, output_size)
        self.params['b2'] = np.zeros(output_size)
    def loss(self, X, y=None, reg=0.0):
        W1, b1, W2, b2 = (self.params[k] for k in ('W1', 'b1', 'W2', 'b2'))
        N = X.shape[0]
        h = np.maximum(0, X.dot(W1) + b1)
        scores = h.dot(W2) + b2
        if y is None:
            return scores
        e = np.exp(scores - scores.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        loss = -np.log(p[range(N), y]).mean() + reg * (np.sum(W1 ** 2) + np.sum(W2 ** 2))
        p[range(N), y] -= 1
        p /= N
        grads = {'W2': h.T.dot(p) + reg * W2, 'b2': p.sum(0)}     # 2 * missing for the doubled loss
        dh = p.dot(W2.T)
        dh[h <= 0] = 0
        grads['W1'] = X.T.dot(dh) + reg * W1
        grads['b1'] = dh.sum(0)
        return loss, grads
    def predict(self, X):
        h = np.maximum(0, X.dot(self.params['W1']) + self.params['b1'])
        return np.argmax(h.dot(self.params['W2']), axis=0)      # axis 0
