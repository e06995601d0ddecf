"""What a wrong array is: zeros, a copy, a permutation, an earlier answer, a computation in something coarser."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from scratchproof.exam.compare import Comparison, compare, number
from scratchproof.kernels.surroundings import POISON
from scratchproof.oracle.explain import effective_bits
from scratchproof.oracle.tolerance import Tolerance
from scratchproof.vjp import Array, Inputs, Precision

SEVERAL = 3  # elements, of which one number explains all
LIKELY = 2.0**-7  # of the root mean square that is allowed: what computes in that format shows at least


class Named(NamedTuple):
    """A kind of wrong answer, and a clause that says it."""

    kind: str
    clause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A wrong array, and everything that it is compared with.

    inputs: of the call. earlier: right answers of other calls, by what was asked. gradient: whether it is one.
    derive: the tolerance of this array, were it computed in another precision.
    """

    actual: Array
    expected: Array
    tolerance: Tolerance
    precision: Precision
    comparison: Comparison
    inputs: Inputs
    earlier: Mapping[str, Array]
    gradient: bool
    derive: Callable[[Precision], Tolerance]

    def agrees(self, actual: Array, expected: Array | None = None) -> bool:
        expected = self.expected if expected is None else expected
        if actual.shape != self.expected.shape or expected.shape != self.expected.shape:
            return False
        return compare(actual, expected, self.tolerance, self.precision).problem is None


def name(evidence: Evidence) -> Named:
    """The simplest that explains the array; "wrong value" and the like where nothing does."""
    return next(_names(evidence))


def _names(e: Evidence) -> Iterator[Named]:
    if e.comparison.problem == "shape":
        yield Named("wrong shape", "")
        return
    if e.actual.dtype.kind == "f":
        yield from _unwritten(e)
    yield from _plain(e)
    yield from _borrowed(e)
    yield from _moved(e)
    if e.expected.dtype.kind == "f" and e.comparison.problem in ("value", "precision"):
        yield from _one_number_off(e)
        yield from _computed(e)
    if e.comparison.problem in ("nan", "inf"):
        yield Named("not finite", "")
    yield Named("wrong gradient" if e.gradient else "wrong value", "")


def _plain(e: Evidence) -> Iterator[Named]:
    a = e.actual
    if not a.size:
        return
    if (a == 0).all():
        yield Named("no gradient" if e.gradient else "zeros", "it is all zeros")
    elif a.size > 1 and (a == a.flat[0]).all():
        yield Named("constant", f"every element is {number(float(a.flat[0]))}")


def _unwritten(e: Evidence) -> Iterator[Named]:
    poisoned = _poisoned(e.actual, e.precision)
    wrong = e.comparison.wrong if e.comparison.wrong is not None else np.ones(e.actual.shape, bool)
    if poisoned.any():
        share = f"{int(poisoned.sum())} of {poisoned.size} elements are what lay in memory before"
        yield Named("reads unwritten memory", share)
    elif (~np.isfinite(e.actual)).any() and not (~np.isfinite(e.actual))[~wrong].any() and not wrong.all():
        return
    elif wrong.any() and not wrong.all() and (e.actual[wrong] == 0).all() and e.actual.any():
        yield Named("part not computed", f"{int(wrong.sum())} of {wrong.size} elements are left at zero")


def _poisoned(a: Array, precision: Precision) -> Array:
    """Elements made of the bytes that fresh memory was filled with."""
    width = {"float64": 8, "float32": 4}.get(str(precision.dtype).removeprefix("torch."), 2)
    kind = {8: np.float64, 4: np.float32}.get(width)
    if kind is None:
        pattern = float(np.array([POISON * 0x01010101 & 0x7F7F0000], np.uint32).view(np.float32)[0])
        found: Array = a == pattern
        return found
    return np.asarray(a == float(np.frombuffer(bytes([POISON] * width), kind)[0]))


def _borrowed(e: Evidence) -> Iterator[Named]:
    for called, value in e.inputs.items():
        if value.dtype.kind == "f" and value.size == e.actual.size > 1 and (value.ravel() == e.actual.ravel()).all():
            yield Named("copy of an input", f"it is {called}")
    for asked, truth in e.earlier.items():
        if (e.actual.size > 1 or e.actual.dtype.kind == "f") and e.agrees(e.actual, truth):
            yield Named("stale output", f"it is the right answer to another call ({asked})")


