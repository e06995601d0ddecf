"""How often the terms of a sum repeat: roundings of equal numbers are equal, and do not average out.

Gradients of counts, of labels, of ones and of inputs that are nearly all alike have few different terms.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

FEW = 16  # terms: in so short a sum it makes no difference
FIBRES, TERMS = 32, 4096  # so many sums, and so many terms of each, are looked at
NOTED = 1.5  # what is repeated less often counts as not repeated


def _of_sum(x: Tensor, dims: Any = None, *_: Any) -> tuple[Tensor, ...]:
    chosen = [d % x.ndim for d in (dims if isinstance(dims, list | tuple) and dims else range(x.ndim))]
    return (x.movedim(chosen, tuple(range(-len(chosen), 0))).flatten(-len(chosen)),)


def _of_product(a: Tensor, b: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return a, b.transpose(-1, -2) if b.ndim > 1 else b


def _of_additions(x: Tensor, dim: int, index: Tensor, terms: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return (terms.movedim(dim, -1),)


TERMS_OF: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "sum": _of_sum,
    "index_add": _of_additions,
    **dict.fromkeys(("mm", "bmm", "mv", "dot"), _of_product),
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), lambda bias, a, b, *_: _of_product(a, b)),
}


def repetition(name: str, args: tuple[Any, ...], unit: float) -> float:
    """How many terms of a sum, or of an inner product, share a value that rounding cannot tell apart; at least 1.

    unit: of the format. A product repeats where both operands do. Zeros are no terms.
    """
    if name not in TERMS_OF or not args[0].ndim:
        return 1.0
    operands = TERMS_OF[name](*args)
    if operands[0].shape[-1:] < (FEW,) or not all(x.numel() and x.is_floating_point() for x in operands):
        return 1.0
    return min(_repeated(x, unit) for x in operands)


def _repeated(x: Tensor, unit: float) -> float:
    """Along the last axis, on the average of a few sums."""
    count = x.shape[-1]
    fibres = x.reshape(-1, count)
    fibres = fibres[:: -(-len(fibres) // FIBRES), :: -(-count // TERMS)]
    values = torch.sort((fibres / (2 * unit * fibres.abs().amax().clamp_min(torch.finfo(x.dtype).tiny))).round()).values
    new = torch.ones_like(values, dtype=torch.bool)
    new[:, 1:] = values.diff() != 0
    terms, different = (values != 0).sum(), (new & (values != 0)).sum()
    seen = float(terms) / max(1.0, float(different))
    return seen * count / fibres.shape[1] if seen > NOTED else 1.0
