"""Update rules as lockstep suspects them: each known mistake and each known convention, as a small model.

A model says by how much a parameter moves, from the gradient and its own state; the right ones restate
torch.optim's documentation. When a subject's step differs from torch's, the models with one slip each are run
on the subject's own gradients, and the first that reproduces its steps names the term.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from scratchproof.vjp import Array

State = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a rule has before it at one step for one parameter.

    w, g: the parameter and its gradient, decay included. step: from 0. rates: the learning rate due at every step;
    rate: the one at this step. options: by CS231n name. reg: the net's. index, count: which of how many parameters.
    """

    w: Array
    g: Array
    step: int
    rates: tuple[float, ...]
    rate: float
    options: Mapping[str, float]
    reg: float
    index: int
    count: int

    @property
    def decay(self) -> Array:
        """What L2 contributes to a right gradient: reg * w, nothing for biases."""
        return self.reg * self.w if self.w.ndim > 1 else np.zeros_like(self.w)


Model = Callable[[Moment, State], Array]


@dataclass(frozen=True, slots=True)
class Slip:
    """One departure from torch.optim: the term it is in, a sentence, and the move it makes."""

    term: str
    cause: str
    move: Model


def sgd(at: Moment, state: State) -> Array:
    return -at.rate * at.g


def momentum(
    at: Moment, state: State, *, carry: Callable[[Any, Any, float], Any], move: Callable[[Any, Any, Any, float], Any]
) -> Array:
    """carry: (v, g, mu) -> next v.  move: (v before, v after, g, mu) -> the move for a rate of 1."""
    mu, before = at.options["momentum"], state.get("v", np.zeros_like(at.g))
    state["v"] = after = carry(before, at.g, mu)
    moved: Array = -at.rate * move(before, after, at.g, mu)
    return moved


def cs231n_momentum(at: Moment, state: State) -> Array:
    state["v"] = at.options["momentum"] * state.get("v", 0.0) - at.rate * at.g
    return np.array(state["v"])


def rmsprop(
    at: Moment,
    state: State,
    *,
    carry: Callable[[Any, Any, float], Any] = lambda c, g, rho: rho * c + (1 - rho) * g * g,
    denominator: Callable[[Any, float], Any] = lambda c, eps: np.sqrt(c) + eps,
    late: bool = False,
) -> Array:
    """carry: (cache, g, decay_rate) -> next cache.  late: the cache is used before it is brought up to date."""
    before = state.get("cache", np.zeros_like(at.g))
    state["cache"] = carry(before, at.g, at.options["decay_rate"])
    used = before if late else state["cache"]
    moved: Array = -at.rate * at.g / denominator(used, at.options["epsilon"])
    return moved


def adam(
    at: Moment,
    state: State,
    *,
    first: Callable[[Any, Any, float], Any] = lambda m, g, beta: beta * m + (1 - beta) * g,
    second: Callable[[Any, Any, float], Any] = lambda v, g, beta: beta * v + (1 - beta) * g * g,
    time: Callable[[Moment], int] = lambda at: at.step + 1,
    correct: tuple[bool, bool] = (True, True),
    denominator: Callable[[Any, float, float], Any] = lambda v, c, eps: np.sqrt(v / c) + eps,
) -> Array:
    """first, second: how the moments are carried.  denominator: (v, 1 - beta2^t, epsilon) -> what m' is divided by."""
    o, t = at.options, time(at)
    state["m"] = first(state.get("m", np.zeros_like(at.g)), at.g, o["beta1"])
    state["v"] = second(state.get("v", np.zeros_like(at.g)), at.g, o["beta2"])
    c1, c2 = (
        np.float64(1 - o[beta] ** t if wanted else 1) for beta, wanted in zip(("beta1", "beta2"), correct, strict=True)
    )
    moved: Array = -at.rate * (state["m"] / c1) / denominator(state["v"], c2, o["epsilon"])
    return moved


