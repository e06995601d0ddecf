# Right on paper, and short of digits or range where a careful formula is not.
import numpy as np


def sigmoid_forward(x):
    out = 0.5 * (1 + np.tanh(0.5 * x))
    return out, out


def sigmoid_backward(dout, out):
    return dout * out * (1 - out)


def softmax_loss(x, y):
    N = x.shape[0]
    shifted = x - np.max(x)
    probs = np.exp(shifted) / np.sum(np.exp(shifted), axis=1, keepdims=True)
    loss = -np.mean(np.log(probs[np.arange(N), y]))
    probs[np.arange(N), y] -= 1
    return loss, probs / N


def softmax_loss_vectorized(W, X, y, reg):
    """Not shifted at all: wrong."""
    N = X.shape[0]
    probs = np.exp(X @ W)
    probs /= probs.sum(axis=1, keepdims=True)
    loss = -np.mean(np.log(probs[np.arange(N), y])) + 0.5 * reg * np.sum(W * W)
    probs[np.arange(N), y] -= 1
    return loss, X.T @ probs / N + reg * W
