"""Slips in whole nets of affine layers, ReLUs and normalisations, and in the small convolutional net."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table import nets
from scratchproof.table.course.recurrent import STEPS, deep_tested
from scratchproof.table.expressions import affine, batchnorm, layernorm, net_labels, without_half
from scratchproof.table.slips.losses import LARGE_SCORES, LOG_OF_QUOTIENT, SCORES, SHIFTED_ALIKE, SVM, log_of_quotient
from scratchproof.table.slips.making import Slips, backward_only
from scratchproof.vjp import Expression

NORMALISE = {"batchnorm": batchnorm, "layernorm": layernorm}
Activation = Callable[[Tensor], Tensor]


def _unmasked(x: Tensor) -> Tensor:
    """A ReLU whose backward passes everything on."""
    return F.relu(x).detach() + x - x.detach()


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A net with one thing otherwise.

    hidden: the activation. last: what is done to the scores. first: whether the activation comes before the
    normalisation. normalised: whether there is one. handed: what becomes of a layer's output.
    losses: others than the right ones, by name.
    """

    hidden: Activation = F.relu
    last: Activation = lambda scores: scores
    first: bool = False
    normalised: bool = True
    handed: Activation = lambda out: out
    losses: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = field(default_factory=dict)

    def scores(self, X: Tensor, *params: Tensor, normalization: str | None = None) -> Tensor:
        out, each = X, 4 if normalization else 2
        for at in range(0, len(params) - 2, each):
            out = affine(out, *params[at : at + 2])
            out = self.hidden(out) if self.first else out
            if normalization and self.normalised:
                out = NORMALISE[normalization](out, *params[at + 2 : at + 4])
            out = self.handed(out if self.first else self.hidden(out))
        return self.last(affine(out, *params[-2:]))

    def __call__(
        self,
        X: Tensor,
        y: Tensor,
        *params: Tensor,
        reg: float = 0.0,
        normalization: str | None = None,
        loss: str = "softmax",
        **_: Any,
    ) -> Tensor:
        criterion = self.losses.get(loss, nets.LOSSES[loss])
        return nets.regularised(criterion(self.scores(X, *params, normalization=normalization), y), params, reg)


RIGHT = Net()
_HIDDEN: dict[str, Net] = {
    "a ReLU is applied to the scores": Net(last=F.relu),
    "there is no ReLU": Net(hidden=lambda x: x),
    "a sigmoid stands where a ReLU is due": Net(hidden=torch.sigmoid),
    "a tanh stands where a ReLU is due": Net(hidden=torch.tanh),
    "the ReLU's backward is skipped: its mask is missing": Net(hidden=_unmasked),
    "a leaky ReLU stands where a ReLU is due": Net(hidden=lambda x: F.leaky_relu(x, 0.01)),
    "a softmax is applied to the scores before the loss": Net(last=lambda scores: torch.softmax(scores, 1)),
}


def of_scores(loss: str) -> Slips:
    """The slips of the loss, in a net."""
    table = {"softmax": SCORES, "svm": SVM}[loss]
    return {f"in the {loss} loss: {sentence}": Net(losses={loss: expression}) for sentence, expression in table.items()}


def _times(factor: Callable[[Tensor], float], loss: Callable[[Tensor, Tensor], Tensor]) -> Expression:
    return lambda scores, y: factor(scores) * loss(scores, y)


def _scaled(factor: Callable[[Tensor], float], *, back: bool) -> Expression:
    """The data loss times a factor, in the gradient alone or in the loss alone."""
    losses = {name: _times(factor, loss) for name, loss in nets.LOSSES.items()}
    other = replace(RIGHT, losses=losses)
    return backward_only(RIGHT, other) if back else backward_only(other, RIGHT)


SHARED: Slips = {
    **_HIDDEN,
    **of_scores("softmax"),
    "the division of the gradients by N is missing": _scaled(len, back=True),
    "the division of the loss by N is missing": _scaled(len, back=False),
    "the gradients are divided by N once too often": _scaled(lambda scores: 1 / len(scores), back=True),
    "the gradient of the first layer does not pass through the second: it is zero but for the regularisation": Net(
        handed=torch.Tensor.detach
    ),
}
_QUOTIENT = Net(losses={"softmax": log_of_quotient})
OF_QUOTIENT: Slips = {
    LOG_OF_QUOTIENT: _QUOTIENT,
    **{f"{told}; {LOG_OF_QUOTIENT}": loss for told, loss in without_half(_QUOTIENT).items()},
}
"""The net whose loss is -log of a probability: no mistake, but another convention."""


def of_large_scores(table: Slips) -> Slips:
    """What a softmax loss within a net does where scores are large."""
    return {sentence: Net(losses={"softmax": expression}) for sentence, expression in table.items()}


