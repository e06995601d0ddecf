"""Backpropagation by hand on two small graphs: every intermediate value, local gradient and chained gradient.

`print(scalar_graph())` and `print(matrix_graph(W, x))` are the walk-throughs; `graph["df/da"]` is one number of them.

Source: CS231n lecture 4, "Backpropagation".
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ._types import Array
from ._validate import quiet_nonfinite, require_axes, require_one_dtype

Line: TypeAlias = tuple[str, str, Any]  # name, formula, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a walk-through: a name such as "f" or "df/da", the formula, its value."""

    name: str
    formula: str
    value: Any

    def __str__(self) -> str:
        parts = (self.name, self.formula, _digits(self.value))
        return " = ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph worked out: forward values, local gradients (one edge each), chained gradients (whole paths)."""

    title: str
    forward: tuple[Step, ...]
    local: tuple[Step, ...]
    chained: tuple[Step, ...]

    def __getitem__(self, name: str) -> Any:
        """The value of the step of that name. Raises KeyError, with the names there are."""
        steps = {step.name: step.value for step in (*self.forward, *self.local, *self.chained)}
        if name not in steps:
            raise KeyError(f"no step {name!r} in this graph: there are {', '.join(steps)}")
        return steps[name]

    def __str__(self) -> str:
        sections = {
            "forward": self.forward,
            "local gradients": self.local,
            "chained gradients": self.chained,
        }
        lines = [self.title]
        for heading, steps in sections.items():
            lines += ["", heading, *(f"  {step}" for step in steps)]
        return "\n".join(lines)


# The edges from f back to every node: the chain rule multiplies along them.
PATHS = {
    "s": ("df/ds",),
    "t": ("df/dt",),
    "p": ("df/ds", "ds/dp"),
    "q": ("df/ds", "ds/dq"),
    "a": ("df/ds", "ds/dp", "dp/da"),
    "x": ("df/ds", "ds/dp", "dp/dx"),
    "b": ("df/ds", "ds/dq", "dq/db"),
    "y": ("df/ds", "ds/dq", "dq/dy"),
    "c": ("df/dt", "dt/dc"),
    "z": ("df/dt", "dt/dz"),
}


def scalar_graph(
    a: float = 2, b: float = 5, c: float = 1, x: float = 1, y: float = 2, z: float = 1, target: float = 15
) -> Graph:
    """f = (a·x + b·y)·(c·z) and loss = |target - f|, forward and then backward.

    Numbers in; whole numbers stay whole. The nodes in between are p = a·x, q = b·y, s = p + q, t = c·z.
    A product hands each factor the other one, a sum hands its gradient on unchanged, the distance hands on
    the sign of f - target (0 where they are equal), and the chain multiplies along the path from the end:
        df/da = df/ds · ds/dp · dp/da,  dloss/da = dloss/df · df/da
    """
    inputs = {"a": a, "b": b, "c": c, "x": x, "y": y, "z": z, "target": target}
    p, q, t = a * x, b * y, c * z
    s = p + q
    f = s * t
    nodes = [("p", "a·x", p), ("q", "b·y", q), ("s", "p + q", s), ("t", "c·z", t), ("f", "s·t", f)]
    edges = [
        *[("dp/da", "x", x), ("dp/dx", "a", a), ("dq/db", "y", y), ("dq/dy", "b", b)],
        *[("dt/dc", "z", z), ("dt/dz", "c", c), ("ds/dp", "", 1), ("ds/dq", "", 1)],
        *[("df/ds", "t", t), ("df/dt", "s", s), ("dloss/df", "sign(f - target)", _sign(f - target))],
    ]
    return Graph(
        title="f = (a·x + b·y)·(c·z), loss = |target - f|",
        forward=_steps(*_given(**inputs), *nodes, ("loss", "|target - f|", abs(target - f))),
        local=_steps(*edges),
        chained=_steps(*_chain({name: value for name, _, value in edges})),
    )


def _chain(local: dict[str, float]) -> list[Line]:
    """d/dnode of f and of the loss: the product of the local gradients along each node's path."""
    lines: list[Line] = []
    for end, start in (("f", ()), ("loss", ("dloss/df",))):
        for node, path in PATHS.items():
            edges = start + path
            if len(edges) > 1:  # a single edge is a local gradient already
                value = math.prod(local[edge] for edge in edges)
                lines.append((f"d{end}/d{node}", " · ".join(edges), value))
    return lines


@quiet_nonfinite
def matrix_graph(W: Array, x: Array) -> Graph:
    """f = ‖W x‖², forward and then backward.

    W (M, D), x (D,), one floating dtype, of which all values are. With q = W x (M,) and f = Σ_k q[k]²:
        df/dq[k] = 2 q[k],  dq[k]/dW[i, j] = [k = i] x[j],  dq[k]/dx[j] = W[k, j]
    Summed over k along the chain, the local gradients (M, M, D) and (M, D) shrink to
        df/dW = 2 q xᵀ (M, D)   and   df/dx = 2 Wᵀ q (D,)
    Raises ValueError if dtypes or shapes do not fit.
    """
    require_one_dtype(W=W, x=x)
    require_axes("W", W, "M, D")
    require_axes("x", x, "D")
    if W.shape[1] != x.shape[0]:
        raise ValueError(f"W has {W.shape[1]} columns but x has {x.shape[0]} entries")
    q = W @ x
    dq = 2 * q
    return Graph(
        title="f = ‖W x‖²",
        forward=_steps(*_given(W=W, x=x), ("q", "W x", q), ("f", "Σ q²", (q * q).sum())),
        local=_steps(
            ("df/dq", "2 q", dq),
            ("dq/dW", "[k = i] x[j]", np.eye(len(q), dtype=W.dtype)[:, :, None] * x),
            ("dq/dx", "W", W),
        ),
        chained=_steps(("df/dW", "df/dq xᵀ", dq[:, None] * x), ("df/dx", "Wᵀ df/dq", W.T @ dq)),
    )


def _given(**inputs: Any) -> list[Line]:
    return [(name, "", value) for name, value in inputs.items()]


def _steps(*lines: Line) -> tuple[Step, ...]:
    """Lines as steps; arrays are copied and locked, so that a record stays what it was."""
    return tuple(Step(name=name, formula=formula, value=_locked(value)) for name, formula, value in lines)


def _locked(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    copy = value.copy()
    copy.setflags(write=False)
    return copy


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def _digits(value: Any) -> str:
    """A number, or nested lists of them, to six significant digits."""
    if isinstance(value, np.ndarray):
        return f"[{', '.join(_digits(entry) for entry in value)}]"
    return format(value, ".6g")
