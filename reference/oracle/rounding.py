"""Runs of a torch computation in which every operation errs as rounding in some precision may make it err."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from scratchproof.oracle.apart import rule_for
from scratchproof.oracle.operations import (
    BLENDS,
    MULTIPLIED,
    PRODUCTS,
    SCALARS,
    SCATTERED,
    SUMS,
    WHOLE,
    Kind,
    kind_of,
    name_of,
)
from scratchproof.oracle.repeats import Repetition, repetition
from scratchproof.vjp import Precision

# How many units in the last place an operation may be off: one is the rounding of what is stored, the others are the
# algorithm's own and count in the accumulator's unit.
ULPS = {Kind.ARITHMETIC: 2.0, Kind.LIBRARY: 8.0, Kind.SPECIAL: 64.0, Kind.PRODUCT: 2.0}
STABLE_ULPS = 8.0
SUM_CONSTANT = 1.0
FOURIER_CONSTANT = 3.0
AMPLITUDE = 8.0  # of what a step of training may lose


LARGE, TABLE = 2**15, 2**22  # tensors of so many elements take their noise from a table of so many
SINGLE_TINY = torch.finfo(torch.float32).tiny


def underflow(precision: Precision) -> float:
    """What a result may lose for being small: half precision rounds subnormal numbers, the others may drop them."""
    return precision.tiny * precision.unit if precision.dtype == torch.float16 else precision.tiny


class Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it every torch operation's result is disturbed as rounding in `precision` may disturb it.

    longest_sum: the most terms that any sum had. unmodelled: operations of unknown rounding; they count as one.
    """

    def __init__(self, precision: Precision, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.precision = precision
        self.generator = torch.Generator().manual_seed(seed)
        self.longest_sum = 1
        self.unmodelled: set[str] = set()
        self._within: list[Any] = []
        self._product: tuple[Any, int] = (None, 0)  # the latest product, and of how many terms its sums are

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled, and importing the compiler takes a second and a half

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._run(func, args, kwargs or {})

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kind = kind_of(func)
        if kind is Kind.EXACT:
            return func(*args, **kwargs)
        if (functional := _out_of_place(func)) is not None:
            return _written(args[0], self._run(functional, args, kwargs))
        if kind is not None:
            return self._disturbed(kind, func, args, kwargs)
        rule = rule_for(func)
        if rule is not None and func not in self._within:
            self._within.append(func)
            try:
                with self:
                    return rule(*args, **kwargs)
            finally:
                self._within.pop()
        out = self._disturbed(Kind.LIBRARY, func, args, kwargs)
        if any(_rounds(value) for value in (out if isinstance(out, tuple | list) else [out])):
            self.unmodelled.add(str(func))
        return out

    def _disturbed(self, kind: Kind, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kind is Kind.STABLE:
            args = tuple(self._operand(a) for a in args)
        if kind is Kind.SPECIAL:
            args = tuple(self._argument(a) for a in args)
        out = func(*args, **kwargs)
        if name_of(func) in WHOLE and self._whole([*args, *kwargs.values()]):
            return out
        if kind in (Kind.SUM, Kind.BLEND):
            return self._summed(func, out, args, kwargs)
        if kind is Kind.FOURIER:
            return self._transformed(out, args[1])
        ulps = ULPS.get(kind, 1.0)
        if kind is Kind.PRODUCT:
            ulps *= max(1, PRODUCTS[name_of(func)](out, *args)) ** 0.5
        out = _map(out, lambda value: self._relative(value, ulps))
        if name_of(func) == "add":
            out = self._continued(out, args)
        return self._with_rounded_scalar(out, args[1]) if name_of(func) in SCALARS else out

    def _continued(self, out: Any, args: tuple[Any, ...]) -> Any:
        """A sum of products goes on: what is added may be its first term as well, so that partial sums are larger."""
        product, terms = self._product
        same = (a for a in args[:2] if isinstance(a, Tensor) and product is not None and a.numel() == product.numel())
        before = next((a for a in same if a.data_ptr() == product.data_ptr()), None)
        if before is None:
            return out
        larger = (out * out - before * before).clamp_min(0).sqrt()
        larger = torch.where(out.isfinite(), larger, 0.0)  # a mask of -inf has no terms
        return out + terms**0.5 * self.precision.accumulate * larger * self._noise(out)

    def _with_rounded_scalar(self, out: Tensor, scalar: Any) -> Tensor:
        """A scalar may be rounded to the storage format first."""
        if not isinstance(scalar, float) or scalar.is_integer():
            return out
        p, noise = self.precision, self._noise(out)
        disturbed: Tensor = out + p.unit * abs(scalar) * noise
        return disturbed if p.dtype != torch.float16 else self._in_short_range(disturbed, noise)

    def _relative(self, value: Tensor, ulps: float = 1.0) -> Tensor:
        p = self.precision
        noise = self._noise(value)
        factor = (noise * (p.unit + (ulps - 1) * p.accumulate)).add_(1)  # in place: large tensors are slow to allocate
        disturbed: Tensor = value * factor
        return disturbed if p.dtype != torch.float16 else self._in_short_range(disturbed, noise)

    def _in_short_range(self, value: Tensor, noise: Tensor) -> Tensor:
        """As a format holds it whose range right code soon leaves: what is too large is infinite, too small is zero.

        Among the subnormal numbers the last place is no share of the value.
        """
        p = self.precision
        smallest = underflow(p)
        value = torch.where(value.abs() <= smallest, 0.0, value + smallest * noise * value.sgn())
        return torch.where(value.abs() > p.largest, value * math.inf, value) if not value.is_complex() else value

    def _summed(self, func: Any, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = name_of(func)
        terms = _counts(SUMS.get(name) or BLENDS[name], out, args)
        if terms == (0,):
            return out
        stored = _counts(SCATTERED[name], out, args) if name in SCATTERED else (0,) * len(terms)
        self.longest_sum = max(self.longest_sum, *terms)
        squares = name in SUMS and all(_squarable(a) for a in args)
        sizes = func(*(_size(a, squares) for a in args), **kwargs)
        operand = self.precision.operand if name in MULTIPLIED else 0.0
        alike = repetition(name, args, self.precision)
        roots = _map(sizes, Tensor.sqrt) if squares and alike.stored > 1 else sizes
        if squares:  # of K terms in no special order the partial sums are about sqrt(total^2 + squares) in size
            sizes = _map(sizes, lambda size, value: (value * value).add_(size).sqrt_(), out)
        counts = tuple((terms, stored, operand, alike) for terms, stored in zip(terms, stored, strict=True))
        summed = _map(out, self._with_error, sizes, roots, counts if len(counts) > 1 else counts[0])
        if name in MULTIPLIED and isinstance(summed, Tensor):
            self._product = (summed, counts[0][0])
        return summed

    def _with_error(
        self, value: Tensor, size: Tensor, root: Tensor, counted: tuple[int, int, float, Repetition]
    ) -> Tensor:
        """size: of the partial sums. root: of the sum of squares, where operands are alike."""
        p = self.precision
        terms, stored, operand, alike = counted
        independent = SUM_CONSTANT * max(1, terms) ** 0.5 * p.accumulate + stored**0.5 * p.unit
        bound = alike.added**0.5 * independent + 2 * operand
        lost = terms * min(p.tiny, SINGLE_TINY) + stored * underflow(p)
        error = size * bound
        if alike.stored > 1:
            error = error.add_(root * ((alike.stored**0.5 - 1) * p.unit))
        return self._relative(value).add_(error.add_(lost).mul_(self._noise(value)))

    def _transformed(self, out: Tensor, dims: Sequence[int]) -> Tensor:
        # Each of log2(n) stages errs by a rounding of the mean size, which is the same before and behind.
        size = out.abs().square().mean(list(dims), keepdim=True).sqrt()
        stages = math.log2(2 + math.prod(out.shape[d] for d in dims))
        return self._relative(out) + FOURIER_CONSTANT * stages * self.precision.accumulate * size * self._noise(out)

    def _argument(self, value: Any) -> Any:
        """An argument of a series: near its zeros and poles the result is as good as the argument is known."""
        if not _rounds(value):
            return value
        disturbed: Tensor = value * (1 + ULPS[Kind.ARITHMETIC] * self.precision.accumulate * self._noise(value))
        return disturbed

    def _operand(self, value: Any) -> Any:
        """An operand of a backward stable algorithm: disturbed by roundings of its largest element."""
        if not _rounds(value) or value.ndim < 2 or value.numel() == 0:
            return value
        size = value.abs().amax((-2, -1), keepdim=True) * max(value.shape[-2:]) ** 0.5
        disturbed: Tensor = value + STABLE_ULPS * self.precision.unit * size * self._noise(value)
        return disturbed

    def _whole(self, args: Sequence[Any]) -> bool:
        """Whether all operands are small whole numbers: sums and products of those are exact in every format.

        So a margin of exactly 0 or a tie stays one, and the declared subgradient can be asserted.
        """
        if any(isinstance(a, float) and not a.is_integer() for a in args):
            return False
        operands = [a for a in args if isinstance(a, Tensor) and a.is_floating_point()]
        if not all(bool((row == row.round()).all()) for row in map(_first_row, operands)):
            return False  # as nearly always, without a look at the rest
        limit = 0.125 / self.precision.unit
        return all(bool(((a == a.round()) & (a.abs() * max(1, a.numel()) < limit)).all()) for a in operands)

    def _noise(self, like: Tensor) -> Tensor:
        """Random signs with sizes between a half and 1: never so small that a lone error goes unseen.

        Of a complex number both parts err, each by the size of the whole.
        """
        if like.is_complex():
            return torch.complex(self._noise(like.real), self._noise(like.imag))
        count = like.numel()
        if like.dtype == torch.float64 and LARGE <= count < TABLE:
            start = int(torch.randint(TABLE - count, (), generator=self.generator))
            return _table()[start : start + count].view(like.shape).to(like.device)
        drawn = torch.empty(like.shape, dtype=like.dtype)
        return _signed(drawn.uniform_(-1, 1, generator=self.generator)).to(like.device)


@cache
def _table() -> Tensor:
    """Noise for large tensors, drawn once: each takes what follows a place of its own."""
    return _signed(torch.empty(TABLE, dtype=torch.float64).uniform_(-1, 1, generator=torch.Generator().manual_seed(0)))


def _signed(drawn: Tensor) -> Tensor:
    """Uniform numbers moved away from zero: as random in sign, in size between a half and 1."""
    return drawn.add_(drawn.sign()).mul_(0.5)


@contextmanager
def disturbing(rounding: Rounding) -> Iterator[None]:
    """Run a computation disturbed, with attention in the form that shows its products and its softmax."""
    flash, efficient = torch._C._get_flash_sdp_enabled(), torch._C._get_mem_efficient_sdp_enabled()
    torch._C._set_sdp_use_flash(False)
    torch._C._set_sdp_use_mem_efficient(False)
    try:
        with rounding:
            yield
    finally:
        torch._C._set_sdp_use_flash(flash)
        torch._C._set_sdp_use_mem_efficient(efficient)


def _written(place: Any, result: Any) -> Any:
    """What an operation in place returns once its result is written over a tensor; nothing, if over several."""
    if not isinstance(place, list | tuple):
        return place.copy_(result)
    for one, value in zip(place, result, strict=True):
        one.copy_(value)
    return None


@cache
def _out_of_place(func: Any) -> Any:
    """The functional form of an operation that writes to its first argument; None if it is one already."""
    if not func._schema.name.endswith("_"):
        return None
    packet = getattr(torch.ops.aten, name_of(func), None)
    forms = [getattr(packet, overload) for overload in packet.overloads()] if packet else []
    wanted = [str(argument.type) for argument in func._schema.arguments]
    return next((form for form in forms if [str(a.type) for a in form._schema.arguments] == wanted), None)


def _counts(count: Callable[..., Any], out: Any, args: tuple[Any, ...]) -> tuple[int, ...]:
    """Of the terms of each of an operation's results."""
    counted = count(out, *args)
    return counted if isinstance(counted, tuple) else (counted,)


def _map(out: Any, disturb: Callable[..., Tensor], *others: Any) -> Any:
    """Apply `disturb` to each floating tensor among an operation's results."""
    if isinstance(out, tuple | list):
        return tuple(_map(first, disturb, *rest) for first, *rest in zip(out, *others, strict=True))
    return disturb(out, *others) if _rounds(out) else out


def _first_row(value: Tensor) -> Tensor:
    return value[(0,) * max(0, value.ndim - 1)] if value.numel() else value


def _rounds(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _squarable(argument: Any) -> bool:
    """Whether products of squares neither overflow nor vanish; if they would, absolute values serve instead."""
    if not _rounds(argument) or argument.numel() == 0:
        return True
    low, high = torch.aminmax(argument.abs() if argument.is_complex() else argument)
    largest = float(torch.maximum(high, -low))
    return largest == 0 or 1e-70 < largest < 1e70


def _size(argument: Any, squared: bool) -> Any:
    if not isinstance(argument, Tensor) or not argument.is_floating_point():
        return argument
    return argument * argument if squared else argument.abs()
