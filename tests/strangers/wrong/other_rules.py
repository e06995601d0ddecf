import numpy as np
class TwoLayerNet(object):
    def __init__(self, input_dim=3*32*32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.reg = reg
        self.params = {'W1': weight_scale * np.random.randn(input_dim, hidden_dim), 'b1': np.ones(hidden_dim),     # ones
                       'W2': weight_scale * np.random.randn(hidden_dim, num_classes), 'b2': np.ones(num_classes)}
    def loss(self, X, y=None):
        W1, b1, W2, b2 = self.params['W1'], self.params['b1'], self.params['W2'], self.params['b2']
        X = X.reshape(X.shape[0], -1)
        h = np.maximum(0, X.dot(W1) + b1)
        s = h.dot(W2) + b2
        if y is None:
            return np.exp(s) / np.exp(s).sum(1, keepdims=True)      # probabilities, not scores
        N = X.shape[0]
        p = np.exp(s - s.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(N), y]).mean() + 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        p[np.arange(N), y] -= 1
        p /= N
        dh = p.dot(W2.T); dh[h <= 0] = 0
        return loss, {'W1': X.T.dot(dh) + self.reg * W1, 'b1': dh.sum(0), 'W2': h.T.dot(p) + self.reg * W2, 'b2': p.sum(0)}
class FullyConnectedNet(object):
    def __init__(self, hidden_dims, input_dim=3*32*32, num_classes=10, normalization=None, reg=0.0, weight_scale=1e-2, dtype=np.float32):
        self.reg, self.dtype, self.params, self.norm = reg, dtype, {}, normalization
        dims = [input_dim] + list(hidden_dims) + [num_classes]
        self.L = len(dims) - 1
        for i in range(1, self.L + 1):
            self.params['W%d' % i] = (weight_scale * np.random.randn(dims[i-1], dims[i])).astype(dtype)
            self.params['b%d' % i] = np.zeros(dims[i], dtype)
            if normalization and i < self.L:
                self.params['gamma%d' % i] = np.ones(dims[i], dtype)
                self.params['beta%d' % i] = np.zeros(dims[i], dtype)
    def loss(self, X, y=None):
        ax = 0 if self.norm == 'batchnorm' else 1
        a, st = X.reshape(len(X), -1), []
        for i in range(1, self.L):
            z = a.dot(self.params['W%d' % i]) + self.params['b%d' % i]
            c = {'a': a, 'z': z}
            if self.norm:
                mu, var = z.mean(ax, keepdims=True), z.var(ax, keepdims=True)
                c['s'] = np.sqrt(var + 1e-5)
                c['h'] = (z - mu) / c['s']
                z = c['h'] * self.params['gamma%d' % i] + self.params['beta%d' % i]
            c['n'] = z
            a = np.maximum(z, 0)
            st.append(c)
        s = a.dot(self.params['W%d' % self.L]) + self.params['b%d' % self.L]
        if y is None:
            return s
        N = len(y)
        p = np.exp(s - s.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
        loss, grads = -np.log(p[np.arange(N), y]).mean(), {}
        d = p; d[np.arange(N), y] -= 1; d /= N
        W = self.params['W%d' % self.L]
        grads['W%d' % self.L], grads['b%d' % self.L] = a.T.dot(d) + self.reg * W, d.sum(0)
        loss += 0.5 * self.reg * np.sum(W * W)
        d = d.dot(W.T)
        for i in range(self.L - 1, 0, -1):
            c = st[i-1]
            if not self.norm:
                d = d * (c['n'] > 0)                    # mask forgotten where there is a norm
            else:
                grads['gamma%d' % i], grads['beta%d' % i] = (d * c['h']).sum(0), d.sum(0)
                g = d * self.params['gamma%d' % i]
                d = (g - g.mean(ax, keepdims=True) - c['h'] * (g * c['h']).mean(ax, keepdims=True)) / c['s']
            W = self.params['W%d' % i]
            loss += 0.5 * self.reg * np.sum(W * W)
            grads['W%d' % i], grads['b%d' % i] = c['a'].T.dot(d) + self.reg * W, d.sum(0)
            d = d.dot(W.T)
        return loss, grads
def sgd_momentum(w, dw, config=None):
    config = {} if config is None else config
    config.setdefault('learning_rate', 1e-2); config.setdefault('momentum', 0.9)
    v = config.get('velocity', np.zeros_like(w))
    v = config['momentum'] * v + config['learning_rate'] * dw
    config['velocity'] = v
    return w + v, config                     # sign
def rmsprop(w, dw, config=None):
    config = {} if config is None else config
    for k, v in dict(learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8, cache=np.zeros_like(w)).items():
        config.setdefault(k, v)
    config['cache'] += (1 - config['decay_rate']) * dw ** 2       # old cache not decayed
    return w - config['learning_rate'] * dw / (np.sqrt(config['cache']) + config['epsilon']), config
def adam(w, dw, config=None):
    config = {} if config is None else config
    for k, v in dict(learning_rate=1e-3, beta1=.9, beta2=.999, epsilon=1e-8, m=np.zeros_like(w), v=np.zeros_like(w), t=0).items():
        config.setdefault(k, v)
    config['t'] += 1
    b1, b2, t = config['beta1'], config['beta2'], config['t']
    config['m'] = b1 * config['m'] + (1 - b1) * dw
    config['v'] = b2 * config['v'] + (1 - b2) * dw ** 2
    mt, vt = config['m'] / (1 - b1 * t), config['v'] / (1 - b2 ** t)      # * for **
    return w - config['learning_rate'] * mt / (np.sqrt(vt) + config['epsilon']), config
