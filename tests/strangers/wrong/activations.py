import numpy as np
def leaky_relu_forward(x, alpha=0.01):
    return np.maximum(alpha * x, x), x
def leaky_relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0.1 * dout)      # slope 0.1 in backward
def sigmoid_forward(x):
    out = 1 / (1 + np.exp(-x))
    return out, x
def sigmoid_backward(dout, cache):
    return dout * cache * (1 - cache)                 # x cached instead of out
def tanh_forward(x):
    t = np.tanh(x)
    return t, t
def tanh_backward(dout, cache):
    return dout * (1 - np.tanh(cache) ** 2)           # tanh taken twice
def affine_forward(x, w, b):
    N = x.shape[0]
    return x.reshape(N, -1).dot(w) + b, (x, w, b)
def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T)
    dw = x.T.dot(dout) if x.ndim == 2 else x.reshape(x.shape[0], -1).T.dot(dout)
    db = dout.sum()                                   # scalar
    return dx.reshape(x.shape), dw, db
