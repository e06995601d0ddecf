"""Rows of the table: optimizers, step by step beside the formulas of torch.optim.

An expression takes the parameter w and the gradients of T steps, dw (T, ...), and gives w after each of them (T, ...).
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scratchproof.table.expressions import Rng, Sampler
from scratchproof.table.layer import Case, Layer, Shapes
from scratchproof.table.slips import rules
from scratchproof.vjp import Expression, Inputs


def sgd(w: Tensor, dw: Tensor, *, learning_rate: float = 1e-2) -> Tensor:
    return torch.stack([w := w - learning_rate * step for step in dw])


def sgd_momentum(w: Tensor, dw: Tensor, *, learning_rate: float = 1e-2, momentum: float = 0.9) -> Tensor:
    velocity, found = torch.zeros_like(w), []
    for step in dw:
        velocity = momentum * velocity - learning_rate * step
        found.append(w := w + velocity)
    return torch.stack(found)


def rmsprop(
    w: Tensor, dw: Tensor, *, learning_rate: float = 1e-2, decay_rate: float = 0.99, epsilon: float = 1e-8
) -> Tensor:
    mean, found = torch.zeros_like(w), []
    for step in dw:
        mean = decay_rate * mean + (1 - decay_rate) * step * step
        found.append(w := w - learning_rate * step / (mean.sqrt() + epsilon))
    return torch.stack(found)


def _adam_from(first: int) -> Expression:
    """Adam whose steps are counted from `first`: from 1 in torch and in algorithm 1."""

    def adam(
        w: Tensor,
        dw: Tensor,
        *,
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> Tensor:
        m, v, found = torch.zeros_like(w), torch.zeros_like(w), []
        for t, step in enumerate(dw, start=first):
            m = beta1 * m + (1 - beta1) * step
            v = beta2 * v + (1 - beta2) * step * step
            found.append(w := w - learning_rate * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + epsilon))
        return torch.stack(found)

    return adam


adam, adam_from_two = _adam_from(1), _adam_from(2)


def _positive(name: str) -> tuple[dict[str, Any], ...]:
    return tuple({name: value} for value in (0.0, -1.0, math.inf, math.nan, True, "0.1"))


def _share(name: str) -> tuple[dict[str, Any], ...]:
    return tuple({name: value} for value in (1.0, -0.1, math.nan, False, "0.1"))


_RATE = _positive("learning_rate")


def _steps(count: int, shape: tuple[int, ...], *, size: float = 1.0) -> Sampler:
    """A parameter near 1 and `count` gradients, of deviation `size`."""

    def sample(rng: Rng) -> Inputs:
        return {"w": rng.standard_normal(shape), "dw": size * rng.standard_normal((count, *shape))}

    return sample


_DEFAULTS = Case(name="defaults, 3 steps", inputs=_steps(3, (4, 5)))
_rule = partial(
    Layer,
    kind="rule",
    data="dw",
    corners=("zeros", "sparse"),
)


def _shapes(**settings: tuple[float, ...]) -> Shapes:
    """Parameters of every rank, over one step and over a hundred."""
    return Shapes(
        letters={"T": (1, 2, 7, 110), "rank": (1, 2, 3, 4), "a": (1, 2, 5, 1030)}
        | {"b": (1, 3), "c": (2, 3), "d": (1, 2)},
        inputs=lambda T, rank, **sizes: _steps(T, tuple(sizes.values())[:rank]),
        legal=lambda T, rank, a, **_: rank == 1 or max(T, a) <= 7,
        settings=settings,
        notable={
            "one step": lambda T, **_: T == 1,
            "more than a hundred steps": lambda T, **_: T > 100,
            "a bias": lambda rank, a, **_: rank == 1 < a,
            "one number": lambda rank, a, **_: rank == 1 == a,
            "filters": lambda rank, **_: rank == 4,
            "more than a thousand elements": lambda a, **_: a > 1000,
        },
    )


_RATES = (1e-2, 1e-4, 1.0)

RULES: tuple[Layer, ...] = (
    _rule(
        name="sgd",
        unfit_options=_RATE,
        torch=sgd,
        slips=rules.SGD,
        shapes=_shapes(learning_rate=_RATES),
        cases=(
            _DEFAULTS,
            Case(name="rate 0.5", inputs=_steps(4, (3, 2)), options={"learning_rate": 0.5}),
            Case(name="one number", inputs=_steps(2, ())),
            Case(name="no numbers", inputs=_steps(2, (0, 3))),
            Case(name="long rows", inputs=_steps(2, (2, 40_000))),
        ),
    ),
    _rule(
        name="sgd_momentum",
        unfit_options=(*_RATE, *_share("momentum")),
        torch=sgd_momentum,
        slips=rules.SGD_MOMENTUM,
        shapes=_shapes(learning_rate=_RATES, momentum=(0.9, 0.0, 0.5, 0.99)),
        cases=(
            _DEFAULTS,
            Case(
                name="rate 0.5, momentum 0.7",
                inputs=_steps(5, (3, 2)),
                options={"learning_rate": 0.5, "momentum": 0.7},
            ),
            Case(name="momentum 0", inputs=_steps(2, (3, 2)), options={"momentum": 0.0}),
        ),
    ),
    _rule(
        name="rmsprop",
        unfit_options=(*_RATE, *_share("decay_rate"), *_positive("epsilon")),
        torch=rmsprop,
        slips=rules.RMSPROP,
        shapes=_shapes(learning_rate=_RATES, decay_rate=(0.99, 0.5, 0.9), epsilon=(1e-8, 1e-3)),
        cases=(
            _DEFAULTS,
            Case(
                name="rate 0.5, decay 0.7",
                inputs=_steps(5, (3, 2)),
                options={"learning_rate": 0.5, "decay_rate": 0.7},
            ),
            Case(name="gradients near 1e-8", inputs=_steps(4, (3, 2), size=3e-8)),
            Case(name="epsilon 0.01", inputs=_steps(4, (3, 2)), options={"epsilon": 1e-2}),
        ),
    ),
    _rule(
        name="adam",
        unfit_options=(*_RATE, *_share("beta1"), *_share("beta2"), *_positive("epsilon")),
        torch=adam,
        slips=rules.ADAM,
        shapes=_shapes(learning_rate=_RATES, beta1=(0.9, 0.0, 0.99), beta2=(0.999, 0.9), epsilon=(1e-8, 1e-3)),
        conventions={"the first step counts as the second: t begins at 1 and is incremented before use": adam_from_two},
        cases=(
            _DEFAULTS,
            Case(
                name="rate 0.5, betas 0.6 and 0.8",
                inputs=_steps(5, (3, 2)),
                options={"learning_rate": 0.5, "beta1": 0.6, "beta2": 0.8},
            ),
            Case(name="gradients near 1e-8", inputs=_steps(4, (3, 2), size=3e-8)),
            Case(name="epsilon 0.01", inputs=_steps(4, (3, 2)), options={"epsilon": 1e-2}),
            Case(name="12 steps", inputs=_steps(12, (3, 2))),
        ),
    ),
)
