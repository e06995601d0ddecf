import numpy as np
from random import shuffle


def svm_loss_naive(W, X, y, reg):
    dW = np.zeros(W.shape)
    num_classes = W.shape[1]
    num_train = X.shape[0]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        correct_class_score = scores[y[i]]
        for j in range(num_classes):
            if j == y[i]:
                continue
            margin = scores[j] - correct_class_score + 1  # note delta = 1
            if margin > 0:
                loss += margin
                dW[:, j] += X[i].T
                dW[:, y[i]] -= X[i].T
    loss /= num_train
    dW /= num_train
    loss += reg * np.sum(W * W)
    dW += 2 * reg * W
    return loss, dW


def svm_loss_vectorized(W, X, y, reg):
    N = len(X)
    S = X @ W
    M = S - S[np.arange(N), y].reshape(N, 1) + 1
    M[np.arange(N), y] = 0
    M = np.clip(M, 0, None)
    loss = M.sum() / N + 0.5 * reg * (W**2).sum()
    B = np.array(M > 0, dtype=W.dtype)
    B[np.arange(N), y] = -B.sum(1)
    return loss, X.T @ B / N + reg * W
