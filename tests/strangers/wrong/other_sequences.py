import numpy as np
def rnn_step_forward(x, prev_h, Wx, Wh, b):
    h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return h, (x, prev_h, Wx, Wh, h)
def rnn_step_backward(dh, cache):
    x, prev_h, Wx, Wh, h = cache
    d = dh * (1 - h ** 2)
    return d @ Wx.T, d @ Wh.T, x.T @ d, h.T @ d, d.sum(0)       # next_h for prev_h in dWh
def rnn_forward(x, h0, Wx, Wh, b):
    hs, cs, h = [], [], h0
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        hs.append(h)
    return np.stack(hs, 1), (x, h0, Wx, Wh, np.stack(hs, 1))
def rnn_backward(dh, cache):
    x, h0, Wx, Wh, hs = cache
    N, T, H = dh.shape
    dx, dWx, dWh, db = np.zeros_like(x), 0, 0, 0
    nxt = 0
    for t in range(T - 1, -1, -1):
        d = (dh[:, t] + nxt) * (1 - hs[:, t] ** 2)
        prev = hs[:, t - 1] if t else h0
        dx[:, t] = d @ Wx.T
        dWx, dWh, db = dWx + x[:, t].T @ d, dWh + prev.T @ d, db + d.sum(0)
        nxt = d @ Wh.T
    return dx, np.zeros_like(h0), dWx, dWh, db                  # dh0 zero
def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    s = lambda t: 1 / (1 + np.exp(-t))
    a = x @ Wx + prev_h @ Wh + b
    i, f, o, g = s(a[:, :H]), s(a[:, H:2*H]), s(a[:, 2*H:3*H]), np.tanh(a[:, 3*H:])
    c = f * prev_c + i * g
    h = o * np.tanh(c)
    return h, c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, c)
def lstm_step_backward(dh, dc, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, c = cache
    t = np.tanh(c)
    dc = dc + dh * o * (1 - t ** 2)
    da = np.hstack((dc * g * i * (1 - i), dc * c * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g ** 2)))    # c for prev_c
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(0)
def temporal_softmax_loss(x, y, mask, verbose=False):
    N, T, V = x.shape
    xf, yf, mf = x.reshape(-1, V), y.reshape(-1), mask.reshape(-1)
    p = np.exp(xf - xf.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
    loss = -np.sum(mf * np.log(p[np.arange(N * T), yf])) / N
    d = p.copy(); d[np.arange(N * T), yf] -= 1
    return loss, (d / N).reshape(N, T, V)                       # mask forgotten in dx
def word_embedding_forward(x, W):
    return W[x], (x, W)
def word_embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    for n in range(x.shape[0]):
        for t in range(x.shape[1]):
            dW[x[n, t]] = dout[n, t]                            # = for +=
    return dW
def dropout_forward(x, dropout_param):
    p, mode = dropout_param['p'], dropout_param['mode']
    if 'seed' in dropout_param:
        np.random.seed(dropout_param['seed'])
    mask = (np.random.rand(*x.shape) < p) / p
    if mode == 'train':
        return x * mask, (mode, mask)
    return x, (mode, mask)
def dropout_backward(dout, cache):
    mode, mask = cache
    return dout * mask                                           # masks in test mode too
def sigmoid_forward(x):
    s = 1 / (1 + np.exp(-x))
    return s, s
def sigmoid_backward(dout, s):
    return dout * s * (s - 1)                                    # sign
