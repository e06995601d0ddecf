"""Ask torch, JAX and differences for a function's value and its first and second derivatives at one point.

All in float64. A function of several numbers is made one number by fixed weights; of the second derivatives the
diagonal is compared. The third opinion are one-sided differences of the values alone, from the left and from the
right of every input: where they meet, that is the derivative; where they do not, it is a kink, and what lies between
them is what a subgradient may be there, input by input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from numpy.typing import NDArray

from .atlas_table import Entry

Array = NDArray[np.float64]
APART = 2.0**-20
"""Relative to the larger of the two and 1: more than rounding in float64 explains at any of these points."""
STEP = 2.0**-14
ORDERS = ("value", "first derivative", "second derivative")
PADDED = 12  # points that an elementwise function is asked about at once
WEIGHTS = (1.0, 0.75, -1.25, 0.5, 1.5, -0.625, 1.125, 0.875, -1.375)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The value (any shape, flat) and the derivatives with respect to all inputs, one after another."""

    value: Array
    first: Array
    second: Array

    def parts(self) -> tuple[Array, Array, Array]:
        return self.value, self.first, self.second


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What both say about one order of derivative at one point, and what one-sided differences say (left, right)."""

    name: str
    at: str
    order: str
    torch: Array
    jax: Array
    left: Array
    right: Array

    @property
    def differ(self) -> bool:
        return not agree(self.torch, self.jax)

    def allowed(self, who: Array) -> str:
        """What the differences say about an answer: the derivative, a subgradient, or neither."""
        if self.order == "value" or not (np.isfinite(self.left) & np.isfinite(self.right)).all():
            return "no verdict"
        slack = 2.0**-6 * np.maximum(1, np.maximum(np.abs(self.left), np.abs(self.right)))
        smooth = (np.abs(self.left - self.right) <= slack).all()
        inside = (np.minimum(self.left, self.right) - slack <= who) & (who <= np.maximum(self.left, self.right) + slack)
        if not inside.all():
            return "wrong" if smooth else "outside"
        return "right" if smooth else "allowed"


def agree(a: Array, b: Array) -> bool:
    """The same nan and infinities in the same places, and numbers no further apart than rounding takes them."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= APART * np.maximum(1, np.maximum(np.abs(a), np.abs(b)))
    return bool(((near & np.isfinite(a) & np.isfinite(b)) | (a == b) | (np.isnan(a) & np.isnan(b))).all())


def findings(entry: Entry) -> list[Finding]:
    """Three a point: value, first, second derivative."""
    with np.errstate(all="ignore"):
        answers = _all_points(entry) if entry.apart else _point_by_point(entry)
    found = []
    for label, (ours, theirs, *sides) in answers.items():
        same = agree(ours.value, theirs.value)
        for i, order in enumerate(ORDERS):
            # differences of torch's values say nothing about another function
            judged = i > 0 and same
            left, right = (side.parts()[i] if judged else np.full(ours.parts()[i].size, np.nan) for side in sides)
            ours_here, theirs_here = ours.parts()[i], theirs.parts()[i]
            finding = Finding(
                name=entry.name, at=label, order=order, torch=ours_here, jax=theirs_here, left=left, right=right
            )
            found.append(finding)
    return found


def _point_by_point(entry: Entry) -> dict[str, list[Answer]]:
    """For each label torch's answer, JAX's, and those of differences to the left and to the right."""
    found = {}
    for label, inputs in entry.at.items():
        arrays = [np.array(values, np.float64) for values in inputs]
        found[label] = _opinions(entry, arrays, apart=False)
    return found


def _all_points(entry: Entry) -> dict[str, list[Answer]]:
    """The same from one question about all points of a function that works element by element."""
    points = {label: np.array(inputs, np.float64) for label, inputs in entry.at.items()}
    together = np.concatenate(list(points.values()), axis=1)
    padded = np.pad(together, ((0, 0), (0, PADDED - together.shape[1])), mode="edge")  # one shape: JAX compiles once
    answers, start, found = _opinions(entry, list(padded), apart=True), 0, {}
    for label, inputs in points.items():
        here = slice(start, start + inputs.shape[1])
        found[label] = [_cut(answer, here, len(padded)) for answer in answers]
        start = here.stop
    return found


def _cut(answer: Answer, here: slice, inputs: int) -> Answer:
    first, second = (d.reshape(inputs, PADDED)[:, here].ravel() for d in (answer.first, answer.second))
    return Answer(value=answer.value[here] if answer.value.size else answer.value, first=first, second=second)


