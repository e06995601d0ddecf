"""Nothing but loops and lists, as one writes before meeting broadcasting."""

import math

import numpy as np


def affine_forward(x, w, b):
    D, M = w.shape
    rows = []
    for i in range(len(x)):
        flat = x[i].ravel()
        row = []
        for m in range(M):
            total = b[m]
            for d in range(D):
                total = total + flat[d] * w[d, m]
            row.append(total)
        rows.append(row)
    out = np.array(rows).reshape(len(x), M)
    cache = [x, w, b]
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(b.shape)
    for i in range(dout.shape[0]):
        flat = x[i].reshape(-1)
        grad = np.zeros(flat.shape)
        for m in range(dout.shape[1]):
            grad += dout[i, m] * w[:, m]
            dw[:, m] += dout[i, m] * flat
            db[m] += dout[i, m]
        dx[i] = grad.reshape(x[i].shape)
    return dx, dw, db


def relu_forward(x):
    out = x.copy()
    for index in np.ndindex(*x.shape):
        if out[index] < 0:
            out[index] = 0
    return out, x


def relu_backward(dout, x):
    dx = np.zeros_like(dout)
    for index in np.ndindex(*x.shape):
        if x[index] > 0:
            dx[index] = dout[index]
    return dx


def softmax_loss(x, y):
    N, C = x.shape
    loss, dx = 0.0, np.zeros((N, C))
    for i in range(N):
        top = max(x[i])
        total = 0.0
        for c in range(C):
            total += math.exp(x[i, c] - top)
        for c in range(C):
            dx[i, c] = math.exp(x[i, c] - top) / total / N
        dx[i, y[i]] -= 1.0 / N
        loss += math.log(total) - (x[i, y[i]] - top)
    return loss / N, dx


def svm_loss(x, y):
    N, C = x.shape
    loss, dx = 0.0, np.zeros_like(x)
    for i in range(N):
        for c in range(C):
            if c == y[i]:
                continue
            margin = x[i, c] - x[i, y[i]] + 1
            if margin > 0:
                loss += margin
                dx[i, c] += 1
                dx[i, y[i]] -= 1
    return loss / N, dx / N