def _velocity(v: Any, g: Any, mu: float) -> Any:
    return mu * v + g


def _after(before: Any, after: Any, g: Any, mu: float) -> Any:
    return after


RIGHT: dict[str, Model] = {
    "sgd": sgd,
    "sgd_momentum": partial(momentum, carry=_velocity, move=_after),
    "rmsprop": rmsprop,
    "adam": adam,
}

# Forms in use elsewhere that are right in their own way: a subject that follows one passes, with a note.
CONVENTIONS: dict[str, tuple[Slip, ...]] = {
    "sgd": (),
    "sgd_momentum": (
        Slip("momentum", "CS231n's velocity carries the rate it was made with; torch multiplies by the present one",
             cs231n_momentum),
    ),
    "rmsprop": (
        Slip("epsilon", "epsilon inside the root, as in TensorFlow; torch adds it outside",
             partial(rmsprop, denominator=lambda c, eps: np.sqrt(c + eps))),
    ),
    "adam": (
        Slip("epsilon", "epsilon before the bias correction ('epsilon hat', as in Keras); torch adds it after",
             partial(adam, denominator=lambda v, c, eps: (np.sqrt(v) + eps) / np.sqrt(c))),
    ),
}  # fmt: skip


def _with_gradient(move: Model, gradient: Callable[[Moment], Array]) -> Model:
    return lambda at, state: move(replace(at, g=gradient(at)), state)


def _with_rate(move: Model, rate: Callable[[Moment], float]) -> Model:
    return lambda at, state: move(replace(at, rate=rate(at)), state)


def _decoupled(move: Model) -> Model:
    return lambda at, state: move(replace(at, g=at.g - at.decay), state) - at.rate * at.decay


def _stale(move: Model) -> Model:
    def moved(at: Moment, state: State) -> Array:
        last, state["last"] = state.get("last", np.zeros_like(at.g)), at.g
        return move(replace(at, g=last), state)

    return moved


def _on_biases(at: Moment) -> Array:
    return at.g + at.reg * at.w if at.w.ndim <= 1 else at.g


def differences(rule: str) -> tuple[Slip, ...]:
    """What sets `weight_decay` apart from L2 in the loss: shown beside a result, not accepted in its place."""
    right = RIGHT[rule]
    decoupled = Slip("decay", "decoupled decay (AdamW's): L2 in the loss goes through the rule", _decoupled(right))
    biases = Slip(
        "decay", "weight_decay on all parameters: CS231n leaves biases out", _with_gradient(right, _on_biases)
    )
    return (biases,) if rule == "sgd" else (decoupled, biases)


def slips(rule: str) -> tuple[Slip, ...]:
    """The mistakes to suspect in `rule`, the simplest first."""
    right = RIGHT[rule]
    common = (
        Slip("learning rate", "the step goes uphill: its sign is flipped", lambda at, state: -right(at, state)),
        Slip("learning rate", "the rate never decays", _with_rate(right, lambda at: at.rates[0])),
        Slip("learning rate", "the rate decays one step late",
             _with_rate(right, lambda at: at.rates[max(at.step - 1, 0)])),
        Slip("learning rate", "the rate decays one step early",
             _with_rate(right, lambda at: at.rates[min(at.step + 1, len(at.rates) - 1)])),
        Slip("decay", "reg * w is added once more in the update", _with_gradient(right, lambda at: at.g + at.decay)),
        Slip("decay", "reg * w is taken out of the update", _with_gradient(right, lambda at: at.g - at.decay)),
        Slip("decay", "biases decay too", _with_gradient(right, _on_biases)),
        Slip("decay", "the decay is decoupled from the gradient (AdamW's form)", _decoupled(right)),
        Slip("gradient", "the step uses the gradient of the step before", _stale(right)),
    )  # fmt: skip
    return (*OWN[rule], *common)


