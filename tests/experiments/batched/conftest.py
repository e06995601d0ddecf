"""Five nets of three widths, one of which diverges at once, and what each does alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from scratchproof.experiments.batched.stack import Array, Member, Stack, Weights, initial
from scratchproof.scratch import TwoLayerNet

MEMBERS = (
    Member(hidden=4, learning_rate=0.1, seed=0),
    Member(hidden=4, learning_rate=0.2, reg=0.5, seed=1),  # its scale is multiplied out on the way
    Member(hidden=6, learning_rate=1e9, reg=1e-7, seed=2),
    Member(hidden=6, learning_rate=0.05, reg=2.0, seed=2),
    Member(hidden=7, learning_rate=0.1, reg=15.0, seed=0),  # its decay is negative
)
DIVERGING = 2
STEPS, BATCH, FEATURES, CLASSES = 90, 12, 30, 5
Make = Callable[[Weights, Array, Array, Array], Stack]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockstep:
    """The nets' data and minibatches, and the truth: each net trained alone by the plain step."""

    X: Array
    y: Array
    rows: Array

    def together(self, make: Make, dtype: Any, chosen: tuple[int, ...] = tuple(range(len(MEMBERS)))) -> Stack:
        """A stack of the chosen members after all steps, run in two parts."""
        members = [MEMBERS[k] for k in chosen]
        rates, regs = (np.array([getattr(m, name) for m in members]) for name in ("learning_rate", "reg"))
        stack = make(initial(members, FEATURES, CLASSES, np.float32 if dtype is np.float32 else dtype), regs,
                     self.X.astype(dtype), self.y)  # fmt: skip
        stack.run(self.rows[:40], rates)
        stack.run(self.rows[40:], rates)
        return stack

    def alone(self, k: int, dtype: Any, start: Any) -> dict[str, Array]:
        """The member trained alone by the plain step, its parameters starting rounded to `start`."""
        member = MEMBERS[k]
        rng = np.random.default_rng(member.seed)
        net = TwoLayerNet(FEATURES, member.hidden, CLASSES, reg=member.reg, rng=rng)
        net.dtype = np.dtype(dtype)
        net.params = {name: w.astype(start).astype(dtype) for name, w in net.params.items()}
        X = self.X.astype(start).astype(dtype)
        for rows in self.rows:
            _, grads = net.loss(X[rows], self.y[rows])
            for name, dw in grads.items():
                net.params[name] -= dtype(member.learning_rate) * dw
        return net.params

    def excess(self, stack: Stack, others: dict[int, dict[str, Array]], dtype: Any) -> float:
        """The worst parameter's error over what is allowed: 3 times another's error, and one rounding a step."""
        worst = 0.0
        for k, other in others.items():
            truth = self.alone(k, np.longdouble, dtype)
            for name, actual in stack.params(k).items():
                roundings = STEPS * np.finfo(dtype).eps / 2 * np.abs(truth[name]).max()
                allowed = 3 * np.abs(other[name] - truth[name]).max() + roundings
                share = float(np.abs(actual - truth[name]).max() / allowed)
                worst = worst if share <= worst else share  # nan too
        return worst


@pytest.fixture(scope="session")
def lockstep() -> Lockstep:
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((50, FEATURES)), rng.integers(0, CLASSES, 50)
    return Lockstep(X=X, y=y, rows=np.stack([rng.permutation(50)[:BATCH] for _ in range(STEPS)]))


@pytest.fixture(scope="session")
def survivors() -> list[int]:
    return [k for k in range(len(MEMBERS)) if k != DIVERGING]
