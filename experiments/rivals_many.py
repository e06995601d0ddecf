"""Many nets in the benchmark: K two-layer nets on the same minibatches, one after another or as one stack."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from scratchproof import scratch
from scratchproof.table import nets as twins

from .batched.numpy_stack import NumpyStack
from .batched.stack import Array, Member, Stack, initial
from .batched.torch_stack import TorchStack
from .rivals import BATCHES, CHECK_RATE, REG, Contest, products_alone, torch_eager

RATE_SPREAD = 0.01  # the k-th net's rate is this much of the first's larger, k times


def many_nets(count: int, hidden: int, batch: int, *, inputs: int = 3072) -> Contest:
    """A step of SGD by each of `count` nets in float32, each at its own rate; torch takes one after another.

    What they answer is computed in float64: among half a million hidden units there is one so near its kink that
    float32's rounding decides on which side it lies.
    """
    rng = np.random.default_rng(hidden)
    X = rng.standard_normal((BATCHES * batch, inputs)).astype(np.float32)
    y = rng.integers(0, 10, len(X))
    rows = np.arange(len(X)).reshape(BATCHES, batch)
    members = [Member(hidden=hidden, learning_rate=_rate(1e-3, k), reg=REG, seed=k) for k in range(count)]

    def stack(kind: Callable[..., Stack], dtype: Any = np.float32) -> Stack:
        return kind(initial(members, inputs, 10, dtype), np.full(count, REG), X.astype(dtype), y)

    double = partial(TorchStack, precision="float64")
    wide = initial(members, inputs, 10).W1
    run: dict[str, Callable[[], object]] = {
        "torch": _one_after_another(members, X, y, rows),
        "scratch": partial(stack(NumpyStack).run, rows, _rates(1e-3, count)),
        "torch in place": partial(stack(TorchStack).run, rows, _rates(1e-3, count)),
        "the products alone": _all_batches(products_alone(wide, X.reshape(BATCHES, batch, inputs))),
    }
    answer = {
        "torch": lambda: _after_three(members, X.astype(np.float64), y, rows),
        "scratch": lambda: _stack_after_three(stack(NumpyStack, np.float64), rows),
        "torch in place": lambda: _stack_after_three(stack(double, np.float64), rows),
    }
    return Contest(
        name=f"{count} nets at once, H {hidden}, batch {batch}, {BATCHES} steps",
        operations=4.0 * batch * inputs * hidden * count * BATCHES,
        run=run,
        answer=answer,
        terms=inputs,
    )


def _rate(first: float, k: int) -> float:
    return first * (1 + RATE_SPREAD * k)


def _rates(first: float, count: int) -> Array:
    return np.array([_rate(first, k) for k in range(count)])


def _eager(members: list[Member], inputs: int, dtype: Any) -> list[Any]:
    """A step and a reader of the parameters for each net, by autograd and torch.optim."""
    made = []
    for member in members:
        rng = np.random.default_rng(member.seed)
        params = scratch.TwoLayerNet(inputs, member.hidden, dtype=dtype, rng=rng).params
        made.append(torch_eager(partial(twins.two_layer_net, inputs, member.hidden, 10))(params))
    return made


def _one_after_another(members: list[Member], X: Array, y: Array, rows: Array) -> Callable[[], object]:
    nets, tX, ty = _eager(members, X.shape[1], X.dtype), torch.from_numpy(X), torch.from_numpy(y)

    def run() -> None:
        for member, (step, _) in zip(members, nets, strict=True):
            for batch in rows:
                part = slice(batch[0], batch[-1] + 1)
                step(tX[part], ty[part], member.learning_rate)

    return run


def _after_three(members: list[Member], X: Array, y: Array, rows: Array) -> list[Array]:
    """Every net's W1, side by side, after three large steps."""
    nets, tX, ty = _eager(members, X.shape[1], X.dtype), torch.from_numpy(X), torch.from_numpy(y)
    for k, (step, _) in enumerate(nets):
        for batch in rows[:3]:
            step(tX[batch], ty[batch], _rate(CHECK_RATE, k))
    return [np.concatenate([params()[0] for _, params in nets], axis=1)]


def _stack_after_three(stack: Stack, rows: Array) -> list[Array]:
    stack.run(rows[:3], _rates(CHECK_RATE, len(stack)))
    return [stack.weights().W1]


def _all_batches(products: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        for _ in range(BATCHES):
            products()

    return run
