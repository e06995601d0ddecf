"""Nobody thought of float32: np.zeros, np.eye, Python floats."""

import numpy as np


def relu_forward(x):
    out = np.zeros(x.shape)
    out[x > 0] = x[x > 0]
    return out, x


def relu_backward(dout, x):
    mask = np.zeros(x.shape)
    mask[x > 0] = 1.0
    return dout * mask


def svm_loss(x, y):
    N, C = x.shape
    onehot = np.eye(C)[y]
    correct = np.sum(x * onehot, axis=1, keepdims=True)
    margins = np.maximum(0.0, (x - correct + 1.0) * (1 - onehot))
    counts = (margins > 0) * 1.0
    return float(np.sum(margins)) / N, (counts - onehot * counts.sum(axis=1, keepdims=True)) / N


def softmax_loss(x, y):
    N, C = x.shape
    onehot = np.eye(C)[y]
    z = x - np.amax(x, axis=1)[:, np.newaxis]
    logsum = np.log(np.sum(np.exp(z), axis=1)).reshape((N, 1))
    loss = np.sum((logsum - z) * onehot) / float(N)
    return loss, (np.exp(z - logsum) - onehot) / float(N)


def avg_pool_forward(x, pool_param):
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    H2, W2 = 1 + (x.shape[2] - h) // s, 1 + (x.shape[3] - w) // s
    out = np.zeros((x.shape[0], x.shape[1], H2, W2))
    for i in range(H2):
        for j in range(W2):
            out[:, :, i, j] = np.mean(x[:, :, i * s : i * s + h, j * s : j * s + w], axis=(2, 3))
    return out, (x.shape, pool_param)


def avg_pool_backward(dout, cache):
    shape, pool_param = cache
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, i * s : i * s + h, j * s : j * s + w] += dout[:, :, i, j][:, :, None, None] / (h * w)
    return dx
