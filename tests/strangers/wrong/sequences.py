import numpy as np
def rnn_step_forward(x, prev_h, Wx, Wh, b):
    h = np.tanh(x @ Wx + prev_h @ Wh)              # b forgotten
    return h, (x, prev_h, Wx, Wh, h)
def rnn_step_backward(dh, cache):
    x, prev_h, Wx, Wh, h = cache
    d = dh * (1 - h * h)
    return d @ Wx.T, d @ Wh.T, x.T @ d, prev_h.T @ d, d.sum(0)
def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    s = lambda t: 1 / (1 + np.exp(-t))
    a = x @ Wx + prev_h @ Wh + b
    i, f, o, g = s(a[:, :H]), s(a[:, H:2*H]), s(a[:, 2*H:3*H]), np.tanh(a[:, 3*H:])
    c = f * prev_c + i * g
    return o * np.tanh(c), c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, c)
def lstm_step_backward(dh, dc, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, c = cache
    t = np.tanh(c)
    dc = dh * o * (1 - t * t)                      # incoming dc overwritten
    da = np.hstack((dc * g * i * (1 - i), dc * prev_c * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g * g)))
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(0)
def temporal_affine_forward(x, w, b):
    N, T, D = x.shape
    return x.reshape(N * T, D).dot(w).reshape(N, T, -1) + b, (x, w)
def temporal_affine_backward(dout, cache):
    x, w = cache
    N, T, D = x.shape
    d = dout.reshape(N * T, -1)
    return d.dot(w.T).reshape(N, T, D), x.reshape(N * T, D).T.dot(d), dout.sum(0)      # db over N only
def word_embedding_forward(x, W):
    return W[x], (x, W)
def word_embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    np.add.at(dW, x, 1)                             # counts, not dout
    return dW
def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    eps, mom = bn_param.get('eps', 1e-5), bn_param.get('momentum', .9)
    N, C, H, W = x.shape
    rm, rv = bn_param.get('running_mean', np.zeros(C)), bn_param.get('running_var', np.zeros(C))
    f = lambda v: v.reshape(1, C, 1, 1)
    if bn_param['mode'] == 'train':
        mu, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        xh = (x - f(mu)) / np.sqrt(f(var) + eps)
        bn_param['running_mean'], bn_param['running_var'] = mom * rm + (1 - mom) * mu, mom * rv + (1 - mom) * var
        return f(gamma) * xh + f(beta), (xh, gamma, var, eps)
    return f(gamma) * (x - f(rm)) / np.sqrt(f(rv) + eps) + f(beta), None
def spatial_batchnorm_backward(dout, cache):
    xh, gamma, var, eps = cache
    N, C, H, W = dout.shape
    f = lambda v: v.reshape(1, C, 1, 1)
    g, M = dout * f(gamma), N                       # N for N*H*W
    dx = (M * g - f(g.sum((0, 2, 3))) - xh * f((g * xh).sum((0, 2, 3)))) / (M * np.sqrt(f(var) + eps))
    return dx, (dout * xh).sum((0, 2, 3)), dout.sum((0, 2, 3))
