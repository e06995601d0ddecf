"""K two-layer nets side by side, and the bookkeeping that is the same whoever multiplies.

The hidden units of all nets stand side by side: W1 (D, M) with M the sum of the widths, so that one matrix product
X @ W1 serves every net. Nets of one width are neighbours, and their second layers one batched product.
A net's L2 decay is one number: its W1 is kept as scale * V, and V is touched by nothing but the update's product.

Axes: N rows of a minibatch, D features, K nets, M hidden units of all nets together, C classes.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from scratchproof import scratch

Array = NDArray[Any]
FOLD = 2.0**-10
"""The smallest scale that V is kept under: before it falls further, it is multiplied out."""

EVALUATED = 1 << 24
"""How many hidden units, over rows and nets, are looked at together outside of training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One net of a stack: what may differ from net to net.

    lr_decay: the learning rate's factor after every epoch. seed: of its initial weights.
    Raises: ValueError for a width or a number of epochs below 1, a rate or decay that is not positive, reg < 0.
    """

    hidden: int
    learning_rate: float
    reg: float = 0.0
    lr_decay: float = 1.0
    epochs: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)} but must be at least 1")
        for name in ("learning_rate", "lr_decay"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)} but must be positive and finite")
        if not 0 <= self.reg < math.inf:
            raise ValueError(f"reg is {self.reg} but must be at least 0 and finite")

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.lr_decay**epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Nets of one width, which are neighbours: which nets, which hidden units, and the width."""

    nets: slice
    columns: slice
    hidden: int

    @property
    def count(self) -> int:
        return self.nets.stop - self.nets.start  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The parameters of all nets: W1 (D, M), b1 (M,), W2 (M, C), b2 (K, C); widths in ascending order."""

    widths: tuple[int, ...]
    W1: Array
    b1: Array
    W2: Array
    b2: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run of S steps: rows (S, N) of the data, scale (S + 1, K) of V before and after each step; a net's own
    factor of the scores' gradient, -rate / N, and its decay, 1 - rate * reg, both (K,)."""

    rows: Array
    scale: Array
    factor: Array
    decay: Array


def initial(members: Sequence[Member], inputs: int, classes: int, dtype: DTypeLike = np.float32) -> Weights:
    """The initial weights that every net has when it is trained alone: `TwoLayerNet` with its own seed.

    Raises: ValueError if the members are not in order of their widths.
    """
    widths = tuple(member.hidden for member in members)
    if list(widths) != sorted(widths):
        raise ValueError(f"widths are {widths} but nets stand in ascending order of width")
    W1, W2 = np.empty((inputs, sum(widths)), dtype), np.empty((sum(widths), classes), dtype)
    start = 0
    for member in members:
        rng = np.random.default_rng(member.seed)
        params = scratch.TwoLayerNet(inputs, member.hidden, classes, dtype=dtype, rng=rng).params
        columns = slice(start, start + member.hidden)
        W1[:, columns], W2[columns] = params["W1"], params["W2"]
        start = columns.stop
    b1, b2 = np.zeros(sum(widths), dtype), np.zeros((len(members), classes), dtype)
    return Weights(widths=widths, W1=W1, b1=b1, W2=W2, b2=b2)


def groups_of(widths: Sequence[int]) -> tuple[Group, ...]:
    """Neighbours of one width."""
    found, net, column = [], 0, 0
    for hidden, same in groupby(widths):
        count = len(list(same))
        nets, columns = slice(net, net + count), slice(column, column + count * hidden)
        found.append(Group(nets=nets, columns=columns, hidden=hidden))
        net, column = nets.stop, columns.stop
    return tuple(found)


