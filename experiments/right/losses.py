"""Losses in many hands."""

import math

import numpy as np


def _loss(layer, styles):
    return {(layer, style): {layer: function} for style, function in styles.items()}


def _labels(x, y):
    one_hot = np.zeros_like(x)
    one_hot[np.arange(len(y)), y] = 1
    return one_hot


def shifted(x, y):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    log_sums = np.log(e.sum(axis=1)) + x.max(axis=1)
    dx = e / e.sum(axis=1, keepdims=True)
    dx[np.arange(len(y)), y] -= 1
    return np.mean(log_sums - x[np.arange(len(y)), y]), dx / len(y)


def by_log_probabilities(x, y):
    z = x - np.max(x, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    N = x.shape[0]
    return -np.sum(log_p[range(N), y]) / N, (np.exp(log_p) - _labels(x, y)) / N


def by_logaddexp(x, y):
    """Without a shift: the sum of exponentials is never left as such."""
    z = x - np.max(x, axis=1, keepdims=True)
    total = np.logaddexp.reduce(z, axis=1)
    picked = np.take_along_axis(z, np.asarray(y)[:, None], 1)[:, 0]
    return (total - picked).sum() / len(x), (np.exp(z - total[:, None]) - _labels(x, y)) / len(x)


def one_row_at_a_time(x, y):
    loss, dx = 0.0, np.zeros_like(x)
    for n, scores in enumerate(x):
        z = scores - scores.max()
        e = np.exp(z)
        loss += np.log(e.sum()) - z[y[n]]
        dx[n] = e / e.sum()
        dx[n, y[n]] -= 1
    return loss / len(x), dx / len(x)


def in_plain_python(x, y):
    rows, losses = [], []
    for scores, label in zip(x.tolist(), y.tolist(), strict=True):
        most = max(scores)
        e = [math.exp(score - most) for score in scores]
        total = math.fsum(e)
        losses.append(most + math.log(total) - scores[label])
        rows.append([(v / total - (c == label)) / len(y) for c, v in enumerate(e)])
    return math.fsum(losses) / len(y), np.array(rows, x.dtype).reshape(x.shape)


def in_double(x, y):
    """Everything in float64, given back in the dtype that came."""
    loss, dx = shifted(x.astype(np.float64), y)
    return x.dtype.type(loss), dx.astype(x.dtype)


def one_hot_labels(x, y):
    t, z = np.eye(x.shape[1], dtype=x.dtype)[y], x - np.amax(x, 1)[:, None]
    sums = np.exp(z).sum(1, keepdims=True)
    return np.sum(np.log(sums)[:, 0] - (t * z).sum(1)) / len(t), (np.exp(z) / sums - t) / len(t)


def margins(x, y):
    rows = np.arange(len(y))
    over = np.maximum(0, x - x[rows, y][:, None] + 1)
    over[rows, y] = 0
    dx = (over > 0).astype(x.dtype)
    dx[rows, y] -= dx.sum(axis=1)
    return over.sum() / len(y), dx / len(y)


def margins_one_by_one(x, y):
    N, C = x.shape
    loss, dx = 0.0, np.zeros_like(x)
    for i in range(N):
        for j in range(C):
            margin = x[i, j] - x[i, y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin
                dx[i, j] += 1 / N
                dx[i, y[i]] -= 1 / N
    return loss / N, dx


def margins_counted(x, y):
    right = np.take_along_axis(x, np.asarray(y)[:, None], 1)
    others = _labels(x, y) == 0
    beyond = others & (x - right + 1 > 0)
    dx = np.where(others, beyond, -beyond.sum(1, keepdims=True)).astype(x.dtype)
    return np.where(beyond, x - right + 1, 0).sum() / len(x), dx / len(x)


def margins_of_rows(x, y):
    losses, grads = [], []
    for scores, label in zip(x, y, strict=True):
        over = (scores - scores[label] + 1).clip(0)
        over[label] = 0
        above = np.sign(over)
        above[label] = -above.sum()
        losses.append(over.sum())
        grads.append(above)
    return np.sum(losses) / len(x), np.stack(grads).astype(x.dtype) / len(x)


def _probability(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def by_softplus(x, y):
    each = np.where(y == 1, np.logaddexp(0, -x), np.logaddexp(0, x))
    return each.mean(), np.where(y == 1, -_probability(-x), _probability(x)) / x.size


def by_parts(x, y):
    small = np.log1p(np.exp(-np.abs(x)))
    each = np.where(y == 1, np.maximum(-x, 0), np.maximum(x, 0)) + small
    signs = np.where(y == 1, -1, 1).astype(x.dtype)
    return each.sum() / len(x), signs * _probability(signs * x) / len(x)


def by_signs(x, y):
    signs = 2 * y.astype(x.dtype) - 1
    slopes = -np.exp(-np.logaddexp(0, signs * x)) * signs
    return np.logaddexp(0, -signs * x).mean(), slopes / len(x)


def squares(x, y):
    return 0.5 * np.sum((x - y) ** 2) / len(x), (x - y) / len(x)


def inner_product(x, y):
    error = (x - y).ravel()
    return error.dot(error) / (2 * len(x)), error.reshape(x.shape) / len(x)


def sample_by_sample(x, y):
    total, dx = 0.0, np.empty_like(x)
    for n in range(len(x)):
        dx[n] = x[n] - y[n]
        total += 0.5 * np.square(dx[n]).sum()
    return total / len(x), dx / len(x)


STYLES = {
    **_loss(
        "softmax_loss",
        {
            "shifted": shifted,
            "log probabilities": by_log_probabilities,
            "logaddexp": by_logaddexp,
            "one row at a time": one_row_at_a_time,
            "plain Python": in_plain_python,
            "double inside": in_double,
            "one-hot labels": one_hot_labels,
        },
    ),
    **_loss(
        "svm_loss",
        {
            "margins": margins,
            "one by one": margins_one_by_one,
            "counted": margins_counted,
            "row by row": margins_of_rows,
        },
    ),
    **_loss("logistic_loss", {"softplus": by_softplus, "two parts": by_parts, "signs": by_signs}),
    **_loss(
        "squared_loss",
        {"squares": squares, "an inner product": inner_product, "sample by sample": sample_by_sample},
    ),
}
