"""Slips in losses of scores (N, C) and labels (N,), and in the linear classifiers that are made of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table import nets
from scratchproof.table.expressions import svm_margins, svm_no_right_class
from scratchproof.table.slips.making import Slips, backward_only, forward_only, instead
from scratchproof.vjp import Expression


def _one_hot(x: Tensor, y: Tensor) -> Tensor:
    return F.one_hot(y, x.shape[1]).to(x.dtype)


def _softmax_dx(made: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Expression:
    """Right loss; dx from the probabilities, the labels one-hot, and y, divided by N."""

    def dx(dout: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return dout * made(torch.softmax(x, 1), _one_hot(x, y), y) / len(x)

    return instead(F.cross_entropy, {0: dx})


def _column_by_label(p: Tensor, right: Tensor, y: Tensor) -> Tensor:
    """dx[:, y] -= 1 takes 1 from every row of each column that is somebody's label."""
    return p - right.any(0).to(p.dtype)


def _exp_of(shift: Callable[[Tensor], Tensor], *, log: bool) -> Expression:
    """As code that takes exp of x - shift(x) goes wrong where exp overflows or vanishes.

    log: whether the loss takes the log of the sum, not that of the quotient.
    """

    def loss(x: Tensor, y: Tensor) -> Tensor:
        shifted = x - shift(x)
        totals, chosen = shifted.exp().sum(1, keepdim=True), shifted.gather(1, y[:, None])
        return (totals.log() - chosen if log else -(chosen.exp() / totals).log()).sum() / len(y)

    def dx(dout: Tensor, x: Tensor, y: Tensor) -> Tensor:
        powers = (x - shift(x)).exp()
        return dout * (powers / powers.sum(1, keepdim=True) - _one_hot(x, y)) / len(y)

    return instead(loss, {0: dx})


def _columns(x: Tensor) -> Tensor:
    return x.amax(0)


def _smoothed(x: Tensor, y: Tensor, *, added: float) -> Tensor:
    return -(torch.softmax(x, 1).gather(1, y[:, None]) + added).log().sum() / len(y)


def _added(added: float) -> Expression:
    return forward_only(partial(_smoothed, added=added), F.cross_entropy)


def _over_rows(total: Callable[[Tensor], Tensor]) -> Expression:
    """Shifted by each row's maximum, divided by sums over other axes."""

    def loss(x: Tensor, y: Tensor) -> Tensor:
        shifted = x - x.amax(1, keepdim=True)
        return -(shifted - total(shifted.exp()).log()).gather(1, y[:, None]).sum() / len(y)

    def dx(dout: Tensor, x: Tensor, y: Tensor) -> Tensor:
        powers = (x - x.amax(1, keepdim=True)).exp()
        return dout * (powers / total(powers) - _one_hot(x, y)) / len(y)

    return instead(loss, {0: dx})


def _rows(x: Tensor) -> Tensor:
    return x.amax(1, keepdim=True)


def _exps(x: Tensor) -> Tensor:
    return (x - _rows(x)).exp()


LOG_OF_QUOTIENT = "the loss is -log of a probability, infinite where that underflows: the log of the sum never is"
log_of_quotient = _exp_of(_rows, log=False)
"""What CS231n itself handed out until 2018: each row's maximum is subtracted, and the loss is -log(p)."""

WHOLE_BATCH = "the scores are shifted by the maximum of the whole batch: rows far below it vanish"