def _moved(e: Evidence) -> Iterator[Named]:
    a, t = e.actual, e.expected
    if a.size < 2 or not np.isfinite(a).all():
        return
    for axis in range(a.ndim):
        if e.agrees(np.flip(a, axis)):
            yield Named("permutation", f"it is right, but turned around along axis {axis}")
    if a.ndim > 1 and e.agrees(np.swapaxes(a, -1, -2).reshape(t.shape)):
        yield Named("permutation", "it is right, but transposed")
    order = np.argsort(t, axis=None)
    put = np.empty(t.size, np.float64)
    put[order] = np.sort(a, axis=None)
    if t.dtype.kind == "f" and e.agrees(put.reshape(t.shape)):
        yield Named("permutation", "its elements are right, but not in their places")


def _one_number_off(e: Evidence) -> Iterator[Named]:
    """A factor or a term that explains every element."""
    a, t = e.actual, e.expected
    if a.size < SEVERAL or not np.isfinite(a).all() or not np.isfinite(t).all():
        return
    factor = float((a * t).sum() / ((t * t).sum() or 1.0))
    if factor and e.agrees(a / factor):
        yield Named("wrong factor", f"it is {number(factor)} times what is right")
    term = float((a - t).mean())
    if e.agrees(a - term):
        yield Named("wrong term", f"it is {number(term)} more than what is right")


def _computed(e: Evidence) -> Iterator[Named]:
    """The finest arithmetic that explains the error, unless it would err far more than that."""
    errors = e.actual - e.expected
    for words, coarse in coarser(e.precision):
        tolerance = e.derive(coarse)
        if compare(e.actual, e.expected, tolerance, e.precision).problem not in (None, "unmodelled"):
            continue
        if _rms(errors) < LIKELY * _rms(tolerance.allowed):
            break
        bits = effective_bits(errors, e.expected)
        yield Named("downgrade", f"as if {words}: {bits:.1f} of {-np.log2(e.precision.unit):.0f} bits are right")
        return
    if e.comparison.problem == "precision":
        yield Named("less accurate", "no arithmetic in a coarser format explains it")


def _rms(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.square(finite).mean())) if finite.size else 0.0


def coarser(precision: Precision) -> Sequence[tuple[str, Precision]]:
    """What is often computed in place of what was asked for, the finest first."""
    half, brain = 2.0**-11, 2.0**-8
    found = [
        ("its operands were TF32", replace(precision, operand=half)),
        ("float16 inside", replace(precision, unit=half, operand=half)),
        ("bfloat16 inside", replace(precision, unit=brain, operand=brain)),
        ("summed in float16", replace(precision, unit=half, operand=half, accumulate=half)),
        ("summed in bfloat16", replace(precision, unit=brain, operand=brain, accumulate=brain)),
    ]
    coarsest = max(precision.operand, precision.unit, precision.accumulate)
    return [(w, p) for w, p in found if max(p.operand, p.unit) >= coarsest and not _same(p, precision)]


def _same(one: Precision, other: Precision) -> bool:
    """Whether two arithmetics are as coarse: what is stored in a format is not rounded again as an operand."""
    return (one.unit, one.accumulate) == (other.unit, other.accumulate) and max(one.operand, other.operand) <= one.unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A wrong answer that must not pass, made from the right one."""

    name: str
    make: Callable[[Array, Inputs, Sequence[Array], Precision], Array | None]


def _permuted(t: Array, inputs: Inputs, earlier: Sequence[Array], precision: Precision) -> Array | None:
    return np.roll(t.ravel(), 1).reshape(t.shape) if t.size > 1 else None


def _input(t: Array, inputs: Inputs, earlier: Sequence[Array], precision: Precision) -> Array | None:
    return next((v for v in inputs.values() if v.shape == t.shape and v.dtype.kind == t.dtype.kind), None)


def _thousandth(t: Array, inputs: Inputs, earlier: Sequence[Array], precision: Precision) -> Array | None:
    step = max(1e-3, 64 * precision.unit, 64 * precision.operand)
    return t * (1 + step) if t.dtype.kind == "f" else None


CONTROLS = (
    Control(name="zeros", make=lambda t, *_: np.zeros_like(t)),
    Control(name="constant", make=lambda t, *_: np.full_like(t, t.mean()) if t.size > 1 else None),
    Control(name="copy of an input", make=_input),
    Control(name="permutation", make=_permuted),
    Control(name="stale output", make=lambda t, i, earlier, p: earlier[0] if earlier else None),
    Control(name="scaled by a thousandth", make=_thousandth),
)