class Stack(ABC):
    """K nets that step together. Who multiplies is the subclass's affair.

    A net whose loss stops being finite is frozen from that step on: it moves no more and reaches no other net.
    """

    _scale: Array

    def __init__(self, weights: Weights, regs: Array, X: Array, y: Array) -> None:
        """weights: as `initial` makes them; the stack writes to them from now on. regs (K,).

        X (rows, D) and y (rows,): what `run` draws from.

        Raises: ValueError where they do not fit each other.
        """
        if X.ndim != 2 or X.shape[1] != len(weights.W1):
            raise ValueError(f"X has shape {X.shape} but the nets take rows of {len(weights.W1)} features")
        if regs.shape != (len(weights.widths),):
            raise ValueError(f"regs has shape {regs.shape} but there are {len(weights.widths)} nets")
        self.widths, self._regs = weights.widths, regs.astype(np.float64)
        self._lay_out()
        self._place(weights)
        self._attach(X, y)

    def __len__(self) -> int:
        return len(self.widths)

    def run(self, rows: Array, rates: Array) -> None:
        """A step of SGD on each of rows (S, N) in turn, every net at its own rate; rates (K,).

        Raises: ValueError for a rate whose decay, 1 - rate * reg, lies so near 0 that V loses its range.
        """
        rates = np.where(self.alive(), rates, 0.0)
        decay = 1 - rates * self._regs
        if (np.abs(decay) < FOLD).any():
            k = int(np.abs(decay).argmin())
            raise ValueError(f"rate {rates[k]:g} times reg {self._regs[k]:g} is 1: a step would wipe the weights out")
        most = max(float(np.abs(np.log(np.abs(decay))).max()), 1e-300)
        length = max(1, int(min(-math.log(FOLD) / most, len(rows))))
        for start in range(0, len(rows), length):
            part = rows[start : start + length]
            scale = self._scale * decay ** np.arange(len(part) + 1)[:, None]
            if np.abs(scale[-1]).min() < FOLD or np.abs(scale[-1]).max() > 1 / FOLD:
                self.settle()
                scale = scale / scale[0]
            self._steps(Plan(rows=part, scale=scale, factor=-rates / part.shape[1], decay=decay))
            self._scale = scale[-1]

    def settle(self) -> None:
        """Multiply every scale out: V is W1 afterwards."""
        if (self._scale != 1).any():
            self._fold(self._scale[self.owner])
            self._scale = np.ones_like(self._scale)

    def keep(self, chosen: Sequence[int]) -> None:
        """Go on with these nets alone, in this order (ascending): the others cost nothing from now on."""
        w = self.weights()
        columns = np.concatenate([np.flatnonzero(self.owner == k) for k in chosen])
        alive = self.alive()[list(chosen)]
        self.widths, self._regs = tuple(self.widths[k] for k in chosen), self._regs[list(chosen)]
        self._lay_out()
        W1, b1, W2 = np.ascontiguousarray(w.W1[:, columns]), w.b1[columns], w.W2[columns]
        self._place(Weights(widths=self.widths, W1=W1, b1=b1, W2=W2, b2=w.b2[list(chosen)]), alive)

    def params(self, k: int) -> dict[str, Array]:
        """Copies of net k's parameters, as `TwoLayerNet` has them."""
        w, columns = self.weights(), self.owner == k
        return {
            "W1": np.ascontiguousarray(w.W1[:, columns]),
            "b1": w.b1[columns].copy(),
            "W2": w.W2[columns].copy(),
            "b2": w.b2[k].copy(),
        }

    def _lay_out(self) -> None:
        self.groups = groups_of(self.widths)
        self.owner = np.repeat(np.arange(len(self.widths)), self.widths)  # (M,): whose hidden unit
        self._scale = np.ones(len(self.widths))

    def accuracy(self, X: Array, y: Array) -> Array:
        """The share of rows of X (rows, D) whose predicted label is y (rows,), for each net: (K,)."""
        right, size = np.zeros(len(self), np.int64), max(1, EVALUATED // len(self.owner))
        for start in range(0, len(X), size):
            stop = start + size
            right += np.count_nonzero(self.predict(X[start:stop]) == y[start:stop], axis=1)
        return right / len(X)

    @abstractmethod
    def weights(self) -> Weights:
        """All parameters as NumPy arrays, settled; read them before the next step."""

    @abstractmethod
    def alive(self) -> Array:
        """(K,): whether a net's loss has been finite so far."""

    @abstractmethod
    def losses(self) -> Array:
        """(K,): each net's mean cross-entropy on the last minibatch, before its step and without the L2 term."""

    @abstractmethod
    def predict(self, X: Array) -> Array:
        """The label with the highest score by each net for each row of X (rows, D): (K, rows)."""

    @abstractmethod
    def _place(self, weights: Weights, alive: Array | None = None) -> None: ...

    @abstractmethod
    def _attach(self, X: Array, y: Array) -> None: ...

    @abstractmethod
    def _steps(self, plan: Plan) -> None: ...

    @abstractmethod
    def _fold(self, scale: Array) -> None:
        """V *= scale (M,)."""
