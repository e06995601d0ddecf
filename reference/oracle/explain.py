"""Which arithmetic would explain an error: the finest of those for which the allowance, derived anew, holds it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scratchproof.oracle.tolerance import Tolerance
from scratchproof.vjp import Array, Precision


def as_if(actual: Array, expected: Array, precision: Precision, derive: Callable[[Precision], Tolerance | None]) -> str:
    """`as if summed in bfloat16: 7.2 of 8 bits`, or "" where no coarser arithmetic explains the error.

    actual, expected: arrays of one shape. derive: the tolerance of this quantity, were it computed so.
    """
    finite = np.isfinite(actual) & np.isfinite(expected)
    errors = np.where(finite, np.abs(np.where(finite, actual, 0.0) - np.where(finite, expected, 0.0)), 0.0)
    for words, coarse in coarser(precision):
        tolerance = derive(coarse)
        if tolerance is not None and not tolerance.unmodelled and (errors <= tolerance.allowed).all():
            bits = effective_bits(errors, np.where(finite, expected, 0.0))
            return f"as if {words}: {bits:.1f} of {-np.log2(precision.unit):.0f} bits are right"
    return ""


def effective_bits(errors: Array, expected: Array) -> float:
    """How many binary digits are right, by the root mean squares of errors and of what was expected."""
    noise, signal = float(np.square(errors).sum()), float(np.square(expected).sum())
    return 0.5 * float(np.log2(signal / noise)) if noise and signal else 0.0


def coarser(precision: Precision) -> tuple[tuple[str, Precision], ...]:
    """What is often computed in place of what was asked for, the finest first."""
    if precision.accumulate < precision.unit:
        return ((f"summed in {precision.name}", replace(precision, accumulate=precision.unit)),)
    inside = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
    steps = [(f"{name} inside", replace(precision, unit=u, accumulate=u)) for name, u in inside.items()]
    operands = ("its operands were TF32", replace(precision, operand=2.0**-11))
    candidates = [steps[0], operands, *steps[1:]]
    return tuple((words, coarse) for words, coarse in candidates if coarse.unit > precision.unit or coarse.operand)
