"""How far a correct computation may be from the truth: derived from the expression, never tuned per layer.

The truth is torch in float64. To learn what rounding can do to it, the same expression is run a few times with
every intermediate operation, forward and backward, disturbed by the rounding error that a correct algorithm
of the precision under test may make there:

- whatever stores its result by one rounding in the storage format, u_store of the result;
- arithmetic and library functions by one to seven, series by 63, roundings in the accumulator's format more;
- a sum of K terms by sqrt(K) * u_acc * sqrt(T^2 + Q) more, T being the sum and Q that of the squares; where terms
  are added one by one to what stands in memory, by as much in u_store; `2 * u_in` more where a product's operands
  are rounded first;
- views, copies, selections, and sums and products of small whole numbers are exact.

Twice the farthest that any disturbed run strays is what an element is allowed, for a few runs do not find the very
worst; and u_store of itself and u_acc of the largest more. The allowance opens up by itself where the expression is
ill-conditioned: after cancellation, in a saturated softmax, beside a kink inside a net. `docs/tolerance.md` derives it.
Source: Higham, Accuracy and Stability of Numerical Algorithms, chapters 3 and 4, for the bounds of a sum.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch

from scratchproof.oracle import bias
from scratchproof.oracle.elementary import Elementary, fused
from scratchproof.oracle.lanes import Lanes, repeated, stacked
from scratchproof.oracle.rounding import Rounding, underflow
from scratchproof.vjp import (
    Answer,
    Array,
    Expression,
    Inputs,
    Outputs,
    Precision,
    answer,
    floating,
    from_torch,
)

REPEATS = 8
COARSE, COARSE_UNIT = 4, 2.0**-12  # times as many runs where a unit is wider than this: kinks are crossed by chance
SLACK = 2.0
FLOOR = 1.0
CEILING = 4.0

K = TypeVar("K")
Compute: TypeAlias = Callable[[], dict[K, Array]]
Key: TypeAlias = tuple[int, int, str]
"""Which answer, which cotangent (OUT for the outputs), which name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What one quantity (the output, or one gradient) is allowed.

    allowed, ceiling: arrays of the quantity's shape: an error above `allowed` is suspect, above `ceiling` wrong.
    scale, offset, drift: how far from 0 may be, each seeing what is smaller than any one element's allowance,
    the regression scale <actual, expected> / <expected, expected> less 1; the mean signed error; and the mean of the
    errors away from zero, each as a share of its own allowance, in which small elements count as much as large ones.
    unmodelled: the operations whose rounding is unknown; where there are any, the allowance may be too narrow.
    """

    allowed: Array
    ceiling: Array
    scale: float
    offset: float
    drift: float = math.inf
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
    stored: str = "all",
    seed: int = 0,
    repeats: int = REPEATS,
) -> tuple[dict[str, Tolerance], tuple[dict[str, Tolerance], ...]]:
    """The tolerance of each of an expression's outputs (none for whole numbers), and of every gradient.

    truth: the float64 answer for the same inputs and cotangents. alternatives: expressions as right as the first, of
    the same inputs; what any of them may stray is allowed. stored: "all" where any intermediate result may be rounded
    to the format, "outputs" where only outputs and gradients are, all else being kept in the accumulator's precision.
    The seed fixes the disturbances, `repeats` says how many.
    """
    found = tolerances_of_many(
        expression,
        [truth],
        [inputs],
        [cotangents],
        precision,
        constant=constant,
        options=options,
        alternatives=alternatives,
        stored=stored,
        seed=seed,
        repeats=repeats,
    )
    return found[0]


def tolerances_of_many(
    expression: Expression,
    truths: Sequence[Answer],
    inputs: Sequence[Inputs],
    cotangents: Sequence[Sequence[Outputs]],
    precision: Precision,
    *,
    constant: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    alternatives: Sequence[Expression] = (),
    stored: str = "all",
    seed: int = 0,
    repeats: int = REPEATS,
) -> list[tuple[dict[str, Tolerance], tuple[dict[str, Tolerance], ...]]]:
    """The same for several inputs of one shape, each with its truth and cotangents, derived side by side."""
    truth = _flat(truths)

    def computing(one: Expression) -> Compute[Key]:
        function = from_torch(one, constant=constant, options=options)

        def together(count: int) -> list[dict[Key, Array]]:
            found = stacked(one, inputs, cotangents, count, constant=constant, options=options)
            return [_flat(run) for run in zip(*found, strict=True)]

        return Lanes(
            expression=one,
            once=lambda: _flat([answer(function, *given) for given in zip(inputs, cotangents, strict=True)]),
            together=together,
            truth=truth,
            shapes=tuple(value.shape for each in inputs for value in each.values()),
        )

    others = [computing(one) for one in alternatives]
    how: dict[str, Any] = {"alternatives": others, "stored": stored, "seed": seed, "repeats": repeats}
    found = spread(computing(expression), truth, precision, **how)
    # What is computed from equal inputs errs alike, whatever it is multiplied by afterwards.
    alike = [_crowding(each, precision) for each in inputs]
    drifting = {key: replace(one, drift=one.drift * math.sqrt(alike[key[0]])) for key, one in found.items()}
    return [_named(drifting, which, one) for which, one in enumerate(truths)]


def _crowding(inputs: Inputs, precision: Precision) -> float:
    """Of the input that is crowded most."""
    found = (bias.crowding(inputs[name], precision.unit, stored=True) for name in floating(inputs))
    return max(found, default=1.0)


def _named(
    found: Mapping[Key, Tolerance], which: int, truth: Answer
) -> tuple[dict[str, Tolerance], tuple[dict[str, Tolerance], ...]]:
    """The tolerances of one of the truths, by output and by cotangent and input."""
    grads = tuple({name: found[which, i, name] for name in of_one} for i, of_one in enumerate(truth.grads))
    return {name: found.get((which, OUT, name)) or _exactly(out) for name, out in truth.outs.items()}, grads


def spread(
    compute: Compute[K],
    truth: Mapping[K, Array],
    precision: Precision,
    *,
    alternatives: Sequence[Compute[K]] = (),
    stored: str = "all",
    seed: int = 0,
    repeats: int = REPEATS,
) -> dict[K, Tolerance]:
    """The tolerance of every named array that `compute` returns, from its disturbed runs.

    compute: a torch computation in float64, forward and backward. truth: what it returns undisturbed.
    alternatives: the same computed by other right formulas: they are disturbed too, and their own difference from the
    truth, in float64, counts as one run more. stored: see `tolerances`.
    """
    rounding = Rounding(precision if stored == "all" else _inside(precision), seed)
    runs = [other() for other in alternatives]
    runs += disturbed(compute, precision, rounding, alternatives=alternatives, seed=seed, repeats=repeats)
    return within(runs, truth, precision, rounding)


def disturbed(
    compute: Compute[K],
    precision: Precision,
    rounding: Rounding,
    *,
    alternatives: Sequence[Compute[K]] = (),
    seed: int = 0,
    repeats: int = REPEATS,
) -> list[dict[K, Array]]:
    """Runs that err as `rounding` has it, and, where several operations may be one, as one that rounds at its end."""
    runs: list[dict[K, Array]] = []
    with Elementary({function: function for function in fused()}) as fusible:
        for one in (compute, *alternatives):
            runs += repeated(one, repeats * (COARSE if precision.unit > COARSE_UNIT else 1), rounding)
    if fusible.used:
        with Elementary(fused(precision.unit / precision.accumulate)):
            runs += repeated(compute, repeats, Rounding(_inside(precision), seed))
    return runs


def within(
    runs: Sequence[Mapping[K, Array]], truth: Mapping[K, Array], precision: Precision, rounding: Rounding
) -> dict[K, Tolerance]:
    """The tolerance of every named array, from disturbed runs."""
    return {
        name: _tolerance(expected, [run[name] for run in runs], precision, rounding) for name, expected in truth.items()
    }


def _inside(precision: Precision) -> Precision:
    """The arithmetic of a kernel that keeps everything in its accumulator's precision until it stores the result."""
    fine = precision.accumulate < precision.unit
    return replace(precision, unit=precision.accumulate, dtype=torch.float32) if fine else precision


