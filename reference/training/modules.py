"""Any module and optimizer beside the truth's, step for step: where do the two part, if they do?

Both start from the truth's parameters and see the same batches. The truth runs in float64, with a few copies of
itself in which every operation errs as rounding in the candidate's precision may make it err: as far as these stray,
and some times farther, the candidate may.
"""

import copy
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from scratchproof.errors import InputError
from scratchproof.exam.compare import number
from scratchproof.oracle.rounding import Rounding, disturbing
from scratchproof.progress import progress
from scratchproof.tracing.sides import carry
from scratchproof.training.terms import Moment, blamed, common_factor, factor_term, inner
from scratchproof.vjp import PRECISIONS, Precision, same_draws

COPIES = 3
ROUGHLY = 16.0  # times the farthest that any element of a tensor strayed in a copy
FLOOR = 64.0  # units in the last place of a tensor's largest element

Maker = Callable[[], tuple[nn.Module, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockstep:
    """What `lockstep` found: whether the two stayed together, and else where they parted.

    steps: how many were made. step: the first, from 1, at which they part (0 where they do not). term: "gradient",
    "loss scaling" or "accumulation" where gradients differ before the optimizer has seen them; where it makes something
    else of like ones, "decay", "momentum", "bias correction", "epsilon", "clipping", "learning rate", "schedule" or
    "weight averaging", if changing that in the truth's own step makes the candidate's, and else "update". cause: a
    sentence. parameter: the first that shows it, by the truth's name. growth: how far the allowance grew.
    """

    steps: int
    step: int = 0
    term: str = ""
    cause: str = ""
    parameter: str = ""
    error: float = 0.0
    allowed: float = 0.0
    growth: float = 1.0

    @property
    def passed(self) -> bool:
        return not self.step

    @property
    def problem(self) -> str:
        """What `assert_passes` says; nothing where the two stay together."""
        if self.passed:
            return ""
        where = f"step {self.step}: the {self.term} of {self.parameter}"
        said = f"; {self.cause}" if self.cause else ""
        return f"{where} parts from the truth's: error {number(self.error)}, allowed {number(self.allowed)}{said}"

    def __str__(self) -> str:
        return self.problem or f"{self.steps} steps: the two stay together"


def lockstep(
    make_candidate: Maker,
    make_truth: Maker,
    batches: Sequence[Any],
    steps: int,
    *,
    loss: Callable[[nn.Module, Any], Tensor],
    precision: str = "float64",
    seed: int = 0,
) -> Lockstep:
    """Train two modules by their optimizers, step for step, and say where they part.

    make_candidate, make_truth: each returns a module and its optimizer, or whatever has zero_grad() and step(), and
        perhaps backward(module, batch, loss), for a scaled loss or micro-batches: a wrapper that clips gradients, sets
        the rate or averages weights. The truth's is called several times.
    batches: taken in turn, again from the first after the last; tensors in them are moved to each dtype.
    loss: of a module and a batch. precision: what the candidate computes in.
    Raises: InputError where the parameters of the two cannot be told which is which, or for no batch.

    >>> import torch
    >>> from torch.nn import functional as F
    >>> def made(decay):
    ...     net = torch.nn.Linear(3, 2)
    ...     return net, torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=decay)
    >>> batches = [(torch.randn(4, 3), torch.randn(4, 2)) for _ in range(2)]
    >>> squared = lambda net, batch: F.mse_loss(net(batch[0]), batch[1])
    >>> print(lockstep(lambda: made(0.01), lambda: made(0.01), batches, 5, loss=squared))
    5 steps: the two stay together
    >>> found = lockstep(lambda: made(0.02), lambda: made(0.01), batches, 5, loss=squared)
    >>> found.step, found.term, found.parameter
    (1, 'decay', 'weight')
    """
    if precision not in PRECISIONS:
        raise InputError(f"{precision!r} is no precision: choose from {', '.join(PRECISIONS)}")
    if not batches:
        raise InputError("there is no batch to train on")
    coarse, fine = PRECISIONS[precision], PRECISIONS["float64"]
    truth = _Runner(make_truth, fine, loss)
    candidate = _Runner(make_candidate, coarse, loss)
    called = _started(candidate, truth, coarse)
    copies = [_Runner(make_truth, fine, loss, Rounding(coarse, seed + i)) for i in range(COPIES)]
    for one in copies:
        one.module.load_state_dict(truth.module.state_dict())
    beside = _Beside(truth, candidate, called, copies, coarse)
    start = copy.deepcopy(truth.module.state_dict())
    done: list[Any] = []
    with progress("training in lockstep") as advance:
        for step, batch in zip(range(1, steps + 1), itertools.cycle(batches), strict=False):
            advance(step - 1, steps)
            if parted := beside.step(batch):
                again = _Runner(make_truth, fine, loss)
                again.module.load_state_dict(start)
                for earlier in done:
                    again.step(earlier)
                return beside.blamed(parted, step, again)
            done.append(batch)
    return Lockstep(steps=steps, growth=beside.growth)


class _Beside:
    """Truth, candidate and disturbed copies of the truth, a step at a time. called: its names by the truth's."""

    def __init__(
        self,
        truth: "_Runner",
        candidate: "_Runner",
        called: Mapping[str, str],
        copies: Sequence["_Runner"],
        coarse: Precision,
    ) -> None:
        self.truth, self.candidate, self.called, self.copies, self.coarse = truth, candidate, called, copies, coarse
        self.rates: list[float] = []
        self.allowed: list[float] = []

    @property
    def growth(self) -> float:
        return self.allowed[-1] / self.allowed[0] if self.allowed and self.allowed[0] else 1.0

    def step(self, batch: Any) -> dict[str, Any]:
        """What parts first, its error and allowance; nothing where nothing does."""
        self.rates.append(self._rate())
        self.before = {name: p.detach().clone() for name, p in self.candidate.module.named_parameters()}
        self.there = {name: p.detach().clone() for name, p in self.truth.module.named_parameters()}
        self.due, self.got = self.truth.step(batch), self.candidate.step(batch)
        self.scaled = self._unscaled()
        strayed = [one.step(batch) for one in self.copies]
        largest = 0.0
        for term, values in self.due.items():
            for name, value in values.items():
                error = _farthest(self.got[term][self.called[name]], value)
                allowed = _allowed(value, [one[term][name] for one in strayed], self.coarse)
                if not error <= allowed:
                    return {"term": term, "parameter": name, "error": error, "allowed": allowed}
                largest = max(largest, allowed)
        self.allowed.append(largest)
        return {}

    def blamed(self, parted: dict[str, Any], step: int, again: "_Runner") -> Lockstep:
        """The term to blame. again: the truth once more, as it was before the step."""
        due, got = self.due["gradient"], {name: self.got["gradient"][self.called[name]] for name in self.there}
        if parted["term"] == "gradient":
            factor = common_factor(got, due, self.coarse.unit)
            term, cause = factor_term(factor) if factor != 1.0 else ("gradient", "")
            return Lockstep(steps=step, step=step, **{**parted, "term": term, "cause": cause})
        after = dict(self.candidate.module.named_parameters())
        moves = {name: (after[self.called[name]] - self.before[self.called[name]]).detach() for name in self.there}
        moment = Moment(
            module=again.module,
            optimizer=again.optimizer,
            grads=due,
            moved={name: p.detach() - self.there[name] for name, p in self.truth.module.named_parameters()},
            got=moves,
            left=self.candidate.scaled(self.got["gradient"]),
            due=self.truth.scaled(due),
            scaled=self.scaled,
            rates=[*self.rates, self._rate()],
        )
        term, cause = blamed(moment)
        return Lockstep(steps=step, step=step, growth=self.growth, **{**parted, "term": term, "cause": cause})

    def _unscaled(self) -> float:
        """Divide the candidate's gradients by the scale of its loss, a power of two that it has chosen itself."""
        if not hasattr(self.candidate.optimizer, "backward"):
            return 1.0
        got = {name: self.got["gradient"][here] for name, here in self.called.items()}
        factor = common_factor(got, self.due["gradient"], self.coarse.unit)
        if factor_term(factor)[0] != "loss scaling":
            return 1.0
        factor = 2.0 ** round(math.log2(factor))
        self.got["gradient"] = {name: grad / factor for name, grad in self.got["gradient"].items()}
        return factor

    def _rate(self) -> float:
        optimizer = inner(self.truth.optimizer)
        return float(optimizer.param_groups[0]["lr"]) if optimizer is not None else 0.0


class _Runner:
    """A module with its optimizer, one step at a time."""

    def __init__(
        self,
        make: Maker,
        precision: Precision,
        loss: Callable[[nn.Module, Any], Tensor],
        rounding: Rounding | None = None,
    ) -> None:
        before = torch.get_default_dtype()
        torch.set_default_dtype(precision.dtype)  # so that an optimizer's own state is of it too
        try:
            self.module, self.optimizer = make()
        finally:
            torch.set_default_dtype(before)
        self.module.to(precision.dtype)  # in place: the optimizer holds the same parameters
        self.precision, self.loss, self.rounding = precision, loss, rounding

    def step(self, batch: Any) -> dict[str, dict[str, Tensor]]:
        """The gradient of every parameter, and what it is after the step."""
        with same_draws():
            if self.rounding is None:
                return self._step(batch)
            with disturbing(self.rounding):
                return self._step(batch)

    def _step(self, batch: Any) -> dict[str, dict[str, Tensor]]:
        moved = tree_map_only(Tensor, lambda t: t.to(self.precision.dtype) if t.is_floating_point() else t, batch)
        self.optimizer.zero_grad()
        if hasattr(self.optimizer, "backward"):
            self.optimizer.backward(self.module, moved, self.loss)
        else:
            torch.autograd.backward(self.loss(self.module, moved))
        named = dict(self.module.named_parameters())
        grads = {n: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for n, p in named.items()}
        self.optimizer.step()
        return {"gradient": grads, "update": {name: p.detach().clone() for name, p in named.items()}}

    def scaled(self, grads: Mapping[str, Tensor]) -> float:
        """By which factor the last step scaled the gradients where they lie, as clipping does."""
        left = {name: p.grad for name, p in self.module.named_parameters() if p.grad is not None}
        return common_factor(left, {name: grads[name].double() for name in left}, self.precision.unit)


def _started(candidate: _Runner, truth: _Runner, coarse: Precision) -> dict[str, str]:
    """Give the candidate the truth's parameters, as its format holds them; its names by the truth's."""
    for p in truth.module.parameters():
        p.data.copy_(p.data.to(coarse.dtype))
    carry(truth.module, candidate.module, {})
    there, here = dict(truth.module.named_parameters()), dict(candidate.module.named_parameters())
    return {name: name for name in there} if set(there) == set(here) else dict(zip(there, here, strict=True))


def _farthest(actual: Tensor, expected: Tensor) -> float:
    return float((actual.double() - expected).abs().max()) if expected.numel() else 0.0


def _allowed(value: Tensor, strayed: Sequence[Tensor], precision: Precision) -> float:
    largest = float(value.abs().max()) if value.numel() else 0.0
    return ROUGHLY * max(_farthest(one, value) for one in strayed) + FLOOR * precision.unit * largest + precision.tiny
