"""This file defines layer types that are commonly used for recurrent neural networks."""
import torch


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1) @ w + b
    return out


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = None
    next_h = torch.tanh(x @ Wx + prev_h @ Wh + b)
    return next_h


def rnn_forward(x, h0, Wx, Wh, b):
    h = []
    prev = h0
    for t in range(x.shape[1]):
        prev = rnn_step_forward(x[:, t], prev, Wx, Wh, b)
        h.append(prev)
    return torch.stack(h, dim=1)


def word_embedding_forward(x, W):
    return W[x]


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    pass


def temporal_affine_forward(x, w, b):
    N, T, D = x.shape
    M = b.shape[0]
    out = (x.reshape(N * T, D) @ w).reshape(N, T, M) + b
    return out


def temporal_softmax_loss(x, y, mask, verbose=False):
    N, T, V = x.shape
    x_flat = x.reshape(N * T, V)
    y_flat = y.reshape(N * T)
    mask_flat = mask.reshape(N * T)
    loss = torch.nn.functional.cross_entropy(x_flat, y_flat, reduction='none')
    loss = torch.mul(loss, mask_flat)
    loss = torch.sum(loss) / N
    return loss