def _less_of_the_right(share: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda p, right, y: p - (1 - share) * right


SHIFTED_ALIKE: Slips = {
    WHOLE_BATCH: _exp_of(torch.max, log=True),
    f"{WHOLE_BATCH}, and the loss is the log of a quotient": _exp_of(torch.max, log=False),
}
OVERFLOW = "exp overflows: subtract each row's maximum before exp"
LARGE_SCORES: Slips = {
    **SHIFTED_ALIKE,
    OVERFLOW: _exp_of(torch.zeros_like, log=True),
    f"{OVERFLOW}, and the loss is the log of a quotient": _exp_of(torch.zeros_like, log=False),
    f"{OVERFLOW}: here each column's maximum is subtracted": _exp_of(_columns, log=True),
    f"{OVERFLOW}: here each column's maximum is subtracted, and the loss is the log of a quotient": _exp_of(
        _columns, log=False
    ),
    f"in the gradient alone, {OVERFLOW}": backward_only(F.cross_entropy, _exp_of(torch.zeros_like, log=True)),
    **{
        f"{added:g} is added to the probabilities before log: it shows where they are small": _added(added)
        for added in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
    },
}
SCORES: Slips = {
    "the gradient lacks the -1 of the right class": _softmax_dx(lambda p, right, y: p),
    "1 is added for the right class, where it is to be subtracted": _softmax_dx(lambda p, right, y: p + right),
    "dx[:, y] -= 1 takes the 1 from every row: the right class of each row alone is due": _softmax_dx(_column_by_label),
    "divided by the number of classes too": lambda x, y: F.cross_entropy(x, y) / x.shape[1],
    "divided by the number of classes, not by N": lambda x, y: F.cross_entropy(x, y) * len(y) / x.shape[1],
    "the sum over classes is taken over rows instead (axis 0)": lambda x, y: (
        -torch.log_softmax(x, 0).gather(1, y[:, None]).sum() / len(y)
    ),
    "the probabilities are normalised over the batch (axis 0), not over classes": instead(
        lambda x, y: -torch.log_softmax(x, 0).gather(1, y[:, None]).sum() / len(y),
        {0: lambda dout, x, y: dout * (torch.softmax(x, 0) - _one_hot(x, y)) / len(y)},
    ),
    "the sign of the loss is turned; the gradient is right": forward_only(
        lambda x, y: -F.cross_entropy(x, y), F.cross_entropy
    ),
    "the sum of the exponentials is taken over rows (axis 0), not over classes": _over_rows(
        lambda powers: powers.sum(0, keepdim=True)
    ),
    "the logarithm is taken once, of the sum over the whole batch, not of each row's sum": forward_only(
        lambda x, y: (_exps(x).sum().log() - (x - _rows(x)).gather(1, y[:, None]).sum()) / len(y), F.cross_entropy
    ),
    "the logarithm of the sum is to base 10": lambda x, y: (
        (x - x.amax(1, keepdim=True)).exp().sum(1).log10().mean()
        - (x - x.amax(1, keepdim=True)).gather(1, y[:, None]).mean()
    ),
    "the loss is to base 10": lambda x, y: F.cross_entropy(x, y) / torch.log(torch.tensor(10.0, dtype=x.dtype)),
    "the loss is to base 2": lambda x, y: F.cross_entropy(x, y) / torch.log(torch.tensor(2.0, dtype=x.dtype)),
    "the log is missing: the loss sums probabilities": lambda x, y: -torch.softmax(x, 1).gather(1, y[:, None]).mean(),
    "the loss is the -log of all probabilities, not of the right class's": lambda x, y: (
        -torch.log_softmax(x, 1).sum() / len(y)
    ),
    **{
        f"labels are smoothed: {1 - share:.3g}, not 1, is subtracted for the right class": _softmax_dx(
            _less_of_the_right(share)
        )
        for share in (1e-3, 1e-2, 0.1)
    },
}


SOFTMAX: Slips = {**SCORES, **LARGE_SCORES}


def _svm(x: Tensor, y: Tensor, *, margin: float = 1.0) -> Tensor:
    others = y[:, None] != torch.arange(x.shape[1])
    return (F.relu(x - x.gather(1, y[:, None]) + margin) * others).sum() / len(y)


def _squared_hinge(x: Tensor, y: Tensor) -> Tensor:
    others = y[:, None] != torch.arange(x.shape[1])
    return (F.relu(x - x.gather(1, y[:, None]) + 1) ** 2 * others).sum() / len(y)


def _svm_dx(made: Callable[[Tensor, Tensor], Tensor]) -> Expression:
    """Right loss; dx from the mask of margins above 0 (the right class's is not) and the labels one-hot."""

    def dx(dout: Tensor, x: Tensor, y: Tensor) -> Tensor:
        right = _one_hot(x, y)
        mask = ((x - x.gather(1, y[:, None]) + 1 > 0).to(x.dtype)) * (1 - right)
        return dout * made(mask, right) / len(x)

    return instead(nets.svm, {0: dx})


_ITSELF = "the right class counts its own margin of 1"
SVM: Slips = {
    _ITSELF: lambda x, y: svm_margins(x, y).sum() / len(y),
    f"{_ITSELF}, in the loss alone": forward_only(lambda x, y: svm_margins(x, y).sum() / len(y), nets.svm),
    f"{_ITSELF}, and in the count that the right class's gradient is made of": instead(
        lambda x, y: svm_margins(x, y).sum() / len(y),
        {0: lambda dout, x, y: dout * _with_itself(x, y) / len(y)},
    ),
    f"{_ITSELF}, and its gradient is overwritten by one too many": instead(
        lambda x, y: svm_margins(x, y).sum() / len(y),
        {0: lambda dout, x, y: dout * (_with_itself(x, y) - _one_hot(x, y)) / len(y)},
    ),
    "the right class gets no gradient": svm_no_right_class,
    "the right class gets the sum of the margins, not their number": instead(
        nets.svm, {0: lambda dout, x, y: dout * _margins_summed(x, y) / len(x)}
    ),
    "every class gets its margin, not 1, and the right one their sum": instead(
        nets.svm, {0: lambda dout, x, y: dout * _margins_summed(x, y, every=True) / len(x)}
    ),
    "the right class gets -1, whatever the number of margins above 0": _svm_dx(lambda mask, right: mask - right),
    "the right class gets -1 added to no more than one margin's share": _svm_dx(
        lambda mask, right: mask - right * mask.amax(1, keepdim=True)
    ),
    "the right class gets the number of margins above 0 with the wrong sign": _svm_dx(
        lambda mask, right: mask + right * mask.sum(1, keepdim=True)
    ),
    "divided by the number of classes too": lambda x, y: nets.svm(x, y) / x.shape[1],
    "divided by the number of classes, not by N": lambda x, y: nets.svm(x, y) * len(y) / x.shape[1],
    "the margin of 1 is missing": partial(_svm, margin=0.0),
    "the margin of 1 is subtracted": partial(_svm, margin=-1.0),
    "the margin is 2, where 1 is due": partial(_svm, margin=2.0),
    "the margin is 0.5, where 1 is due": partial(_svm, margin=0.5),
    "the hinge is squared": _squared_hinge,
    "the hinge is squared in the loss alone": forward_only(_squared_hinge, nets.svm),
    "the hinge is squared, and halved": lambda x, y: _squared_hinge(x, y) / 2,
    "negative margins count too: there is no max(0, ...)": lambda x, y: (
        (x - x.gather(1, y[:, None]) + 1).sum() / len(y) - 1
    ),
    "the other classes get no gradient": _svm_dx(lambda mask, right: -right * mask.sum(1, keepdim=True)),
    "the margins are taken the wrong way round: right - other": lambda x, y: (
        (F.relu(x.gather(1, y[:, None]) - x + 1) * (1 - _one_hot(x, y))).sum() / len(y)
    ),
    "only the largest margin of a row counts": lambda x, y: (
        (F.relu(x - x.gather(1, y[:, None]) + 1) * (1 - _one_hot(x, y))).amax(1).sum() / len(y)
    ),
}


def _margins_summed(x: Tensor, y: Tensor, *, every: bool = False) -> Tensor:
    right = _one_hot(x, y)
    margins = F.relu(x - x.gather(1, y[:, None]) + 1) * (1 - right)
    return (margins if every else (margins > 0).to(x.dtype)) - right * margins.sum(1, keepdim=True)


def _with_itself(x: Tensor, y: Tensor) -> Tensor:
    """The mask of margins above 0, the right class's own among them; in the right class their number is subtracted."""
    right = _one_hot(x, y)
    mask = (x - x.gather(1, y[:, None]) + 1 > 0).to(x.dtype)
    return mask - right * mask.sum(1, keepdim=True)


LOGISTIC: Slips = {
    "the labels are exchanged: y stands where 1 - y is due": lambda x, y: nets.logistic(x, 1 - y),
    "in forward, the labels are exchanged; the gradient is right": forward_only(
        lambda x, y: nets.logistic(x, 1 - y), nets.logistic
    ),
    "the gradient lacks -y": instead(nets.logistic, {0: lambda dout, x, y: dout * torch.sigmoid(x) / len(x)}),
    "exp overflows: take exp(-|x|)": lambda x, y: ((1 + x.exp()).log() - y * x).mean(),
}


def _squares(x: Tensor, y: Tensor) -> Tensor:
    return ((x - y) ** 2).sum() / (2 * len(x))


SQUARED: Slips = {
    "the mean is taken over all elements, not over rows": lambda x, y: ((x - y) ** 2).mean() / 2,
    "in forward, the mean is taken over all elements, not over rows; the gradient is right": forward_only(
        lambda x, y: ((x - y) ** 2).mean() / 2, _squares
    ),
    "the 1/2 is missing, and the mean is taken over all elements": lambda x, y: ((x - y) ** 2).mean(),
    "the difference is not squared": lambda x, y: (x - y).abs().sum() / (2 * len(x)),
    "y - x stands where x - y is due in the gradient: its sign is turned": instead(
        _squares, {0: lambda dout, x, y: dout * (y - x) / len(x)}
    ),
}


def linear(of_scores: Expression) -> Expression:
    """A loss of scores as that of a linear classifier, regularised."""

    def expression(W: Tensor, X: Tensor, y: Tensor, *, reg: float = 0.0, **_: Any) -> Tensor:
        return nets.regularised(of_scores(X @ W, y), [W], reg)

    return expression


def of_classifier(loss: str) -> Slips:
    """The slips of a loss, in the scores X @ W of a linear classifier."""
    table = {"softmax": SOFTMAX, "svm": SVM}[loss]
    right = nets.LOSSES[loss]

    def scaled(factor: Callable[[Tensor], float], *, back: bool) -> Expression:
        def data(W: Tensor, X: Tensor, y: Tensor, *, reg: float = 0.0, **_: Any) -> Tensor:
            return nets.regularised(factor(X) * right(X @ W, y), [W], reg)

        return backward_only(linear(right), data) if back else forward_only(data, linear(right))

    return {
        **{sentence: linear(expression) for sentence, expression in table.items()},
        "the division of dW by N is missing": scaled(len, back=True),
        "the division of the loss by N is missing": scaled(len, back=False),
        "dW is divided by N once too often": scaled(lambda X: 1 / len(X), back=True),
    }