OUT = -1


def _flat(answers: Sequence[Answer]) -> dict[Key, Array]:
    flat: dict[Key, Array] = {}
    for which, found in enumerate(answers):
        flat |= {(which, OUT, name): found.outs[name] for name in floating(found.outs)}
        for i, of_cotangent in enumerate(found.grads):
            flat |= {(which, i, name): grad for name, grad in of_cotangent.items()}
    return flat


def _tolerance(expected: Array, runs: list[Array], precision: Precision, rounding: Rounding) -> Tolerance:
    with np.errstate(all="ignore"):  # where the truth is inf or nan, so is the difference; compare() looks there
        differences = np.stack([run - expected for run in runs])
    differences = np.where(np.isfinite(differences), differences, np.inf if differences.size else 0.0)
    sizes = np.where(np.isfinite(expected), np.abs(expected), 0.0)
    allowed = SLACK * np.abs(differences).max(axis=0) + _floor(sizes, precision)
    return Tolerance(
        allowed=allowed,
        ceiling=allowed * _ceiling(precision, rounding.longest_sum),
        **bias.means(differences, expected, allowed, precision),
        unmodelled=tuple(sorted(rounding.unmodelled)),
    )


def least(truth: Answer, precision: Precision) -> tuple[dict[str, Tolerance], tuple[dict[str, Tolerance], ...]]:
    """What is allowed at the least, whatever the expression: known without any disturbed run."""

    def of(found: Mapping[str, Array]) -> dict[str, Tolerance]:
        return {name: _least(expected, precision) for name, expected in found.items()}

    return of(truth.outs), tuple(map(of, truth.grads))


def _least(expected: Array, precision: Precision) -> Tolerance:
    if expected.dtype.kind != "f":
        return _exactly(expected)
    sizes = np.where(np.isfinite(expected), np.abs(expected), 0.0)
    floor, twice = _floor(sizes, precision), 2 * precision.accumulate
    return Tolerance(
        allowed=floor,
        ceiling=floor,
        scale=twice * bool(sizes.any()),
        offset=twice * float(sizes.sum()) / max(1, sizes.size),
        drift=0.0,
    )


def _floor(sizes: Array, precision: Precision) -> Array:
    """The rounding of each element, and an accumulated one of the largest."""
    most = sizes.max(initial=0.0)
    floor: Array = precision.unit * sizes + FLOOR * precision.accumulate * most + underflow(precision)
    return floor


def _exactly(expected: Array) -> Tolerance:
    nothing = np.zeros(expected.shape)
    return Tolerance(allowed=nothing, ceiling=nothing, scale=0.0, offset=0.0, drift=0.0)


def _ceiling(precision: Precision, terms: int) -> float:
    """How many times its allowance an error may be and still look like precision lost, not a wrong formula.

    In float64: what float32 would be allowed. Otherwise the step from sqrt(K) to K that a careless sum costs.
    """
    if precision.name == "float64":
        return 2.0**29
    return CEILING * math.sqrt(max(1, terms))
