"""The first year's layout: an example is a column, W is (C, D) and X (D, N)."""

import numpy as np


def svm_loss_naive(W, X, y, reg):
    dW = np.zeros(W.shape)
    loss = 0.0
    for i in xrange(X.shape[1]):
        scores = W.dot(X[:, i])
        for j in xrange(W.shape[0]):
            margin = scores[j] - scores[y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin
                dW[j] += X[:, i]
                dW[y[i]] -= X[:, i]
    return loss / X.shape[1] + 0.5 * reg * np.sum(W * W), dW / X.shape[1] + reg * W


def softmax_loss_vectorized(W, X, y, reg):
    N = X.shape[1]
    f = W.dot(X)
    f -= f.max(axis=0)
    log_probs = f - np.log(np.exp(f).sum(axis=0))
    probs = np.exp(log_probs)
    probs[y, range(N)] -= 1
    loss = -log_probs[y, range(N)].sum() / N + 0.5 * reg * np.sum(W * W)
    return loss, probs.dot(X.T) / N + reg * W