CARELESS = of_large_scores(SHIFTED_ALIKE)
WITH_SOFTMAX: Slips = {**SHARED, **of_large_scores(LARGE_SCORES)}
LINEAR: Slips = {
    "a ReLU is applied to the scores": Net(last=F.relu),
    **of_scores("softmax"),
    **of_scores("svm"),
}
NORMED: Slips = {
    **SHARED,
    "the ReLU comes before the normalisation": Net(first=True),
    "the normalisation is left out": Net(normalised=False),
}


def _in_training(X: Tensor, y: Tensor, Z: Tensor, *params: Tensor, **_: Any) -> Tensor:
    return RIGHT.scores(Z, *params, normalization="batchnorm")


TESTED: Slips = {
    "the running statistics are not kept from training to test mode: they are 0 there": partial(deep_tested, share=0.0),
    "in test mode the batch's own mean and variance normalise: the mode stays train": _in_training,
    "in test mode the normalisation is left out": lambda X, y, Z, *params, **_: replace(RIGHT, normalised=False).scores(
        Z, *params, normalization="batchnorm"
    ),
    "only the last step of training counts: the running statistics begin anew with every step": partial(
        deep_tested, share=0.1
    ),
    "the running statistics keep momentum's share of the batch, and 1 - momentum of their own": partial(
        deep_tested, share=1 - 0.1**STEPS
    ),
}


def _logits(hidden: Activation, last: Activation = lambda z: z) -> Expression:
    def xor(X: Tensor, y: Tensor, W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor, **_: Any) -> Tensor:
        return nets.logistic(last(affine(hidden(affine(X, W1, b1)), W2, b2).flatten()), y)

    return xor


def _tanh_with(slope: Callable[[Tensor], Tensor]) -> Activation:
    return lambda a: torch.tanh(a).detach() + slope(torch.tanh(a)).detach() * (a - a.detach())


XOR: Slips = {
    "there is no tanh": _logits(lambda a: a),
    "there is no tanh in forward, though backward goes through one": _logits(
        lambda a: a.detach() + (1 - torch.tanh(a) ** 2).detach() * (a - a.detach())
    ),
    "the derivative of tanh is missing in backward": _logits(_tanh_with(torch.ones_like)),
    "1 - h stands where 1 - h^2 is due: tanh' lacks the square": _logits(_tanh_with(lambda h: 1 - h)),
    "a sigmoid stands where tanh is due": _logits(torch.sigmoid),
    "a ReLU stands where tanh is due": _logits(torch.relu),
    "a sigmoid is applied to the logit before the loss, which takes one itself": _logits(torch.tanh, torch.sigmoid),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """conv - relu - 2x2 max pool - affine - relu - affine with one thing otherwise."""

    pad: Callable[[int], int] = lambda size: (size - 1) // 2
    first: Activation = F.relu
    pool: Activation = lambda out: F.max_pool2d(out, 2)
    second: Activation = F.relu
    last: Activation = lambda scores: scores
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy

    def __call__(self, X: Tensor, y: Tensor, *params: Tensor, reg: float = 0.0, **_: Any) -> Tensor:
        W1, b1, *others = params
        out = self.pool(self.first(F.conv2d(X, W1, b1, padding=self.pad(W1.shape[2]))))
        scores = self.last(affine(self.second(affine(out, *others[:2])), *others[2:]))
        return nets.regularised(self.loss(scores, y), params, reg)


CONVNET: Slips = {
    "a ReLU is applied to the scores": Conv(last=F.relu),
    "the ReLU behind the convolution is missing": Conv(first=lambda x: x),
    "the ReLU behind the convolution is skipped in backward": Conv(first=_unmasked),
    "the ReLU between the affine layers is missing": Conv(second=lambda x: x),
    "the ReLU between the affine layers is skipped in backward": Conv(second=_unmasked),
    "the pool takes the mean, not the maximum": Conv(pool=lambda out: F.avg_pool2d(out, 2)),
    **{f"in the loss: {sentence}": Conv(loss=expression) for sentence, expression in SCORES.items()},
}


def predicted(name: str, *keys: str) -> Slips:
    """Slips in the labels that a net predicts."""
    return {
        "the class of the lowest score is predicted (argmin)": net_labels(name, *keys, sign=-1),
        "the highest score is sought among the rows (axis 0), not among the classes": net_labels(name, *keys, axis=0),
        "the highest score itself is returned, not its place (argmax)": net_labels(name, *keys, of_score=True),
    }


def predicted_bit(name: str, *keys: str) -> Slips:
    """Slips where the label is 0 or 1."""
    return {
        "1 is predicted where the logit is negative": net_labels(name, *keys, sign=-1),
        "the logit is compared with 0.5, as a probability would be: 0 is due": net_labels(name, *keys, threshold=0.5),
    }
