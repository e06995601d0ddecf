"""What the exam finds, from one comparison under a tolerance to the report of a layer."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from scratchproof.grid import Grid, grid
from scratchproof.oracle.bias import drift, regression_scale
from scratchproof.oracle.tolerance import Tolerance
from scratchproof.vjp import Array, Precision


class Verdict(StrEnum):
    """What the exam says of a layer, or of one result. The order of the members is that of gravity."""

    PASS = "PASS"
    MISSING = "MISSING"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    SUSPECT = "SUSPECT"
    VACUOUS = "VACUOUS"
    FAIL = "FAIL"
    CRASH = "CRASH"
    TIMEOUT = "TIMEOUT"

    @property
    def gravity(self) -> int:
        return list(Verdict).index(self)


class Severity(StrEnum):
    """What kind of thing is wrong."""

    VALUE = "value"
    SHAPE = "shape"
    CRASH = "crash"
    EDGE = "edge"
    PRECISION = "precision"
    CONVENTION = "convention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the record: what was compared, how far it was off, what was allowed, what follows.

    error and allowed are absolute, at the element that comes closest to (or goes farthest beyond) its allowance;
    headroom is allowed / error. They are None where nothing numeric was compared. grid: where an array is wrong.
    reproducer: a script that shows it with NumPy and torch alone, where one could be written.
    """

    check: str
    case: str
    quantity: str
    verdict: Verdict = Verdict.PASS
    severity: Severity | None = None
    message: str = ""
    cause: str = ""
    error: float | None = None
    allowed: float | None = None
    headroom: float | None = None
    grid: Grid | None = None
    reproducer: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How small an error would be told of, by what is allowed: in the quantity where it must be largest.

    element: relative, in one element of median size. scale: of the whole, in the quantity where that must be largest.
    """

    quantity: str
    element: float
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the exam found of one layer in one precision, and how small an error it would have told of."""

    layer: str
    precision: str
    verdict: Verdict
    results: tuple[Result, ...]
    seconds: float = 0.0
    sight: Sight | None = None

    @property
    def tightest(self) -> Result | None:
        """The numeric result that came closest to (or went farthest beyond) its allowance."""
        measured = [r for r in self.results if r.headroom is not None]
        return min(measured, key=lambda r: r.headroom or 0.0, default=None)

    @property
    def findings(self) -> tuple[Result, ...]:
        """The results with something to say: problems and notes on conventions."""
        return tuple(r for r in self.results if r.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How actual compares with expected: the kind of problem (None if none), and the element that shows it.

    problem: None | "shape" | "dtype" | "value" | "precision" | "nan" (where a number was due) | "inf" (likewise)
    | "lost" (a number where nan or inf was due) | "unmodelled" (the allowance itself is uncertain).
    wrong: which elements are beyond their allowance. excess: the error of each over its allowance; `grid` draws it.
    """

    problem: str | None
    message: str
    error: float | None = None
    allowed: float | None = None
    wrong: Array | None = None
    excess: Array | None = None

    @property
    def grid(self) -> Grid | None:
        return None if self.excess is None else grid(self.excess)

    @property
    def headroom(self) -> float | None:
        if self.error is None or self.allowed is None:
            return None
        return self.allowed / self.error if self.error else float("inf")


def compare(actual: Array, expected: Array, tolerance: Tolerance, precision: Precision) -> Comparison:
    """Compare an array with the float64 truth of the same shape; never raises.

    Shape first, then nan and infinities by position and sign, then every element against its allowance, then the
    regression scale, the mean signed error and the drift, which see a bias too small for any one element. Whole
    numbers and truth values must be equal. dtype is not looked at: see `same_dtype`.
    """
    if actual.shape != expected.shape:
        return Comparison(problem="shape", message=f"has shape {actual.shape}, but should be {expected.shape}")
    if expected.dtype.kind != "f":
        return _equal(actual, expected)
    actual, expected = actual.astype(np.float64), _clipped(expected, precision)
    # Where the truth's own formula, rounded, leaves the range of the format, nobody can be held to a number.
    actual = np.where(np.isinf(tolerance.allowed) & np.isfinite(expected), expected, actual)
    odd = _odd(actual, expected)
    if odd.any():
        return _nonfinite(actual, expected, odd, tolerance)
    finite = np.isfinite(expected)
    with np.errstate(invalid="ignore"):
        errors = np.where(finite, np.abs(actual - expected), 0.0)
    if (errors > tolerance.allowed).any():
        found = _beyond(actual, expected, errors, tolerance)
    else:
        found = _biased(actual, expected, tolerance) or _agreed(errors, tolerance)
    return _uncertain(found, tolerance) if tolerance.unmodelled else found


def same_dtype(actual: Array, precision: Precision) -> str:
    """An empty string, or the fact and the need where the dtype is not the one that went in."""
    wanted = precision.array_dtype
    return "" if actual.dtype == wanted else f"has dtype {actual.dtype}, but should be {wanted} as its inputs are"


def wider(actual: Array, precision: Precision) -> bool:
    """Whether a dtype holds all that the precision does, and more: float64 out of float32, from `np.zeros(shape)`."""
    return actual.dtype.kind == "f" and bool(np.can_cast(precision.array_dtype, actual.dtype))


def same_float(a: Array, b: Array) -> bool:
    """Whether two arrays hold the same values, nan equal to nan."""
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def number(value: float) -> str:
    return f"{value:.4g}"


def place(index: tuple[int, ...]) -> str:
    return f"at {index}" if index else "(a scalar)"


def _equal(actual: Array, expected: Array) -> Comparison:
    wrong: Array = actual != expected
    if not wrong.any():
        return Comparison(problem=None, message="")
    index = _first(wrong)
    message = f"got {actual[index]}, expected {expected[index]} {place(index)}{_count(wrong)}"
    return Comparison(problem="value", message=message, wrong=wrong)


def _clipped(expected: Array, precision: Precision) -> Array:
    # What is too large for the format is infinite in it.
    overflow = np.abs(expected) > precision.largest
    return np.where(overflow & np.isfinite(expected), np.copysign(np.inf, expected), expected)


def _odd(actual: Array, expected: Array) -> Array:
    """Where nan or an infinity stands on one side only, or with another sign."""
    nan = np.isnan(actual) != np.isnan(expected)
    inf = (np.isinf(actual) | np.isinf(expected)) & (actual != expected) & ~np.isnan(expected)
    odd: Array = nan | inf
    return odd


def _nonfinite(actual: Array, expected: Array, odd: Array, tolerance: Tolerance) -> Comparison:
    index = _first(odd)
    got, due = actual[index], expected[index]
    problem = "lost" if not np.isfinite(due) else "nan" if np.isnan(got) else "inf"
    message = f"got {number(got)}, expected {number(due)} {place(index)}{_count(odd)}"
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.where(odd, np.inf, np.abs(actual - expected) / tolerance.allowed)
    return Comparison(problem=problem, message=message, wrong=odd, excess=excess)


def _beyond(actual: Array, expected: Array, errors: Array, tolerance: Tolerance) -> Comparison:
    wrong: Array = errors > tolerance.allowed
    grave = errors > tolerance.ceiling
    index = _first(grave if grave.any() else wrong)
    error, allowed = float(errors[index]), float(tolerance.allowed[index])
    message = (
        f"got {number(actual[index])}, expected {number(expected[index])} {place(index)}; "
        f"error {error:.2g}, allowed {allowed:.2g}{_count(wrong)}"
    )
    problem = "value" if grave.any() else "precision"
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = errors / tolerance.allowed
    return Comparison(problem=problem, message=message, error=error, allowed=allowed, wrong=wrong, excess=excess)


def _biased(actual: Array, expected: Array, tolerance: Tolerance) -> Comparison | None:
    finite = np.isfinite(expected)
    if not finite.any():
        return None
    scale = regression_scale(actual, expected)
    offset = float((actual[finite] - expected[finite]).mean())
    if abs(scale - 1) > tolerance.scale:
        message = f"is on the whole {scale:.9g} times the expected; 1 +- {tolerance.scale:.2g} is allowed"
        return Comparison(problem="precision", message=message, error=abs(scale - 1), allowed=tolerance.scale)
    if abs(offset) > tolerance.offset + float(tolerance.allowed.min()):
        message = f"is on average {offset:.3g} off; {tolerance.offset:.2g} is allowed"
        return Comparison(problem="precision", message=message, error=abs(offset), allowed=tolerance.offset)
    with np.errstate(invalid="ignore"):
        away = drift(actual - expected, expected, tolerance.allowed)
    if abs(away) > tolerance.drift:
        where = "away from" if away > 0 else "toward"
        message = (
            f"errs on average by {abs(away):.2g} of what one element is allowed, {where} zero; "
            f"{tolerance.drift:.2g} is allowed"
        )
        return Comparison(problem="precision", message=message, error=abs(away), allowed=tolerance.drift)
    return None


def _agreed(errors: Array, tolerance: Tolerance) -> Comparison:
    if errors.size == 0:
        return Comparison(problem=None, message="")
    worst = np.unravel_index(np.argmax(errors / tolerance.allowed), errors.shape)
    return Comparison(problem=None, message="", error=float(errors[worst]), allowed=float(tolerance.allowed[worst]))


def _uncertain(found: Comparison, tolerance: Tolerance) -> Comparison:
    reason = f"not modelled: {', '.join(tolerance.unmodelled)}: the allowance may be too narrow"
    message = f"{found.message}; {reason}" if found.message else reason
    return replace(found, problem="unmodelled", message=message)


def _first(mask: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _count(wrong: Array) -> str:
    return f"; {int(wrong.sum())} of {wrong.size} elements are wrong" if wrong.size > 1 else ""
