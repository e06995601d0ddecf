"""The gradient of the softmax loss is not divided by N; the SVM counts the right class's margin."""

import numpy as np


def softmax_loss(x, y):
    N = x.shape[0]
    z = x - np.max(x, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    dx = np.exp(logp)
    dx[np.arange(N), y] -= 1
    return -np.sum(logp[np.arange(N), y]) / N, dx


def svm_loss(x, y):
    N = x.shape[0]
    margins = np.maximum(0, x - x[np.arange(N), y][:, np.newaxis] + 1.0)
    loss = np.sum(margins) / N
    margins[np.arange(N), y] = 0
    dx = np.array(margins > 0, dtype=x.dtype)
    dx[np.arange(N), y] -= np.sum(margins > 0, axis=1)
    return loss, dx / N
