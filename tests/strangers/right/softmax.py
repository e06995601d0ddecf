import numpy as np
from random import shuffle
from past.builtins import xrange


def softmax_loss_naive(W, X, y, reg):
    """
    Softmax loss function, naive implementation (with loops)
    """
    loss = 0.0
    dW = np.zeros_like(W)
    num_train, num_classes = X.shape[0], W.shape[1]
    for i in xrange(num_train):
        scores = X[i].dot(W)
        scores = scores - np.max(scores)
        total = np.sum(np.exp(scores))
        loss += np.log(total) - scores[y[i]]
        for j in xrange(num_classes):
            p = np.exp(scores[j]) / total
            dW[:, j] += (p - (j == y[i])) * X[i]
    loss = loss / num_train + 0.5 * reg * np.sum(W * W)
    return loss, dW / num_train + reg * W


def softmax_loss_vectorized(W, X, y, reg):
    N = X.shape[0]
    f = X.dot(W)
    f -= f.max(axis=1, keepdims=True)
    logsum = np.log(np.exp(f).sum(axis=1, keepdims=True))
    loss = np.mean(logsum[:, 0] - f[range(N), y]) + reg * np.sum(W * W)
    P = np.exp(f - logsum)
    P[range(N), list(y)] -= 1
    return loss, X.T.dot(P) / N + 2 * reg * W
