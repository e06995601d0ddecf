"""How far a correct computation may be from the truth: derived from the expression, never tuned per layer.

The truth is torch in float64. To learn what rounding can do to it, the same expression is run a few times with
every intermediate operation, forward and backward, disturbed by the rounding error that a correct algorithm
of the precision under test may make there:

- a product or a sum of K terms by up to `c * sqrt(K) * u_acc * S`, S being the same operation on absolute
  values (c = 2; the worst that was ever observed is 1.7), plus `2 * u_in * S` where operands are rounded first;
- every other operation by up to `AMPLITUDE * u` of its result; views, copies, selections, and sums and
  products of small whole numbers are exact.

Twice the farthest that any disturbed run strays is what an element is allowed: a few runs do not find the very
worst. The allowance opens up by itself where
the expression is ill-conditioned: after cancellation, in a saturated softmax, beside a kink inside a net.
Source: Higham, Accuracy and Stability of Numerical Algorithms, chapters 3 and 4, for the bounds of a sum.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch.utils._python_dispatch import TorchDispatchMode

from scratchproof.vjp import Answer, Array, Expression, Inputs, Outputs, Precision, answer, floating, from_torch

REPEATS = 8
COARSE, COARSE_UNIT = 4, 2.0**-12  # times as many runs where a unit is wider than this: kinks are crossed by chance
AMPLITUDE = 8.0
SUM_CONSTANT = 2.0
SLACK = 2.0
FLOOR = 4.0

aten = torch.ops.aten
K = TypeVar("K")
Compute: TypeAlias = Callable[[], dict[K, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What one quantity (the output, or one gradient) is allowed.

    allowed, ceiling: arrays of the quantity's shape: an error above `allowed` is suspect, above `ceiling` wrong.
    scale, offset: how far the regression scale <actual, expected> / <expected, expected> may be from 1, and the
    mean signed error from 0: they see what is smaller than any one element's allowance.
    unmodelled: the operations whose rounding is unknown; where there are any, the allowance may be too narrow.
    """

    allowed: Array
    ceiling: Array
    scale: float
    offset: float
    unmodelled: tuple[str, ...] = ()


def tolerances(
    expression: Expression,
    truth: Answer,
    inputs: Inputs,
    cotangents: Sequence[Outputs],
    precision: Precision,
    *,
    constant: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    alternatives: Sequence[Expression] = (),
    seed: int = 0,
) -> tuple[dict[str, Tolerance], tuple[dict[str, Tolerance], ...]]:
    """The tolerance of each of an expression's outputs (none for whole numbers), and of every gradient.

    truth: the float64 answer for the same inputs and cotangents. alternatives: expressions as right as the first, of
    the same inputs; what any of them may stray is allowed. The seed fixes the disturbances.
    """

    def computing(one: Expression) -> Compute[tuple[int, str]]:
        function = from_torch(one, constant=constant, options=options)
        return lambda: _flat(answer(function, inputs, cotangents))

    others = [computing(one) for one in alternatives]
    found = spread(computing(expression), _flat(truth), precision, alternatives=others, seed=seed)
    grads = tuple({name: found[i, name] for name in of_cotangent} for i, of_cotangent in enumerate(truth.grads))
    outs = {name: found.get((OUT, name)) or _exactly(out) for name, out in truth.outs.items()}
    return outs, grads


def spread(
    compute: Compute[K],
    truth: Mapping[K, Array],
    precision: Precision,
    *,
    alternatives: Sequence[Compute[K]] = (),
    seed: int = 0,
    repeats: int = REPEATS,
) -> dict[K, Tolerance]:
    """The tolerance of every named array that `compute` returns, from its disturbed runs.

    compute: a torch computation in float64, forward and backward. truth: what it returns undisturbed.
    alternatives: the same computed by other right formulas: they are disturbed too, and their own difference from the
    truth, in float64, counts as one run more.
    """
    rounding = Rounding(precision, seed)
    runs = [other() for other in alternatives]
    for one in (compute, *alternatives):
        for _ in range(repeats * (COARSE if precision.unit > COARSE_UNIT else 1)):
            with rounding:
                runs.append(one())
    return {
        name: _tolerance(expected, [run[name] for run in runs], precision, rounding.longest_sum)
        for name, expected in truth.items()
    }


OUT = -1


def _flat(found: Answer) -> dict[tuple[int, str], Array]:
    outs = {(OUT, name): found.outs[name] for name in floating(found.outs)}
    grads = {(i, name): grad for i, of_cotangent in enumerate(found.grads) for name, grad in of_cotangent.items()}
    return {**outs, **grads}


