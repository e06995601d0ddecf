"""The tolerance by itself: what a right computation may be off, and a comparison under it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from scratchproof import trees
from scratchproof.api.inputs import Given, as_array
from scratchproof.api.rows import row
from scratchproof.errors import InputError
from scratchproof.exam.compare import compare
from scratchproof.exam.exam import Trial
from scratchproof.exam.judge import quantities
from scratchproof.oracle.tolerance import Tolerance
from scratchproof.vjp import PRECISIONS, Array, by_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one output or gradient is allowed.

    expected, allowed: float64 arrays of its shape: the truth, and how far from it each element may be.
    rtol, atol: the two numbers for which atol + rtol * |expected| is nowhere less than `allowed`, and least on average.
    """

    expected: Array
    allowed: Array
    rtol: float
    atol: float


def allowance(
    truth: Any,
    inputs: Given,
    precision: str = "float32",
    *,
    constant: Sequence[str] = (),
    dout: Any = None,
    stored: str = "all",
    seed: int = 0,
) -> dict[str, Allowance]:
    """What a right computation of `truth` in a precision may be off, for each output and gradient by name.

    truth: a torch callable or module, or a tuple of equivalent ones. inputs: see `examine`; what is no array is drawn
    from the seed, and all are rounded to the precision first. dout: the cotangent, in the form of the output; drawn
    from the seed unless given. stored: see `row`. An output is called "out" (or by its key), the gradient of x "dx".
    Raises: InputError for arguments that make no sense.

    >>> import torch
    >>> found = allowance(torch.nn.functional.softplus, {"x": (6, 7)}, "bfloat16")
    >>> list(found), found["dx"].allowed.shape
    (['out', 'dx'], (6, 7))
    >>> bool(found["out"].atol + found["out"].rtol < 1)
    True
    """
    trial = _trial(truth, inputs, precision, constant, dout, stored=stored, seed=seed)
    return {m.quantity: _allowance(m.expected, m.tolerance) for m in quantities(trial, trial.truth)}


def assert_close(
    actual: Any,
    truth: Any,
    inputs: Mapping[str, Any],
    precision: str = "float32",
    *,
    grads: Mapping[str, Any] | None = None,
    dout: Any = None,
    constant: Sequence[str] = (),
    stored: str = "all",
) -> None:
    """Compare what was computed with the truth in float64, under the tolerance of the precision.

    actual: the output, in the form that `truth` gives it: an array or tensor, or a nest of them. inputs: the arrays
    that it was computed from. grads: gradients by the input's name, and dout: the cotangent that they belong to.
    stored: see `row`.
    Raises: AssertionError that names quantity, index, both values and the allowance; InputError for shapes or
    samplers among the inputs, or gradients without their cotangent.

    >>> import torch
    >>> x = torch.randn(6, 7)
    >>> assert_close(x.sigmoid() * x, torch.nn.functional.silu, {"x": x})
    """
    if grads and dout is None:
        raise InputError("gradients are given without dout, the cotangent that was pulled back")
    trial = _trial(truth, _fixed(inputs), precision, constant, dout, stored=stored, pulls=1 if grads else 0)
    given = {name: as_array(value, name) for name, value in by_path(actual).items()}
    given |= {f"d{name}": as_array(value, f"d{name}") for name, value in (grads or {}).items()}
    due = {m.quantity: m for m in quantities(trial, trial.truth)}
    if unknown := [name for name in given if name not in due]:
        raise InputError(f"there is no {unknown[0]} among {', '.join(due)}")
    if missing := [name for name in trial.outputs if name not in given]:
        raise AssertionError(f"{missing[0]} is missing")
    for name, found in given.items():
        comparison = compare(found, due[name].expected, due[name].tolerance, trial.precision)
        if comparison.problem:
            raise AssertionError(f"{name}: {comparison.message} ({precision})")


def _trial(
    truth: Any,
    inputs: Given,
    precision: str,
    constant: Sequence[str],
    dout: Any,
    *,
    stored: str,
    pulls: int = 1,
    seed: int = 0,
) -> Trial:
    if precision not in PRECISIONS:
        raise InputError(f"{precision!r} is no precision: choose from {', '.join(PRECISIONS)}")
    layer = row("truth", truth=truth, inputs=inputs, constant=constant, stored=stored)
    case, chosen = layer.cases[0], PRECISIONS[precision]
    drawn = chosen.rounded(case.inputs(np.random.default_rng(seed)))
    trial = Trial(layer=layer, case=case, name=case.name, precision=chosen, inputs=drawn, seed=seed, pulls=pulls)
    if dout is not None:
        given = {name: as_array(value, "dout") for name, value in by_path(dout).items()}
        trial.cotangents = (chosen.rounded(given),)
    return trial


def _fixed(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in inputs.items():
        if not all(isinstance(leaf, np.ndarray | np.generic | Tensor) for leaf in trees.flat(value).values()):
            raise InputError(f"{name} is no array: give the inputs that the result was computed from")
    return inputs


def _allowance(expected: Array, tolerance: Tolerance) -> Allowance:
    finite = np.isfinite(expected) & np.isfinite(tolerance.allowed)
    sizes, allowed = np.abs(expected[finite]).astype(np.float64), tolerance.allowed[finite]
    atol, rtol = map(float, _line(sizes, allowed) if sizes.size else (0.0, 0.0))
    return Allowance(expected=expected, allowed=tolerance.allowed, rtol=rtol, atol=atol)


def _line(x: Array, y: Array) -> tuple[float, float]:
    """The line a + b x, a and b not negative, that lies on no point's lower side and is lowest at the mean of x.

    It runs along the edge of the upper convex hull that stands above the mean.
    """
    hull: list[tuple[float, float]] = []
    for point in sorted(zip(x.tolist(), y.tolist(), strict=True)):
        while len(hull) > 1 and _turns_left(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    mean = float(x.mean())
    lines = [(float(y.max()), 0.0), (0.0, float((y / np.maximum(x, np.finfo(np.float64).tiny)).max()))]
    for (x0, y0), (x1, y1) in pairwise(hull):
        slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
        if slope >= 0 and y0 - slope * x0 >= 0:
            lines.append((max(y - slope * x), slope))
    return min(lines, key=lambda line: line[0] + line[1] * mean)


def _turns_left(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) >= (b[1] - a[1]) * (c[0] - a[0])
