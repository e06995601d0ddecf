"""Slips in the two modes of batch norm: the running statistics kept in training, and their use in test mode."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scratchproof.table.expressions import batchnorm_inference, pixels_of
from scratchproof.table.slips.making import Slips, instead
from scratchproof.table.slips.norms import BATCH, Parts, full_dx, rows_normalised
from scratchproof.vjp import Expression


def _inference(made: Callable[..., Tensor]) -> Expression:
    """Test mode, the output made from x, gamma, beta, the running mean and variance, and eps."""

    def expression(x: Tensor, gamma: Tensor, beta: Tensor, *kept: Tensor, eps: float = 1e-5) -> Tensor:
        return made(x, gamma, beta, *kept, eps)

    return expression


INFERENCE: Slips = {
    "the batch's own mean and variance are used in test mode": _inference(
        lambda x, gamma, beta, mean, var, eps: rows_normalised(x, gamma, beta, eps=eps)
    ),
    "the batch's own mean is used in test mode": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - x.mean(0)) / torch.sqrt(var + eps) * gamma + beta
    ),
    "the batch's own variance is used in test mode": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) / torch.sqrt(x.var(0, correction=0) + eps) * gamma + beta
    ),
    "gamma and beta are missing in test mode": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) / torch.sqrt(var + eps)
    ),
    "gamma is missing in test mode": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) / torch.sqrt(var + eps) + beta
    ),
    "beta is missing in test mode": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) / torch.sqrt(var + eps) * gamma
    ),
    "x is divided by the variance: the root is missing": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) / (var + eps) * gamma + beta
    ),
    "eps is added outside the root": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) / (torch.sqrt(var) + eps) * gamma + beta
    ),
    "eps is added to the output, not under the root": _inference(
        lambda x, gamma, beta, mean, var, eps: gamma * (x - mean) / torch.sqrt(var) + eps + beta
    ),
    "the running mean is not subtracted": _inference(
        lambda x, gamma, beta, mean, var, eps: x / torch.sqrt(var + eps) * gamma + beta
    ),
    "the running variance does not divide": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) * gamma + beta
    ),
    "the running mean and the running variance are exchanged": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - var) / torch.sqrt(mean + eps) * gamma + beta
    ),
    "gamma and beta are exchanged in test mode": _inference(
        lambda x, gamma, beta, mean, var, eps: (x - mean) / torch.sqrt(var + eps) * beta + gamma
    ),
    "eps is left out": _inference(lambda x, gamma, beta, mean, var, eps: (x - mean) / torch.sqrt(var) * gamma + beta),
    "x is passed on as it is in test mode": _inference(lambda x, gamma, beta, mean, var, eps: 1 * x),
    "x is not normalised in test mode": _inference(lambda x, gamma, beta, mean, var, eps: gamma * x + beta),
}


def _training_dx(dout: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    p = Parts(x, BATCH, eps)
    p.std, p.normed = torch.sqrt(var + eps), (x - mean) / torch.sqrt(var + eps)
    return full_dx(p, dout * gamma)


INFERENCE_BACKWARD: Slips = {
    "the mean of dout is subtracted in dx, as in training: here mean and variance are constants": instead(
        batchnorm_inference,
        {0: lambda dout, x, gamma, beta, mean, var, eps=1e-5: (dout - dout.mean(0)) * gamma / torch.sqrt(var + eps)},
    ),
    "dx is that of training: here mean and variance are constants": instead(
        batchnorm_inference,
        {0: lambda dout, x, gamma, beta, mean, var, eps=1e-5: _training_dx(dout, x, gamma, mean, var, eps)},
    ),
}


def _unmoved(x: Tensor, *others: Tensor, eps: float = 1e-5) -> Tensor:
    return batchnorm_inference(x.reshape(-1, x.shape[1]), *others, eps=eps).reshape(x.shape)


SPATIAL_INFERENCE: Slips = {
    **{sentence: pixels_of(expression) for sentence, expression in INFERENCE.items()},
    "x is reshaped to (N*H*W, C) without moving its channels to the end first, and back likewise": _unmoved,
}


def running(
    made: Callable[..., tuple[Tensor, Tensor]], *, images: bool = False, over: int = 0, moved: bool = True
) -> Expression:
    """Running statistics from the old ones, the batch's own and the momentum; the batch is the first input.

    over: what is taken off N where the batch's variance is divided by it. moved: whether the channels of images are
    moved to the end before they are reshaped to rows.
    """

    def expression(x: Tensor, *others: Any, momentum: float = 0.9) -> Tensor:
        rows = (x.permute(0, 2, 3, 1) if moved else x).reshape(-1, x.shape[1]) if images else x
        now = rows.mean(0), rows.var(0, correction=over)
        return torch.stack(made(others[-2:], now, momentum, len(rows)))

    return expression


def _averaged(old: Tensor, new: Tensor, momentum: float) -> Tensor:
    return momentum * old + (1 - momentum) * new


Pair = tuple[Tensor, Tensor]
NEVER = "the running statistics are never updated: they are returned as they came"
_RUNNING: dict[str, Callable[[Pair, Pair, float, int], Pair]] = {
    NEVER: lambda old, new, m, n: old,
    "momentum and 1 - momentum are exchanged: the new batch gets the share of the old average": lambda old, new, m, n: (
        _averaged(old[0], new[0], 1 - m),
        _averaged(old[1], new[1], 1 - m),
    ),
    "momentum and 1 - momentum are exchanged in the running mean": lambda old, new, m, n: (
        _averaged(old[0], new[0], 1 - m),
        _averaged(old[1], new[1], m),
    ),
    "momentum and 1 - momentum are exchanged in the running variance": lambda old, new, m, n: (
        _averaged(old[0], new[0], m),
        _averaged(old[1], new[1], 1 - m),
    ),
    "the batch's mean and variance are those of all of x: the axis is missing": lambda old, new, m, n: (
        _averaged(old[0], new[0].mean(), m),
        _averaged(old[1], new[1].mean() + new[0].var(correction=0), m),
    ),
    "this batch's statistics replace the average: nothing of the old one is kept": lambda old, new, m, n: new,
    "this batch's mean replaces the average: nothing of the old one is kept": lambda old, new, m, n: (
        new[0],
        _averaged(old[1], new[1], m),
    ),
    "this batch's variance replaces the average: nothing of the old one is kept": lambda old, new, m, n: (
        _averaged(old[0], new[0], m),
        new[1],
    ),
    "only the running mean is updated, not the variance": lambda old, new, m, n: (
        _averaged(old[0], new[0], m),
        old[1],
    ),
    "only the running variance is updated, not the mean": lambda old, new, m, n: (
        old[0],
        _averaged(old[1], new[1], m),
    ),
    "the standard deviation is averaged, where the variance is due: a root too many": lambda old, new, m, n: (
        _averaged(old[0], new[0], m),
        _averaged(old[1], new[1].sqrt(), m),
    ),
    "the running mean stands in the average of the variance": lambda old, new, m, n: (
        _averaged(old[0], new[0], m),
        _averaged(_averaged(old[0], new[0], m), new[1], m),
    ),
    "the old running mean stands in the average of the variance": lambda old, new, m, n: (
        _averaged(old[0], new[0], m),
        _averaged(old[0], new[1], m),
    ),
    "the batch's mean goes into the running variance": lambda old, new, m, n: (
        _averaged(old[0], new[0], m),
        _averaged(old[1], new[0], m),
    ),
    "the batch's variance goes into the running mean": lambda old, new, m, n: (
        _averaged(old[0], new[1], m),
        _averaged(old[1], new[1], m),
    ),
    "the running mean and the running variance are exchanged": lambda old, new, m, n: (
        _averaged(old[1], new[1], m),
        _averaged(old[0], new[0], m),
    ),
    "the new batch is added whole, not by its share 1 - momentum": lambda old, new, m, n: (
        m * old[0] + new[0],
        m * old[1] + new[1],
    ),
    "the old average is kept whole, not by its share momentum": lambda old, new, m, n: (
        old[0] + (1 - m) * new[0],
        old[1] + (1 - m) * new[1],
    ),
    "the running statistics are updated twice in one pass": lambda old, new, m, n: (
        _averaged(_averaged(old[0], new[0], m), new[0], m),
        _averaged(_averaged(old[1], new[1], m), new[1], m),
    ),
}


def _both_variances(images: bool) -> Slips:
    """With the batch's variance over N, and over N - 1."""
    biased = {sentence: running(made, images=images) for sentence, made in _RUNNING.items()}
    others = {sentence: running(made, images=images, over=1) for sentence, made in _RUNNING.items()}
    del others[NEVER]
    return {**biased, **{f"{sentence} (its variance is over N - 1)": made for sentence, made in others.items()}}


RUNNING, SPATIAL_RUNNING = _both_variances(images=False), _both_variances(images=True)
SPATIAL_RUNNING = {
    **SPATIAL_RUNNING,
    "x is reshaped to (N*H*W, C) without moving its channels to the end first: a transpose is missing": running(
        lambda old, new, m, n: (_averaged(old[0], new[0], m), _averaged(old[1], new[1], m)), images=True, moved=False
    ),
}
