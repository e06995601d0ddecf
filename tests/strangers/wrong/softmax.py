"""The naive loss does not regularise its gradient; the vectorised one regularises with a factor that is nobody's."""

import numpy as np


def softmax_loss_naive(W, X, y, reg):
    loss, dW = 0.0, np.zeros_like(W)
    for i in range(len(X)):
        f = X[i].dot(W)
        f -= f.max()
        p = np.exp(f) / np.sum(np.exp(f))
        loss += np.log(np.sum(np.exp(f))) - f[y[i]]
        p[y[i]] -= 1
        dW += np.outer(X[i], p)
    return loss / len(X) + 0.5 * reg * np.sum(W * W), dW / len(X)


def softmax_loss_vectorized(W, X, y, reg):
    N = len(X)
    f = X.dot(W)
    f -= f.max(axis=1, keepdims=True)
    logp = f - np.log(np.exp(f).sum(axis=1, keepdims=True))
    p = np.exp(logp)
    p[np.arange(N), y] -= 1
    return -logp[np.arange(N), y].mean() + reg * np.sum(W * W), X.T.dot(p) / N + reg * W
