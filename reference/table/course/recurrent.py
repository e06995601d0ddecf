"""torch expressions of what CS231n builds beyond single layers: nets of any depth, recurrent layers, and its slips."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table.expressions import affine, batchnorm, layernorm
from scratchproof.table.nets import LOSSES, regularised


def linear_loss(W: Tensor, X: Tensor, y: Tensor, *, reg: float = 0.0, loss: str = "softmax") -> Tensor:
    return regularised(LOSSES[loss](X @ W, y), [W], reg)


def svm_linear_loss(W: Tensor, X: Tensor, y: Tensor, *, reg: float = 0.0) -> Tensor:
    return linear_loss(W, X, y, reg=reg, loss="svm")


def softmax_linear_loss(W: Tensor, X: Tensor, y: Tensor, *, reg: float = 0.0) -> Tensor:
    return linear_loss(W, X, y, reg=reg)


NORMALISE = {"batchnorm": batchnorm, "layernorm": layernorm}


def deep_scores(X: Tensor, y: Tensor, *params: Tensor, normalization: str | None = None, **_: object) -> Tensor:
    """{affine - [normalisation] - relu} as often as there are parameters for it, then affine."""
    out, each = X, 4 if normalization else 2
    for at in range(0, len(params) - 2, each):
        out = affine(out, *params[at : at + 2])
        if normalization:
            out = NORMALISE[normalization](out, *params[at + 2 : at + 4])
        out = F.relu(out)
    return affine(out, *params[-2:])


def deep_loss(
    X: Tensor, y: Tensor, *params: Tensor, reg: float = 0.0, normalization: str | None = None, **_: object
) -> Tensor:
    return regularised(F.cross_entropy(deep_scores(X, y, *params, normalization=normalization), y), params, reg)


STEPS = 2  # of training before test mode is asked


def deep_tested(
    X: Tensor,
    y: Tensor,
    Z: Tensor,
    *params: Tensor,
    share: float = 1 - 0.9**STEPS,
    correction: int = 0,
    start: float = 0.0,
    eps: float = 1e-5,
    **_: object,
) -> Tensor:
    """Scores of Z in test mode after STEPS steps of training on X: batch norm by the running statistics alone.

    share: of the batch's statistics in the running ones, by batch norm's momentum of 0.9. start: of the variance.
    """
    for at in range(0, len(params) - 2, 4):
        W, b, gamma, beta = params[at : at + 4]
        X, Z = affine(X, W, b), affine(Z, W, b)
        mean, var = share * X.mean(0), share * X.var(0, correction=correction) + (1 - share) * start
        Z = F.relu(gamma * (Z - mean) / torch.sqrt(var + eps) + beta)
        X = F.relu(batchnorm(X, gamma, beta, eps=eps))
    return affine(Z, *params[-2:])


TESTED_OTHERWISE = {
    "the running variance is unbiased": partial(deep_tested, correction=1),
    "the running variance starts at 1": partial(deep_tested, start=1.0),
    "the running variance is unbiased and starts at 1": partial(deep_tested, correction=1, start=1.0),
}


def rnn_step(x: Tensor, prev_h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    return torch.tanh(x @ Wx + prev_h @ Wh + b)


def rnn(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    h, found = h0, []
    for step in x.unbind(1):
        found.append(h := rnn_step(step, h, Wx, Wh, b))
    return torch.stack(found, 1)


def lstm_step(x: Tensor, prev_h: Tensor, prev_c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Mapping[str, Tensor]:
    i, f, o, g = (x @ Wx + prev_h @ Wh + b).chunk(4, 1)
    c = torch.sigmoid(f) * prev_c + torch.sigmoid(i) * torch.tanh(g)
    return {"next_h": torch.sigmoid(o) * torch.tanh(c), "next_c": c}


def lstm(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    h, c, found = h0, torch.zeros_like(h0), []
    for step in x.unbind(1):
        h, c = lstm_step(step, h, c, Wx, Wh, b).values()
        found.append(h)
    return torch.stack(found, 1)


def temporal_softmax(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    losses = F.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="none")
    return (losses * mask.flatten()).sum() / len(x)
