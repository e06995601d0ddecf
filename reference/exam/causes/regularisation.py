"""Mistakes in what regularisation adds: 1/2 reg times the sum of W² to the loss, reg W to each weight's gradient.

Weights are the inputs that the row differentiates, of two axes or more; those of one axis are biases and the like.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from scratchproof.exam.causes.evidence import Item
from scratchproof.exam.exam import Trial
from scratchproof.table.expressions import WithoutHalf
from scratchproof.vjp import Array, floating

SHARES = {0.0: "missing", 0.5: "half what is due", 2.0: "twice what is due", -1.0: "of the wrong sign"}
"""How often the due share is there, and how that is told."""
AT_ODDS = (
    "the loss adds reg * sum(W^2), whose gradient is 2 * reg * W: a 1/2 is missing in the loss, or a 2 in the gradient"
)
THE_OTHER_WAY = (
    "the loss adds half of reg * sum(W^2), whose gradient is reg * W: a 2 is missing in the loss, or too much in dW"
)


def of_regularisation(item: Item) -> Iterator[tuple[str, Array]]:
    """What a loss or a gradient would be, were it regularised otherwise."""
    trial = item.trial
    reg = trial.case.options.get("reg")
    if reg is None:
        return
    reg *= 2 if isinstance(trial.layer.torch, WithoutHalf) else 1
    if item.place[0] in trial.outputs:
        yield from _of_loss(item, reg)
    else:
        yield from _of_gradient(item, reg)


def _of_gradient(item: Item, reg: float) -> Iterator[tuple[str, Array]]:
    trial, (quantity, index) = item.trial, item.place
    value = trial.inputs[quantity[1:]]
    share = reg * value * next(iter(trial.cotangents[index].values()))
    if value.ndim < 2:
        yield f"{quantity[1:]} is regularised too: biases are not to be", item.expected + share
        yield f"{quantity[1:]} is regularised too: biases are not to be", item.expected + 2 * share
        return
    for factor, told in SHARES.items():
        yield f"the share of the regularisation in {quantity} is {told}", item.expected + (factor - 1) * share
    added = reg * value.sum() * next(iter(trial.cotangents[index].values()))
    yield f"the regularisation adds reg times the sum of {quantity[1:]}, one number", item.expected - share + added
    for of_N in _shares_of_N(trial):
        yield f"the share of the regularisation in {quantity} is divided by N", item.expected + (of_N - 1) * share


def _of_loss(item: Item, reg: float) -> Iterator[tuple[str, Array]]:
    trial, due = item.trial, item.expected
    weights, biases = _weights(trial)
    halves = {name: 0.5 * reg * float((value * value).sum()) for name, value in {**weights, **biases}.items()}
    every = sum(halves[name] for name in weights)
    for factor, told in SHARES.items():
        halved = factor == 0.5 and isinstance(trial.layer.torch, WithoutHalf)
        sentence = f"the share of the regularisation in the loss is {told}"
        sentence = AT_ODDS if factor == 2 else THE_OTHER_WAY if halved else sentence
        yield sentence, due + (factor - 1) * every
    for count in range(1, len(weights)):
        for names in combinations(weights, count):
            left = sum(halves[name] for name in names)
            yield f"{' and '.join(names)} is left out of the regularisation of the loss", due - left
    for names in ((*biases,), *((name,) for name in biases)):
        more = sum(halves[name] for name in names)
        yield f"the loss regularises the bias too: {', '.join(names)}", due + more
    for of_N in _shares_of_N(trial):
        yield "the share of the regularisation in the loss is divided by N", due + (of_N - 1) * every
    norms = 0.5 * reg * sum(float(np.sqrt((value * value).sum())) for value in weights.values())
    sums = 0.5 * reg * sum(float(value.sum()) for value in weights.values())
    for factor in (1, 2):
        yield "the regularisation takes the root of the sum of squares", due + factor * norms - every
        yield "the regularisation sums the weights, not their squares", due + factor * sums - every


def _shares_of_N(trial: Trial) -> tuple[float, float]:
    """What is left of a share that is divided by N, with the 1/2 that is due, and without it."""
    rows = max(1, len(trial.inputs[trial.layer.data]))
    return 1 / rows, (0.5 if isinstance(trial.layer.torch, WithoutHalf) else 2.0) / rows


def _weights(trial: Trial) -> tuple[dict[str, Array], dict[str, Array]]:
    """The weights and the biases by name."""
    names = floating(trial.inputs, trial.layer.constant)
    weights = {name: trial.inputs[name] for name in names if trial.inputs[name].ndim > 1}
    return weights, {name: trial.inputs[name] for name in names if name not in weights}