def _tolerance(expected: Array, runs: list[Array], precision: Precision, terms: int) -> Tolerance:
    with np.errstate(all="ignore"):  # where the truth is inf or nan, so is the difference; compare() looks there
        differences = np.stack([run - expected for run in runs])
    differences = np.where(np.isfinite(differences), differences, np.inf if differences.size else 0.0)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    # No format resolves a tensor finer than this: a few units in the last place of its largest element.
    floor = FLOOR * precision.unit * largest + precision.tiny
    allowed = SLACK * np.abs(differences).max(axis=0) + floor
    return Tolerance(
        allowed=allowed,
        ceiling=allowed * _ceiling(precision, terms),
        scale=SLACK * max(abs(regression_scale(e + expected, expected) - 1) for e in differences)
        + 2 * precision.unit
        + _underflow(expected, precision),
        offset=SLACK * max(abs(_mean(e)) for e in differences) + 2 * precision.unit * _mean(np.abs(expected)),
    )


def _exactly(expected: Array) -> Tolerance:
    nothing = np.zeros(expected.shape)
    return Tolerance(allowed=nothing, ceiling=nothing, scale=0.0, offset=0.0)


def _underflow(expected: Array, precision: Precision) -> float:
    """How far the regression scale moves if every element loses what the format cannot hold."""
    sizes = np.abs(expected[np.isfinite(expected)])
    peak = float(sizes.max(initial=0.0))
    if peak == 0.0:
        return 0.0
    with np.errstate(over="ignore"):
        return float(precision.tiny / np.float64(peak) * (sizes / peak).sum() / ((sizes / peak) ** 2).sum())


def _ceiling(precision: Precision, terms: int) -> float:
    """How many times its allowance an error may be and still look like precision lost, not a wrong formula.

    In float64: what float32 would be allowed. Otherwise the step from sqrt(K) to K that a careless sum costs.
    """
    if precision.name == "float64":
        return 2.0**29
    return max(FLOOR, math.sqrt(terms))


def regression_scale(actual: Array, expected: Array) -> float:
    """<actual, expected> / <expected, expected>: 1 when equal, 2 when doubled, 0 when unrelated."""
    finite = np.isfinite(actual) & np.isfinite(expected)
    a, e = actual[finite].astype(np.float64), expected[finite].astype(np.float64)
    peak = np.abs(e).max(initial=0.0)
    if peak == 0.0:
        return 1.0
    e = e / peak  # so that the squares neither overflow nor vanish
    return float((a / peak * e).sum() / (e * e).sum())


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else 0.0


class Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it every torch operation's result is disturbed as rounding in `precision` may disturb it."""

    def __init__(self, precision: Precision, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.precision = precision
        self.generator = torch.Generator().manual_seed(seed)
        self.longest_sum = 1

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled, and importing the compiler takes a second and a half

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in COMPOSITE:
            with self:
                return COMPOSITE[func](*args, **kwargs)
        whole = func.overloadpacket in WHOLE and self._whole(args)
        out = func(*args, **kwargs)
        if func.is_view or func.overloadpacket in EXACT or whole:
            return out
        if func.overloadpacket not in SUMS:
            return _map(out, self._relative)
        terms = SUMS[func.overloadpacket](out, *args)
        self.longest_sum = max(self.longest_sum, *terms)
        magnitudes = func(*_absolute(args), **kwargs)
        return _map(out, self._summed, magnitudes, terms)

    def _relative(self, value: Tensor) -> Tensor:
        # In place, so that operations like `div_` stay operations on their argument.
        return value.mul_(1 + AMPLITUDE * self.precision.unit * self._noise(value))

    def _summed(self, value: Tensor, magnitude: Tensor, terms: int) -> Tensor:
        p = self.precision
        bound = (SUM_CONSTANT * terms**0.5 * p.accumulate + 2 * p.operand) * magnitude + terms * p.tiny
        return self._relative(value).add_(bound * self._noise(value))

    def _whole(self, args: Sequence[Any]) -> bool:
        """Whether all operands are small whole numbers: sums and products of those are exact in every format.

        So a margin of exactly 0 or a tie stays one, and the declared subgradient can be asserted.
        """
        operands = [a for a in args if isinstance(a, Tensor) and a.is_floating_point()]
        limit = 0.125 / self.precision.unit
        return all(bool(((a == a.round()) & (a.abs() * max(1, a.numel()) < limit)).all()) for a in operands)

    def _noise(self, like: Tensor) -> Tensor:
        """Random signs with sizes between a half and 1: never so small that a lone error goes unseen."""
        flat = torch.rand(like.shape, dtype=like.dtype, generator=self.generator) * 2 - 1
        return 0.5 * (flat + torch.where(flat < 0, -1.0, 1.0))


def _map(out: Any, disturb: Callable[..., Tensor], *others: Any) -> Any:
    """Apply `disturb` to each floating tensor among an operation's results."""
    if isinstance(out, Tensor):
        if not out.is_floating_point():
            return out
        return disturb(out, *(other[0] if isinstance(other, tuple) else other for other in others))
    columns = zip(out, *others, strict=True)
    return tuple(_map(first, disturb, *rest) if first is not None else None for first, *rest in columns)


def _absolute(args: Any) -> tuple[Any, ...]:
    return tuple(a.abs() if isinstance(a, Tensor) and a.is_floating_point() else a for a in args)


def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    shifted = x - x.amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


def _variance(x: Tensor, dim: list[int], correction: float = 1, keepdim: bool = False) -> Tensor:
    centred = x - x.mean(dim, keepdim=True)
    count = x.numel() // max(1, x.mean(dim).numel())
    return (centred * centred).sum(dim, keepdim=keepdim) / (count - correction)


def _batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    if training:
        mean = x.mean(0)
        variance = ((x - mean) * (x - mean)).mean(0)
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, variance = running_mean, running_var
    inverse = 1 / torch.sqrt(variance + eps)
    saved = (mean, inverse) if training else (x.new_empty(0), x.new_empty(0))
    return (x - mean) * inverse * weight + bias, *saved


# Operations taken apart, so that the sums and cancellations inside them are disturbed too.
COMPOSITE: dict[Any, Callable[..., Any]] = {
    aten._log_softmax.default: _log_softmax,
    aten.native_batch_norm.default: _batch_norm,
    aten.var.correction: _variance,
    **get_decompositions(
        [
            aten._log_softmax_backward_data,
            aten.binary_cross_entropy_with_logits,
            aten.leaky_relu_backward,
            aten.native_batch_norm_backward,
            aten.nll_loss_backward,
            aten.nll_loss_forward,
            aten.sigmoid_backward,
            aten.tanh_backward,
            aten.threshold_backward,
        ]
    ),
}

# Operations that only make, move, select or negate values: nothing is rounded.
EXACT = {
    *(aten.abs, aten.amax, aten.arange, aten.cat, aten.clone, aten.constant_pad_nd, aten.copy_, aten.empty, aten.fill_),
    *(
        aten.full,
        aten.full_like,
        aten.gather,
        aten.index,
        aten.index_select,
        aten.lift_fresh,
        aten.masked_fill,
        aten.maximum,
    ),
    *(aten.max_pool2d_with_indices, aten.minimum, aten.neg, aten.new_empty, aten.new_zeros, aten.ones),
    *(aten.ones_like, aten.relu, aten.scalar_tensor, aten.scatter, aten.select_backward, aten.slice_backward),
    *(aten.sign, aten.to, aten._to_copy, aten.where, aten.zero_, aten.zeros, aten.zeros_like),
    *(aten.stack, aten.empty_like, aten.new_empty_strided, aten.empty_strided, aten.detach, aten.flip),
}


# Operations that give a whole number for whole numbers.
WHOLE = {aten.add, aten.addmm, aten.convolution, aten.mm, aten.mul, aten.rsub, aten.sub, aten.sum}


def _ratio(out: Tensor, x: Tensor, *_: Any) -> tuple[int]:
    return (max(1, x.numel() // max(1, out.numel())),)


def _window(out: Tensor, x: Tensor, *rest: Any) -> tuple[int]:
    sizes = next(a for a in rest if isinstance(a, list | tuple))
    return (int(np.prod(sizes)),)


def _convolution_backward(_: Any, dout: Tensor, x: Tensor, w: Tensor, *__: Any) -> tuple[int, int, int]:
    pixels = dout.numel() // max(1, dout.shape[1])
    return max(1, dout.shape[1] * w[0, 0].numel()), max(1, pixels), max(1, pixels)


# Operations that add up products or terms, and how many: K, one for each result.
SUMS: dict[Any, Callable[..., tuple[int, ...]]] = {
    aten.addmm: lambda out, bias, a, b: (a.shape[1] + 1,),
    aten.avg_pool2d: _window,
    aten.avg_pool2d_backward: _window,
    aten.bmm: lambda out, a, b: (max(1, a.shape[2]),),
    aten.convolution: lambda out, x, w, *_: (w[0].numel() + 1,),
    aten.convolution_backward: _convolution_backward,
    aten.dot: lambda out, a, b: (max(1, a.numel()),),
    aten.max_pool2d_with_indices_backward: _window,
    aten.mean: _ratio,
    aten.mm: lambda out, a, b: (max(1, a.shape[1]),),
    aten.mv: lambda out, a, b: (max(1, a.shape[1]),),
    aten.sum: _ratio,
}
