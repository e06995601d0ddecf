"""Slips in optimizers: each steps through the gradients as the right ones do (see table/rules.py)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scratchproof.table.slips.making import Slips
from scratchproof.vjp import Expression

State = dict[str, Any]
Step = Callable[..., Tensor]
"""What is subtracted from w, from the state (a dictionary that it may change), the gradient, t and the options."""


def _stepping(step: Step, **defaults: float) -> Expression:
    def expression(w: Tensor, dw: Tensor, **options: float) -> Tensor:
        state: State = {"zero": torch.zeros_like(w)}
        given, found = {**defaults, **options}, []
        for t, gradient in enumerate(dw, start=1):
            found.append(w := w - step(state, gradient, t, **given))
        return torch.stack(found)

    return expression


def _kept(state: State, name: str) -> Any:
    return state.get(name, state["zero"])


def _sgd(step: Step) -> Expression:
    return _stepping(step, learning_rate=1e-2)


SGD: Slips = {
    "the step goes uphill: the gradient is added": _sgd(lambda s, g, t, learning_rate: -learning_rate * g),
    "the learning rate is missing": _sgd(lambda s, g, t, learning_rate: g),
    "the gradient's sign is taken, not the gradient": _sgd(lambda s, g, t, learning_rate: learning_rate * g.sign()),
    "w is replaced by the step": lambda w, dw, learning_rate=1e-2: -learning_rate * dw,
}


def _momentum(made: Callable[..., tuple[Tensor, Tensor]]) -> Expression:
    """From the old velocity, the gradient, the rate and the momentum to the new velocity and what is added to w."""

    def step(s: State, g: Tensor, t: int, learning_rate: float, momentum: float) -> Tensor:
        s["v"], added = made(_kept(s, "v"), g, learning_rate, momentum)
        return -added

    return _stepping(step, learning_rate=1e-2, momentum=0.9)


def _same(v: Tensor) -> tuple[Tensor, Tensor]:
    return v, v


SGD_MOMENTUM: Slips = {
    "the velocity is not kept from step to step (as if momentum were 0)": _momentum(
        lambda v, g, lr, mu: _same(-lr * g)
    ),
    "the sign of the velocity is turned: w - v, where v holds -rate * gradient": _momentum(
        lambda v, g, lr, mu: (mu * v - lr * g, -(mu * v - lr * g))
    ),
    "the step goes uphill: rate * gradient is added to the velocity": _momentum(
        lambda v, g, lr, mu: _same(mu * v + lr * g)
    ),
    "the learning rate is missing": _momentum(lambda v, g, lr, mu: _same(mu * v - g)),
    "the gradient is damped by 1 - momentum: the velocity is an average": _momentum(
        lambda v, g, lr, mu: _same(mu * v - (1 - mu) * lr * g)
    ),
    "momentum and 1 - momentum: (1 - momentum) stands where momentum is due": _momentum(
        lambda v, g, lr, mu: _same((1 - mu) * v - lr * g)
    ),
    "the step is Nesterov's: it looks ahead by momentum * v": _momentum(
        lambda v, g, lr, mu: (mu * v - lr * g, mu * (mu * v - lr * g) - lr * g)
    ),
    "the old velocity is added, before the gradient comes into it": _momentum(
        lambda v, g, lr, mu: (mu * v - lr * g, v)
    ),
    "the momentum multiplies the gradient too": _momentum(lambda v, g, lr, mu: _same(mu * (v - lr * g))),
    "the learning rate multiplies the whole velocity, old and new": _momentum(
        lambda v, g, lr, mu: (mu * v - lr * g, lr * (mu * v - lr * g))
    ),
}


def _rms(made: Callable[..., tuple[Tensor, Tensor]]) -> Expression:
    """From the old mean square, the gradient and the options to the new one and the step."""

    def step(s: State, g: Tensor, t: int, learning_rate: float, decay_rate: float, epsilon: float) -> Tensor:
        s["c"], found = made(_kept(s, "c"), g, learning_rate, decay_rate, epsilon)
        return found

    return _stepping(step, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8)


def _rms_of(mean: Callable[..., Tensor], below: Callable[..., Tensor]) -> Expression:
    def made(c: Tensor, g: Tensor, lr: float, decay: float, eps: float) -> tuple[Tensor, Tensor]:
        c = mean(c, g, decay)
        return c, lr * g / below(c, eps)

    return _rms(made)


def _mean(c: Tensor, g: Tensor, decay: float) -> Tensor:
    return decay * c + (1 - decay) * g * g


def _root(c: Tensor, eps: float) -> Tensor:
    return c.sqrt() + eps


RMSPROP: Slips = {
    "eps is added inside the root": _rms_of(_mean, lambda c, eps: (c + eps).sqrt()),
    "the root is missing": _rms_of(_mean, lambda c, eps: c + eps),
    "decay and 1 - decay are exchanged": _rms_of(lambda c, g, d: (1 - d) * c + d * g * g, _root),
    "the mean square is not kept from step to step": _rms_of(lambda c, g, d: (1 - d) * g * g, _root),
    "the gradient is not squared: its absolute value is averaged": _rms_of(
        lambda c, g, d: d * c + (1 - d) * g.abs(), _root
    ),
    "the gradient is not squared": _rms_of(lambda c, g, d: d * c + (1 - d) * g, _root),
    "the gradient is not squared, and the root is that of the mean's absolute value": _rms_of(
        lambda c, g, d: d * c + (1 - d) * g, lambda c, eps: c.abs().sqrt() + eps
    ),
    "the old mean of squares is kept whole: it is not multiplied by the decay": _rms_of(
        lambda c, g, d: c + (1 - d) * g * g, _root
    ),
    "the squares are added up, as in AdaGrad": _rms_of(lambda c, g, d: c + g * g, _root),
    "the old mean is used, before this gradient comes into it": _rms(
        lambda c, g, lr, d, eps: (_mean(c, g, d), lr * g / (c.sqrt() + eps))
    ),
    "the step goes uphill: it is added": _rms(
        lambda c, g, lr, d, eps: (_mean(c, g, d), -lr * g / (_mean(c, g, d).sqrt() + eps))
    ),
    "the learning rate is missing": _rms(lambda c, g, lr, d, eps: (_mean(c, g, d), g / (_mean(c, g, d).sqrt() + eps))),
}
_ADAM = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}


def _adam(
    *,
    first: Callable[..., Tensor] | None = None,
    second: Callable[..., Tensor] | None = None,
    count: Callable[[int], float] = float,
    correct: tuple[bool, bool] = (True, True),
    by: tuple[int, int] = (0, 1),
    below: Callable[..., Tensor] | None = None,
    sign: int = 1,
) -> Expression:
    """Adam with one thing otherwise. first, second: the moments; count: t; below: what the step is divided by.

    correct, by: which moments are corrected, and by which beta.
    """

    def step(s: State, g: Tensor, t: int, learning_rate: float, beta1: float, beta2: float, epsilon: float) -> Tensor:
        m, v = _kept(s, "m"), _kept(s, "v")
        s["m"] = first(m, g, beta1, beta2) if first else beta1 * m + (1 - beta1) * g
        s["v"] = second(v, g, beta1, beta2) if second else beta2 * v + (1 - beta2) * g * g
        made, betas = count(t), [(beta1, beta2)[which] for which in by]
        factors = [1 - beta**made if wanted and made else 1.0 for beta, wanted in zip(betas, correct, strict=True)]
        divisor = below(s["v"], factors[1], epsilon) if below else (s["v"] / factors[1]).sqrt() + epsilon
        found: Tensor = sign * learning_rate * (s["m"] / factors[0]) / divisor
        return found

    return _stepping(step, **_ADAM)


def _first_counted_late(w: Tensor, dw: Tensor, **options: float) -> Tensor:
    given = {**_ADAM, **options}
    lr, beta1, beta2, eps = given.values()
    m, v, found = torch.zeros_like(w), torch.zeros_like(w), []
    for t, g in enumerate(dw, start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        step = lr * (m / (1 - beta1 ** max(t - 1, 1))) / ((v / (1 - beta2**t)).sqrt() + eps)
        found.append(w := w - step)
    return torch.stack(found)


def _corrected_kept(w: Tensor, dw: Tensor, **options: float) -> Tensor:
    lr, beta1, beta2, eps = {**_ADAM, **options}.values()
    m, v, found = torch.zeros_like(w), torch.zeros_like(w), []
    for t, g in enumerate(dw, start=1):
        m = (beta1 * m + (1 - beta1) * g) / (1 - beta1**t)
        v = (beta2 * v + (1 - beta2) * g * g) / (1 - beta2**t)
        found.append(w := w - lr * m / (v.sqrt() + eps))
    return torch.stack(found)


def _linear_correction(which: tuple[bool, bool]) -> Expression:
    def expression(w: Tensor, dw: Tensor, **options: float) -> Tensor:
        lr, beta1, beta2, eps = {**_ADAM, **options}.values()
        m, v, found = torch.zeros_like(w), torch.zeros_like(w), []
        for t, g in enumerate(dw, start=1):
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            powers = [beta * t if wrong else beta**t for beta, wrong in zip((beta1, beta2), which, strict=True)]
            found.append(w := w - lr * (m / (1 - powers[0])) / ((v / (1 - powers[1])).sqrt() + eps))
        return torch.stack(found)

    return expression


ADAM: Slips = {
    "the corrected moments are kept for the next step: the correction is for this step alone": _corrected_kept,
    "both bias corrections are missing": _adam(correct=(False, False)),
    "the bias correction of the first moment m is missing": _adam(correct=(False, True)),
    "the bias correction of the second moment v is missing": _adam(correct=(True, False)),
    "the first moment m is corrected by beta2, where beta1 is due": _adam(by=(1, 1)),
    "the second moment v is corrected by beta1, where beta2 is due": _adam(by=(0, 0)),
    "1 - beta1 * t stands where 1 - beta1 ** t is due": _linear_correction((True, False)),
    "1 - beta2 * t stands where 1 - beta2 ** t is due": _linear_correction((False, True)),
    "1 - beta * t stands where 1 - beta ** t is due": _linear_correction((True, True)),
    "t is never counted: every step is corrected as the first": _adam(count=lambda t: 1.0),
    "t runs one ahead: it is counted once too often": _adam(count=lambda t: t + 1),
    "t is counted twice a step": _adam(count=lambda t: 2 * t),
    "t is counted after its use: it runs one behind": _adam(count=lambda t: max(t - 1, 1)),
    "t is counted after its use: it starts at 0": _adam(count=lambda t: t - 1),
    "t is counted after its use where the first moment m is corrected": _first_counted_late,
    "eps is added inside the root": _adam(below=lambda v, corrected, eps: (v / corrected + eps).sqrt()),
    "eps is added before the bias correction of v": _adam(
        below=lambda v, corrected, eps: (v.sqrt() + eps) / corrected**0.5
    ),
    "the root is missing": _adam(below=lambda v, corrected, eps: v / corrected + eps),
    "the bias correction of v comes after the root, without a root of its own": _adam(
        below=lambda v, corrected, eps: v.sqrt() / corrected + eps
    ),
    "beta2 stands where beta1 is due, in the first moment": _adam(first=lambda m, g, b1, b2: b2 * m + (1 - b2) * g),
    "beta1 stands where beta2 is due, in the second moment": _adam(
        second=lambda v, g, b1, b2: b1 * v + (1 - b1) * g * g
    ),
    "beta1 and beta2 are exchanged in both moments": _adam(
        first=lambda m, g, b1, b2: b2 * m + (1 - b2) * g, second=lambda v, g, b1, b2: b1 * v + (1 - b1) * g * g
    ),
    "beta1 and 1 - beta1 are exchanged in the first moment": _adam(first=lambda m, g, b1, b2: (1 - b1) * m + b1 * g),
    "beta2 and 1 - beta2 are exchanged in the second moment": _adam(
        second=lambda v, g, b1, b2: (1 - b2) * v + b2 * g * g
    ),
    "the gradient is not squared in the second moment, nor its absolute value taken": _adam(
        second=lambda v, g, b1, b2: b2 * v + (1 - b2) * g
    ),
    "the gradient is not squared in the second moment": _adam(second=lambda v, g, b1, b2: b2 * v + (1 - b2) * g.abs()),
    "the moments are not kept from step to step": _adam(
        first=lambda m, g, b1, b2: (1 - b1) * g, second=lambda v, g, b1, b2: (1 - b2) * g * g
    ),
    "the first moment m is not kept from step to step": _adam(first=lambda m, g, b1, b2: (1 - b1) * g),
    "the second moment v is not kept from step to step": _adam(second=lambda v, g, b1, b2: (1 - b2) * g * g),
    "the step goes uphill: it is added": _adam(sign=-1),
}
