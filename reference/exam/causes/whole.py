"""Mistakes that speak of a whole answer, output and gradients: what the row's slips, other options, and a lesser
use of the inputs or of dout would give.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from scratchproof.exam.causes.evidence import Mistaken, by_place
from scratchproof.exam.exam import Trial
from scratchproof.table.expressions import WithoutHalf
from scratchproof.table.layers import Layer
from scratchproof.vjp import Answer, Array, Expression, answer, floating, from_torch, named

# What an option is made by those who do not take it from where they are given it.
HARD_CODED: Mapping[type, tuple[float, ...]] = {int: (0, 1, 2), float: (0.0,), str: ()}
SELDOM = 2  # the rank from which on a mistake is no more than possible
SHARES = (0.5, 0.9, 0.99, 0.999)  # what a share, between 0 and 1, is by default elsewhere
OTHER_DEFAULTS = (1e-7, 1e-5, 1e-3, 1e-2, 0.1, 10.0, 100.0, 1e3)


class Mistake(NamedTuple):
    """A sentence, and what it would give in a trial; {N} in the sentence stands for the number of rows.

    rank: the lower, the more it is what people do: what the row invites before what any layer may suffer.
    """

    sentence: str
    rank: int
    gives: Callable[[Trial], Mistaken]


def mistakes(layer: Layer) -> Iterator[Mistake]:
    """Every mistake that could be made in a layer as a whole."""
    for sentence, expression in layer.slips.items():
        yield Mistake(sentence, 0, _as(expression))
    yield from _other_options(layer)
    yield from _inputs_left_out(layer)
    if layer.kind in ("pair", "function", "drawn"):
        yield Mistake(
            "the upstream gradient dout is ignored: this is the result for dout = 1", 1, _pulled(np.ones_like)
        )
        yield Mistake("negative upstream gradients are dropped", 1, _pulled(lambda dout: np.maximum(dout, 0)))
        yield Mistake("the upstream gradient is taken by its absolute value", 1, _pulled(np.abs))
        for sentence, change in ROWS_OF_DOUT.items():
            yield Mistake(sentence, 1, _pulled(change))
    if layer.pulls_back:
        yield from _exchanged(layer)


def _some_rows(*, counted: slice) -> Callable[[Array], Array]:
    def change(dout: Array) -> Array:
        found = np.zeros_like(dout)
        found[counted] = dout[counted]
        return found

    return change


def _first_channel(dout: Array) -> Array:
    return np.broadcast_to(dout[:, :1], dout.shape).copy() if dout.ndim > 1 else dout


# What becomes of dout where a loop runs too short, or an index is left out.
ROWS_OF_DOUT: dict[str, Callable[[Array], Array]] = {
    "only the first row of the batch counts": _some_rows(counted=slice(0, 1)),
    "only the last row of the batch counts": _some_rows(counted=slice(-1, None)),
    "the first row of the batch is left out": _some_rows(counted=slice(1, None)),
    "the last row of the batch is left out": _some_rows(counted=slice(0, -1)),
    "dout of the first column or channel stands for all": _first_channel,
}


def _exchanged(layer: Layer) -> Iterator[Mistake]:
    names = floating(layer.cases[0].inputs(np.random.default_rng(0)), layer.constant)
    for one, other in combinations(names, 2):
        yield Mistake(f"d{one} and d{other} are exchanged", 0, _exchanging(one, other))


def _exchanging(one: str, other: str) -> Callable[[Trial], Mistaken]:
    def gives(trial: Trial) -> Mistaken:
        grads = ({one: found[other], other: found[one]} for found in trial.truth.grads)
        return by_place(trial, Answer(outs={}, grads=tuple(grads)))

    return gives


def given(mistake: Mistake, trial: Trial) -> Mistaken:
    """What the mistake gives in a trial; nothing where it makes no sense there. Computed once for every subject."""
    if mistake.sentence not in trial.mistaken:
        try:
            with np.errstate(all="ignore"):
                trial.mistaken[mistake.sentence] = mistake.gives(trial)
        except Exception:  # whatever a slip stumbles over where it makes no sense
            trial.mistaken[mistake.sentence] = {}
    found: Mistaken = trial.mistaken[mistake.sentence]
    return found


def _as(
    expression: Expression | None, options: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
) -> Callable[[Trial], Mistaken]:
    """As if the layer were another expression, or had other options."""

    def gives(trial: Trial) -> Mistaken:
        due = trial.layer.torch
        made = due if expression is None else WithoutHalf(expression) if isinstance(due, WithoutHalf) else expression
        function = from_torch(made, constant=trial.layer.constant, options=options(trial.case.options))
        try:
            return by_place(trial, answer(function, trial.inputs, trial.cotangents))
        except (RuntimeError, ValueError):  # of a shape that dout does not have
            return by_place(trial, answer(function, trial.inputs))

    return gives


def _other_options(layer: Layer) -> Iterator[Mistake]:
    defaults = {name: p.default for name, p in _options(layer.torch) if type(p.default) in HARD_CODED}
    for name, default in defaults.items():
        if any(case.options.get(name, default) != default for case in layer.cases):
            yield _always(f"{name} never arrives: this is the result for {name} = {default}", name, default)
        for value in HARD_CODED[type(default)]:
            if value != default:
                sentence = f"{name} is taken for {value:g}, whatever it is" if value else f"{name} is left out"
                yield _always(sentence, name, value)
        if type(default) is float:
            yield from _other_numbers(name, default)


def _other_numbers(name: str, default: float) -> Iterator[Mistake]:
    others = [default * factor for factor in OTHER_DEFAULTS] + (list(SHARES) if 0.5 <= default < 1 else [])
    for other in others:
        sentence = f"the default of {name} is {other:g}, where {default:g} is due"
        yield Mistake(sentence, 1, _as(None, _with_default(name, other)))
        yield _always(f"{name} is taken for {other:g}, whatever it is", name, other)
    if 0 < default < 1:
        sentence = f"1 - {name} stands where {name} is due"
        turned = lambda options: {**options, name: 1 - options.get(name, default)}  # noqa: E731
        yield Mistake(sentence, 1, _as(None, turned))


def _with_default(name: str, value: float) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda options: {name: value, **options}


def _always(sentence: str, name: str, value: Any) -> Mistake:
    return Mistake(sentence, 1, _as(None, lambda options: {**options, name: value}))


def _options(expression: Expression) -> list[tuple[str, inspect.Parameter]]:
    try:
        parameters = inspect.signature(expression).parameters
    except (TypeError, ValueError):
        return []
    return [(name, p) for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY]


def _inputs_left_out(layer: Layer) -> Iterator[Mistake]:
    sample = layer.cases[0].inputs(np.random.default_rng(0))
    for name in floating(sample):
        for value, change in ((0, np.zeros_like), (1, np.ones_like)):
            sentence = f"{name} does not take part: this is the result for {name} = {value}"
            yield Mistake(sentence, 2, _with_input(name, change))
        yield Mistake(f"the sign of {name} is turned", 2, _with_input(name, np.negative))


def _with_input(name: str, change: Callable[[Array], Array]) -> Callable[[Trial], Mistaken]:
    """As if an input were another."""

    def gives(trial: Trial) -> Mistaken:
        inputs = {**trial.inputs, name: change(trial.inputs[name])}
        return by_place(trial, answer(trial.oracle, inputs, trial.cotangents))

    return gives


def _pulled(change: Callable[[Array], Array]) -> Callable[[Trial], Mistaken]:
    """As if dout were another."""

    def gives(trial: Trial) -> Mistaken:
        douts = [named({name: change(value) for name, value in dout.items()}) for dout in trial.cotangents]
        return by_place(trial, Answer(outs={}, grads=answer(trial.oracle, trial.inputs, douts).grads))

    return gives
