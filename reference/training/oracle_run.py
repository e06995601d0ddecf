"""torch's side of lockstep: gradients, single updates and whole runs, each also disturbed as rounding may disturb it.

What a parameter is allowed is how far the farthest disturbed run strays from the undisturbed one, in the largest
element, plus the floor of a few units in the last place. Inside forward and backward pass the disturbance is that
of `tolerance.Rounding`; optimizers cannot run under it (torch profiles them through objects that a dispatch mode
cannot hold), so there the gradient going in, and the state and the parameters coming out, are disturbed instead,
at the same amplitude. A run keeps its disturbances: how they grow over a thousand steps is measured, not assumed.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.oracle.rounding import AMPLITUDE, Rounding
from scratchproof.oracle.tolerance import SLACK
from scratchproof.table import nets
from scratchproof.training.journal import Journal, Params
from scratchproof.training.optim import make_optimizer
from scratchproof.training.updates import Model, Moment
from scratchproof.vjp import PRECISIONS, Array

DOUBLE = PRECISIONS["float64"]
FLOOR = 4.0  # units in the last place of the largest element: both sides round, and a step more than once
RUNS = 3  # disturbed runs of a whole training: each costs as much as ten undisturbed ones


def allowances(truth: Params, disturbed: list[Params]) -> dict[str, float]:
    """How far each quantity may be off in its largest element."""
    allowed = {}
    for name, value in truth.items():
        largest = np.abs(value[np.isfinite(value)]).max(initial=0.0)
        strays = [_largest(run[name] - value) for run in disturbed]
        allowed[name] = float(SLACK * max(strays, default=0.0) + FLOOR * DOUBLE.unit * largest + DOUBLE.tiny)
    return allowed


def largest_difference(actual: Array, expected: Array) -> float:
    """The largest |actual - expected|; nan or the same infinity on both sides is no difference."""
    if actual.shape != expected.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        errors = np.where(same, 0.0, np.abs(actual - expected))
    return float(np.nan_to_num(errors, nan=np.inf).max(initial=0.0))


def _largest(difference: Array) -> float:
    return float(np.abs(difference[np.isfinite(difference)]).max(initial=0.0))


class Gradients:
    """Loss and gradients of a case's twin by autograd, at any parameters."""

    def __init__(self, journal: Journal) -> None:
        self.case = journal.case
        self.twin = nets.from_params(self.case.name, journal.params[0], self.case.shape)

    def at(self, params: Params, X: Array, y: Array, *, rounding: Rounding | None = None) -> Params:
        """The gradient of the objective in every parameter, regularisation included, and its value as "loss"."""
        nets.load(self.twin, params)
        with rounding or nullcontext():
            loss = nets.objective(self.twin, _tensor(X), _tensor(y), loss=self.case.loss, reg=self.case.reg)
            torch.autograd.backward(loss)
        return {**nets.dump_grad(self.twin), "loss": loss.detach().numpy()}

    def disturbed(self, params: Params, X: Array, y: Array, *, seed: int) -> list[Params]:
        """The same a few times, with every operation disturbed."""
        rounding = Rounding(DOUBLE, seed)
        return [self.at(params, X, y, rounding=rounding) for _ in range(RUNS)]


def forced_updates(journal: Journal) -> Iterator[Params]:
    """What torch.optim makes of each of the subject's parameters, given the subject's own gradients.

    Every step starts from where the subject was, so that nothing but the update itself is compared; the
    optimizer keeps its state from step to step.
    """
    holder = nn.ParameterDict({name: nn.Parameter(_tensor(w).clone()) for name, w in journal.params[0].items()})
    optimizer = make_optimizer(journal.rule, holder, journal.config)
    for step, rate in enumerate(journal.rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for name, p in holder.items():
            p.data.copy_(_tensor(journal.params[step][name]))
            p.grad = _tensor(journal.grads[step][name]).clone()
        optimizer.step()
        yield {name: p.detach().numpy().copy() for name, p in holder.items()}


def modelled_updates(journal: Journal, move: Model, *, seed: int | None = None) -> Iterator[Params]:
    """The same by a model from `updates`; with a seed, gradients, state and results are disturbed."""
    disturb = _Disturbance(seed)
    states: dict[str, dict[str, Any]] = {name: {} for name in journal.params[0]}
    rates = journal.rates
    for step, rate in enumerate(rates):
        after = {}
        for index, (name, w) in enumerate(journal.params[step].items()):
            moment = Moment(
                w=w,
                g=disturb(journal.grads[step][name]),
                step=step,
                rates=rates,
                rate=rate,
                options=journal.config,
                reg=journal.case.reg,
                index=index,
                count=len(states),
            )
            with np.errstate(all="ignore"):  # a slip may well divide by zero
                after[name] = disturb(w + disturb(move(moment, states[name])))
            states[name] = {key: disturb(value) for key, value in states[name].items()}
        yield after


class FreeRun:
    """A torch training loop of its own on the journal's batches, from the journal's start."""

    def __init__(self, journal: Journal, *, seed: int | None = None) -> None:
        """seed: of the disturbances; None for the undisturbed run."""
        self.journal, self.case = journal, journal.case
        self.twin = nets.from_params(self.case.name, journal.params[0], self.case.shape)
        self.optimizer = make_optimizer(journal.rule, self.twin, journal.config, reg=self.case.reg)
        self.rounding = None if seed is None else Rounding(DOUBLE, seed)
        self.disturb = _Disturbance(seed)

    def __iter__(self) -> Iterator[Params]:
        """The parameters after each step, and the loss before it as "loss"."""
        for X, y in zip(self.journal.X, self.journal.y, strict=True):
            loss = self._step(_tensor(X), _tensor(y))
            yield {**nets.dump(self.twin), "loss": np.array(loss)}

    def _step(self, X: Tensor, y: Tensor) -> float:
        self.optimizer.zero_grad()
        with self.rounding or nullcontext():
            loss = nets.objective(self.twin, X, y, loss=self.case.loss)  # the optimizer adds the decay
            torch.autograd.backward(loss)
            total = loss.detach() + self._penalty()
        self.optimizer.step()
        if self.rounding is not None:
            self._disturb_state()
        return total.item()

    @torch.no_grad()
    def _penalty(self) -> Tensor:
        squares = [(p * p).sum() for p in self.twin.parameters() if p.ndim > 1]
        return 0.5 * self.case.reg * torch.stack(squares).sum()

    def _disturb_state(self) -> None:
        for p in self.twin.parameters():
            for value in (p.data, *self.optimizer.state[p].values()):
                if isinstance(value, Tensor) and value.ndim:  # the step count is a scalar and exact
                    value.copy_(torch.from_numpy(self.disturb(value.numpy())))


class _Disturbance:
    """Multiply by 1 + AMPLITUDE * u * noise, noise of random sign and a size between a half and 1; or leave alone."""

    def __init__(self, seed: int | None) -> None:
        self.rng = None if seed is None else np.random.default_rng(seed)

    def __call__(self, value: Array) -> Array:
        if self.rng is None:
            return value
        noise = self.rng.uniform(0.5, 1.0, value.shape) * self.rng.choice([-1.0, 1.0], value.shape)
        disturbed: Array = value * (1 + AMPLITUDE * DOUBLE.unit * noise)
        return disturbed


def _tensor(value: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(value))