OWN: dict[str, tuple[Slip, ...]] = {
    "sgd": (),
    "sgd_momentum": (
        Slip("momentum", "the velocity's sign is flipped: -momentum where +momentum is due",
             partial(momentum, carry=lambda v, g, mu: g - mu * v, move=_after)),
        Slip("momentum", "the velocity is not kept from step to step: plain sgd", sgd),
        Slip("momentum", "the step uses the velocity of the step before",
             partial(momentum, carry=_velocity, move=lambda before, after, g, mu: before)),
        Slip("momentum", "Nesterov's look-ahead in place of plain momentum",
             partial(momentum, carry=_velocity, move=lambda before, after, g, mu: g + mu * after)),
        Slip("momentum", "the gradient is damped by 1 - momentum",
             partial(momentum, carry=lambda v, g, mu: mu * v + (1 - mu) * g, move=_after)),
        Slip("momentum", "1 - momentum where momentum is due",
             partial(momentum, carry=lambda v, g, mu: (1 - mu) * v + g, move=_after)),
    ),
    "rmsprop": (
        Slip("epsilon", "epsilon is missing", partial(rmsprop, denominator=lambda c, eps: np.sqrt(c))),
        Slip("second moment", "the root is missing", partial(rmsprop, denominator=lambda c, eps: c + eps)),
        Slip("second moment", "the cache is used before it is brought up to date", partial(rmsprop, late=True)),
        Slip("second moment", "decay_rate and 1 - decay_rate are swapped",
             partial(rmsprop, carry=lambda c, g, rho: (1 - rho) * c + rho * g * g)),
        Slip("second moment", "squares are added without 1 - decay_rate",
             partial(rmsprop, carry=lambda c, g, rho: rho * c + g * g)),
        Slip("second moment", "squares are summed and never forgotten (Adagrad)",
             partial(rmsprop, carry=lambda c, g, rho: c + g * g)),
    ),
    "adam": (
        Slip("bias correction", "neither moment is corrected for its start at zero",
             partial(adam, correct=(False, False))),
        Slip("bias correction", "the first moment is not corrected", partial(adam, correct=(False, True))),
        Slip("bias correction", "the second moment is not corrected", partial(adam, correct=(True, False))),
        Slip("bias correction", "t is incremented after its use: the first step divides by 1 - beta^0 = 0",
             partial(adam, time=lambda at: at.step)),
        Slip("bias correction", "t is one too high", partial(adam, time=lambda at: at.step + 2)),
        Slip("bias correction", "t stays at 1", partial(adam, time=lambda at: 1)),
        Slip("bias correction", "one t for all: it grows with every parameter, not with every step",
             partial(adam, time=lambda at: at.step * at.count + at.index + 1)),
        Slip("epsilon", "epsilon stands inside the root",
             partial(adam, denominator=lambda v, c, eps: np.sqrt(v / c + eps))),
        Slip("epsilon", "epsilon stands inside the root, before the correction",
             partial(adam, denominator=lambda v, c, eps: np.sqrt((v + eps) / c))),
        Slip("epsilon", "epsilon is missing", partial(adam, denominator=lambda v, c, eps: np.sqrt(v / c))),
        Slip("momentum", "beta1 and 1 - beta1 are swapped",
             partial(adam, first=lambda m, g, beta: (1 - beta) * m + beta * g)),
        Slip("momentum", "gradients are added without 1 - beta1", partial(adam, first=lambda m, g, beta: beta * m + g)),
        Slip("momentum", "the first moment is not kept from step to step",
             partial(adam, first=lambda m, g, beta: (1 - beta) * g)),
        Slip("second moment", "the root is missing", partial(adam, denominator=lambda v, c, eps: v / c + eps)),
        Slip("second moment", "beta2 and 1 - beta2 are swapped",
             partial(adam, second=lambda v, g, beta: (1 - beta) * v + beta * g * g)),
        Slip("second moment", "squares are added without 1 - beta2",
             partial(adam, second=lambda v, g, beta: beta * v + g * g)),
    ),
}  # fmt: skip