def _opinions(entry: Entry, arrays: list[Array], *, apart: bool) -> list[Answer]:
    ours, theirs = ask_torch(entry.torch, arrays, apart=apart), ask_jax(entry.jax, arrays, apart=apart)
    return [ours, theirs, *(_differences(entry.torch, arrays, side, apart=apart) for side in (-STEP, STEP))]


def _weights(shape: tuple[int, ...], apart: bool) -> Array:
    return np.ones(shape) if apart else np.resize(WEIGHTS, shape)


def ask_torch(f: Callable[..., Any], arrays: list[Array], *, apart: bool = False) -> Answer:
    """By autograd, and autograd again; a gradient that does not depend on an input is zero."""
    xs = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    out = f(*xs)
    first = _torch_gradients((out * torch.from_numpy(_weights(tuple(out.shape), apart))).sum(), xs)
    try:
        second = [_torch_diagonal(dx, x, apart) for x, dx in zip(xs, first, strict=True)]
    except RuntimeError:  # torch has not implemented it
        second = [np.full(x.numel(), np.nan) for x in xs]
    return Answer(
        value=_plain(out),
        first=np.concatenate([_plain(dx) for dx in first]),
        second=np.concatenate(second),
    )


def _torch_diagonal(dx: Any, x: Any, apart: bool) -> Array:
    if apart:
        return _plain(_torch_gradients(dx.sum(), [x])[0])
    rows = [_torch_gradients(part, [x])[0].reshape(-1)[i] for i, part in enumerate(dx.reshape(-1))]
    return np.array([float(row.detach()) for row in rows])


def _plain(t: Any) -> Array:
    # force: torch may hand out a zero that has no memory
    return t.reshape(-1).numpy(force=True).astype(np.float64)  # type: ignore[no-any-return]


def _torch_gradients(out: Any, xs: list[Any]) -> list[Any]:
    if not out.requires_grad:
        return [torch.zeros_like(x) for x in xs]
    grads = torch.autograd.grad(out, xs, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if dx is None else dx for x, dx in zip(xs, grads, strict=True)]


def ask_jax(f: Callable[..., Any], arrays: list[Array], *, apart: bool = False) -> Answer:
    """By reverse mode, and reverse mode again."""
    with jax.enable_x64(True):
        xs = tuple(jnp.array(a) for a in arrays)
        value = f(*xs)
        weights = jnp.array(_weights(value.shape, apart))
        gradient = jax.grad(lambda *xs: jnp.sum(f(*xs) * weights), tuple(range(len(xs))))
        second = [_jax_diagonal(gradient, xs, k, apart) for k in range(len(xs))]
        return Answer(
            value=np.asarray(value).reshape(-1),
            first=np.concatenate([np.asarray(dx).reshape(-1) for dx in gradient(*xs)]),
            second=np.concatenate(second),
        )


def _jax_diagonal(gradient: Callable[..., Any], xs: tuple[Any, ...], k: int, apart: bool) -> Array:
    if apart:
        return np.asarray(jax.grad(lambda *xs: jnp.sum(gradient(*xs)[k]), k)(*xs)).reshape(-1)
    jacobian = jax.jacrev(lambda *xs: gradient(*xs)[k], k)(*xs)
    return np.diagonal(np.asarray(jacobian).reshape(xs[k].size, xs[k].size))


def _differences(f: Callable[..., Any], arrays: list[Array], step: float, *, apart: bool) -> Answer:
    """First and second derivatives by values at 0, 1, 2 steps to one side, the first to second order."""
    first, second = [], []
    for k, a in enumerate(arrays):
        moves = [np.ones(a.shape)] if apart else list(np.eye(a.size).reshape(a.size, *a.shape))
        for move in moves:
            v0, v1, v2 = (_values(f, [*arrays[:k], a + i * step * move, *arrays[k + 1 :]], apart) for i in range(3))
            first.append((4 * v1 - 3 * v0 - v2) / (2 * step))
            second.append((v0 - 2 * v1 + v2) / step**2)
    return Answer(value=np.empty(0), first=np.concatenate(first), second=np.concatenate(second))


@torch.no_grad()
def _values(f: Callable[..., Any], arrays: list[Array], apart: bool) -> Array:
    """Every output of an elementwise function, or the weighted sum of the outputs; nan where torch refuses."""
    try:
        out = f(*(torch.from_numpy(a.copy()) for a in arrays)).numpy()
    except RuntimeError:
        return np.full(arrays[0].size if apart else 1, np.nan)
    return out.reshape(-1) if apart else np.array([np.sum(out * _weights(out.shape, False))])
