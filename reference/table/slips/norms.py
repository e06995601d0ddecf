"""Slips in normalisation, written for rows x (N, D), over the batch or over each row."""

from collections.abc import Callable

import torch
from torch import Tensor

from scratchproof.table.slips.making import Slips, forward_only, instead
from scratchproof.vjp import Expression

BATCH, ROW = 0, 1  # the axis over which a normalisation takes its statistics


class Parts:
    """What the normalisation of x over an axis is made of."""

    def __init__(self, x: Tensor, axis: int, eps: float) -> None:
        self.x, self.axis, self.count, self.eps = x, axis, x.shape[axis], eps
        self.centred = x - x.mean(axis, keepdim=True)
        self.var = (self.centred**2).mean(axis, keepdim=True)
        self.std = torch.sqrt(self.var + eps)
        self.normed = self.centred / self.std

    def mean(self, value: Tensor) -> Tensor:
        return value.mean(self.axis, keepdim=True)


Made = Callable[[Parts, Tensor, float], Tensor]
"""The normalised x from its parts, x itself and eps."""


def _norm(axis: int, made: Made) -> Expression:
    def expression(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
        return made(Parts(x, axis, eps), x, eps) * gamma + beta

    return expression


def normalised(axis: int) -> Expression:
    return _norm(axis, lambda parts, x, eps: parts.normed)


def _dx(axis: int, formula: Callable[[Parts, Tensor, Tensor], Tensor]) -> Expression:
    """Right forward; dx by a formula from the parts, the gradient of the normalised x, and gamma."""

    def dx(dout: Tensor, x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
        return formula(Parts(x, axis, eps), dout, gamma)

    return instead(normalised(axis), {0: dx})


def _dgamma(axis: int, formula: Callable[[Parts, Tensor], Tensor]) -> Expression:
    def dgamma(dout: Tensor, x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
        return formula(Parts(x, axis, eps), dout)

    return instead(normalised(axis), {1: dgamma})


def full_dx(p: Parts, g: Tensor) -> Tensor:
    return (g - p.mean(g) - p.normed * p.mean(g * p.normed)) / p.std


def _careless(axis: int, made: Made) -> Expression:
    """A slip in forward whose backward is the usual formula, applied to what forward left behind."""

    def parts(x: Tensor, eps: float) -> tuple[Parts, Tensor]:
        usual = Parts(x, axis, eps)
        return usual, made(usual, x, eps)

    def expression(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
        return parts(x, eps)[1] * gamma + beta

    def dx(dout: Tensor, x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
        usual, normed = parts(x, eps)
        slope = usual.centred / torch.where(normed == 0, torch.ones_like(normed), normed)
        usual.std = torch.where(normed == 0, usual.std.expand_as(normed), slope)
        usual.normed = normed
        return full_dx(usual, dout * gamma)

    return instead(expression, {0: dx})


ONE_PASS = "the variance is the mean of the squares less the square of the mean: digits cancel where the mean is large"


def one_pass(axis: int) -> Slips:
    """The variance in one pass, right on paper; backward goes by the usual formula."""

    def made(p: Parts, x: Tensor, eps: float) -> Tensor:
        return p.centred / torch.sqrt(p.mean(x * x) - p.mean(x) ** 2 + eps)

    return {ONE_PASS: _careless(axis, made)}


def _both(sentence: str, axis: int, made: Made) -> Slips:
    """A slip in forward, with the backward that follows from it, the right one, or the usual formula on its cache."""
    return {
        sentence: _norm(axis, made),
        f"in forward, {sentence}; backward is right": forward_only(_norm(axis, made), normalised(axis)),
        f"in forward, {sentence}; backward goes by the usual formula": _careless(axis, made),
    }


def _forward(axis: int, over: str) -> Slips:
    """In forward: what normalises."""
    return {
        **_both(
            f"the variance is divided by {over} - 1: the biased one normalises",
            axis,
            lambda p, x, eps: p.centred / torch.sqrt(p.var * p.count / (p.count - 1) + eps),
        ),
        **_both("eps is added outside the root", axis, lambda p, x, eps: p.centred / (torch.sqrt(p.var) + eps)),
        "eps is left out": _norm(axis, lambda p, x, eps: p.centred / torch.sqrt(p.var)),
        **_both("x is divided by the variance: the root is missing", axis, lambda p, x, eps: p.centred / (p.var + eps)),
        **_both(
            "the mean is that of all of x: the axis is missing",
            axis,
            lambda p, x, eps: (x - x.mean()) / p.std,
        ),
        **_both(
            "the variance is that of all of x: the axis is missing",
            axis,
            lambda p, x, eps: p.centred / torch.sqrt(x.var(correction=0) + eps),
        ),
        **_both(
            "the mean and the variance are those of all of x: the axis is missing",
            axis,
            lambda p, x, eps: (x - x.mean()) / torch.sqrt(x.var(correction=0) + eps),
        ),
        **_both("the mean is not subtracted", axis, lambda p, x, eps: x / p.std),
        **_both(
            "the squares are summed, not averaged, for the variance",
            axis,
            lambda p, x, eps: p.centred / torch.sqrt(p.var * p.count + eps),
        ),
    }


def _other_axis(axis: int) -> Slips:
    """In forward: statistics over the wrong axis, and what scales."""
    other = 1 - axis
    return {
        "the variance is that over the other axis": _norm(
            axis, lambda p, x, eps: p.centred / torch.sqrt(Parts(x, other, eps).var + eps)
        ),
        "the squares around the mean are averaged over the other axis": _norm(
            axis, lambda p, x, eps: p.centred / torch.sqrt((p.centred**2).mean(other, keepdim=True) + eps)
        ),
        "the mean is that over the other axis": _norm(
            axis, lambda p, x, eps: (x - x.mean(other, keepdim=True)) / torch.sqrt(p.var + eps)
        ),
        "the mean is taken over the other axis, and the variance around it": _norm(
            axis, lambda p, x, eps: _around(x, x.mean(other, keepdim=True), axis, eps)
        ),
        "the mean and the variance are those over the other axis": _norm(
            axis, lambda p, x, eps: Parts(x, other, eps).normed
        ),
        "gamma and beta are exchanged": lambda x, gamma, beta, *, eps=1e-5: normalised(axis)(x, beta, gamma, eps=eps),
    }


def _missing(axis: int) -> Slips:
    """In dx: a part of it is missing."""
    return {
        "the mean and the variance are treated as constants in backward": _dx(
            axis, lambda p, dout, gamma: dout * gamma / p.std
        ),
        "the gradient's way through the variance is missing": _dx(
            axis, lambda p, dout, gamma: (dout * gamma - p.mean(dout * gamma)) / p.std
        ),
        "the gradient's way through the mean is missing": _dx(
            axis, lambda p, dout, gamma: (dout * gamma - p.normed * p.mean(dout * gamma * p.normed)) / p.std
        ),
        "gamma is missing in dx": _dx(axis, lambda p, dout, gamma: full_dx(p, dout)),
        "gamma is missing where the gradient goes through mean and variance": _dx(
            axis,
            lambda p, dout, gamma: (dout * gamma - p.mean(dout) - p.normed * p.mean(dout * p.normed)) / p.std,
        ),
    }


def _counted(axis: int, over: str) -> Slips:
    """In dx: a wrong count or sign."""
    return {
        f"the division by {over} is missing in dx: the whole is summed": _dx(
            axis, lambda p, dout, gamma: p.count * full_dx(p, dout * gamma)
        ),
        f"in backward, the mean and the variance's part are sums: the division by {over} is missing": _dx(
            axis,
            lambda p, dout, gamma: (
                (dout * gamma - p.count * p.mean(dout * gamma) - p.count * p.normed * p.mean(dout * gamma * p.normed))
                / p.std
            ),
        ),
        f"in backward, the variance's part is divided by {over} - 1": _dx(
            axis,
            lambda p, dout, gamma: (
                (
                    dout * gamma
                    - p.mean(dout * gamma)
                    - p.count / (p.count - 1) * p.normed * p.mean(dout * gamma * p.normed)
                )
                / p.std
            ),
        ),
        "in backward, the sign of the variance's part is turned": _dx(
            axis,
            lambda p, dout, gamma: (
                (dout * gamma - p.mean(dout * gamma) + p.normed * p.mean(dout * gamma * p.normed)) / p.std
            ),
        ),
    }


def _share(axis: int, mean: Callable[[int], float], variance: Callable[[int], float]) -> Expression:
    """dx whose parts through the mean and the variance come in by a factor each, from the count."""

    def formula(p: Parts, dout: Tensor, gamma: Tensor) -> Tensor:
        g = dout * gamma
        parts = mean(p.count) * p.mean(g) + variance(p.count) * p.normed * p.mean(g * p.normed)
        return (g - parts) / p.std

    return _dx(axis, formula)


def _shares(axis: int, over: str) -> Slips:
    """In dx: the part through the mean, or that through the variance, too large or too small."""
    factors: dict[str, Callable[[int], float]] = {
        f"is not divided by {over}": float,
        f"is divided by {over} twice": lambda n: 1 / n,
        "comes in twice": lambda n: 2.0,
        "comes in by half": lambda n: 0.5,
    }
    found = {}
    for told, factor in factors.items():
        found[f"in backward, the part through the mean {told}"] = _share(axis, factor, lambda n: 1.0)
        found[f"in backward, the part through the variance {told}"] = _share(axis, lambda n: 1.0, factor)
    return {
        **found,
        "in backward, the sign of the mean's part is turned": _share(axis, lambda n: -1.0, lambda n: 1.0),
        "in backward, the normalised x is missing in the variance's part": _dx(
            axis, lambda p, dout, gamma: (dout * gamma - p.mean(dout * gamma) - p.mean(dout * gamma * p.normed)) / p.std
        ),
        "in backward, x - mean stands for the normalised x in the variance's part": _dx(
            axis,
            lambda p, dout, gamma: (
                (dout * gamma - p.mean(dout * gamma) - p.centred * p.mean(dout * gamma * p.normed)) / p.std
            ),
        ),
        "in backward, the variance stands for the standard deviation": _dx(
            axis, lambda p, dout, gamma: full_dx(p, dout * gamma) / p.std
        ),
    }


def _taken(axis: int, over: str) -> Slips:
    """In dx: what is divided by, and the axis of the means."""
    return {
        "in backward, the division by the standard deviation is missing": _dx(
            axis, lambda p, dout, gamma: full_dx(p, dout * gamma) * p.std
        ),
        "in backward, the means are taken over the other axis": _dx(axis, _over_the_other),
        "in backward, the first mean is taken over the other axis": _dx(axis, _first_over_the_other),
        f"in backward, the number of {'columns' if axis == BATCH else 'rows'} stands for {over}": _dx(
            axis, _of_another_count
        ),
    }


def _dgammas(axis: int) -> Slips:
    """In dgamma."""
    return {
        "dgamma is made with x - mean, not divided by the standard deviation": _dgamma(
            axis, lambda p, dout: (dout * p.centred).sum(0)
        ),
        "dgamma is made with x, which is not normalised": _dgamma(
            axis, lambda p, dout: (dout * (p.centred + p.std)).sum(0)
        ),
        "dgamma lacks the normalised x: it is dbeta": _dgamma(axis, lambda p, dout: dout.sum(0)),
        "dgamma is averaged over the rows": _dgamma(axis, lambda p, dout: (dout * p.normed).mean(0)),
        "dgamma is summed over everything": _dgamma(
            axis, lambda p, dout: (dout * p.normed).sum().expand(dout.shape[1])
        ),
    }


def normalisation(axis: int, over: str) -> Slips:
    """The slips of a normalisation over an axis whose length is called `over`."""
    forward = {**_forward(axis, over), **_other_axis(axis)}
    backward = {**_missing(axis), **_counted(axis, over), **_shares(axis, over), **_taken(axis, over)}
    return {**forward, **backward, **_dgammas(axis)}


def _around(x: Tensor, mean: Tensor, axis: int, eps: float) -> Tensor:
    return (x - mean) / torch.sqrt(((x - mean) ** 2).mean(axis, keepdim=True) + eps)


def _over_the_other(p: Parts, dout: Tensor, gamma: Tensor) -> Tensor:
    g, other = dout * gamma, 1 - p.axis
    return (g - g.mean(other, keepdim=True) - p.normed * (g * p.normed).mean(other, keepdim=True)) / p.std


def _first_over_the_other(p: Parts, dout: Tensor, gamma: Tensor) -> Tensor:
    g = dout * gamma
    return (g - g.mean(1 - p.axis, keepdim=True) - p.normed * p.mean(g * p.normed)) / p.std


def _of_another_count(p: Parts, dout: Tensor, gamma: Tensor) -> Tensor:
    g, count = dout * gamma, dout.shape[1 - p.axis]
    sums = p.count * p.mean(g), p.count * p.mean(g * p.normed)
    return (count * g - sums[0] - p.normed * sums[1]) / (count * p.std)


def _first_average(p: Parts, x: Tensor, eps: float) -> Tensor:
    """Normalised by averages that began at 0 and know this one batch, at the usual momentum of 0.9."""
    return (x - 0.1 * x.mean(p.axis, keepdim=True)) / torch.sqrt(0.1 * p.var + eps)


def _of_running(p: Parts, g: Tensor, *, through_mean: bool) -> Tensor:
    """dx step by step, from statistics of which only the first batch's share has arrived."""
    centred, var = p.x - FIRST_SHARE * p.mean(p.x), FIRST_SHARE * p.var + p.eps
    dvar = p.count * p.mean(g * centred) * -0.5 * var**-1.5
    dmean = -p.count * p.mean(g) * var**-0.5
    if through_mean:
        dmean = dmean - 2 * dvar * p.mean(centred)
    return g * var**-0.5 + (2 * dvar * centred + dmean) / p.count


FIRST_SHARE = 0.1  # of the running statistics, where they begin at 0 and momentum is what it usually is
RUNNING = "in backward, the running mean and variance stand where the batch's own are due"
BATCHNORM: Slips = {
    RUNNING: _dx(BATCH, lambda p, dout, gamma: _of_running(p, dout * gamma, through_mean=True)),
    f"{RUNNING}, and the mean's part in the variance is left out": _dx(
        BATCH, lambda p, dout, gamma: _of_running(p, dout * gamma, through_mean=False)
    ),
    **normalisation(BATCH, "N"),
    **_both("the running mean and variance normalise in training: the batch's own are due", BATCH, _first_average),
}
LAYERNORM = normalisation(ROW, "D")


def rows_normalised(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Batch norm of rows x (N, D)."""
    return Parts(x, BATCH, eps).normed * gamma + beta
