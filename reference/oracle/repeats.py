"""How often the terms of a sum repeat: roundings of equal numbers are equal, and do not average out.

Gradients of counts, of labels, of ones, of sparse data and of inputs that are nearly all alike have few different
terms. n equal terms that are added one after another are each rounded to the same side while the sum stays in one
octave, and so err by n roundings instead of sqrt(n): where all terms differ K independent roundings are due, and
where groups of n_1, n_2, ... are equal as many as n_1^2 + n_2^2 + ... . An operand that was rounded when it was stored
takes that one rounding into every term in which it stands: those err by the square root of the sum of S_g^2, S_g the
sum of the terms of one group, instead of that of the terms' own squares.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scratchproof.vjp import Precision

FEW = 16  # terms: in so short a sum it makes no difference
FIBRES, TERMS = 32, 4096  # so many sums, and so many terms of each, are looked at
NOTED = 1.5  # what is repeated less often counts as not repeated
MIXED = (0x9E3779B97F4A7C15 - 2**64, 0xC2B2AE3D27D4EB4F - 2**64)  # odd numbers, to make one key of two


@dataclass(frozen=True, slots=True)
class Repetition:
    """How many times as many independent roundings equal terms count for.

    added: those of the partial sums, in the worst of several. stored: those of the operands, when they were stored.
    """

    added: float = 1.0
    stored: float = 1.0


NONE = Repetition()


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


def repetition(name: str, args: tuple[Any, ...], precision: Precision) -> Repetition:
    """How the terms of a sum, or of inner products, share values that rounding to the format cannot tell apart.

    A product repeats where both operands do.
    """
    if name not in TERMS_OF or not args[0].ndim:
        return NONE
    operands = TERMS_OF[name](*args)
    if operands[0].shape[-1:] < (FEW,) or not all(x.numel() and x.is_floating_point() for x in operands):
        return NONE
    count = operands[0].shape[-1]
    sampled = [x[:, :: -(-count // TERMS)] for x in _fibres(operands)]
    cells = [_cells(x, precision.unit) for x in sampled]
    repeating = [_repeat(cell) for cell in cells]
    if not any(repeating):
        return NONE
    terms = sampled[0] if len(sampled) == 1 else sampled[0] * sampled[1]
    added = _of_partial_sums(cells, terms, precision.unit) if all(repeating) else 1.0
    stored = max(
        _of_operand(operand, of_one, terms, precision) if repeats else 1.0
        for operand, of_one, repeats in zip(sampled, cells, repeating, strict=True)
    )
    further = count / terms.shape[1]
    return Repetition(*(seen * further if seen > NOTED else 1.0 for seen in (added, stored)))


def _fibres(operands: tuple[Tensor, ...]) -> list[Tensor]:
    """What is summed along the last axis, in a few sums: of products the rows of both operands that meet."""
    rows = [x.reshape(1, 1, -1) if x.ndim == 1 else x.reshape(-1, *x.shape[-2:]) for x in operands]
    longest, batches = (max(x.shape[i] for x in rows) for i in (1, 0))
    chosen = torch.arange(0, batches * longest, -(-batches * longest // FIBRES), device=operands[0].device)
    return [x[chosen // longest % len(x), chosen % longest % x.shape[1]] for x in rows]


def _cells(x: Tensor, unit: float) -> Tensor:
    """Which of the places of a sum's largest term each term falls into."""
    largest = x.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return (x / (2 * unit * largest)).round().to(torch.int64)


def _repeat(cells: Tensor) -> bool:
    """Whether so many terms are equal that they may count for NOTED times as many."""
    equal = int((cells.sort(-1).values.diff() == 0).sum(-1).max())
    return (equal + 1) ** 2 > (NOTED - 1) * cells.shape[-1]


def _of_partial_sums(cells: list[Tensor], terms: Tensor, unit: float) -> float:
    """The sum of n^2 over its K; a term below the last place of the largest counts as that part of one.

    A product is the same if its operands are, or if both have the other sign.
    """
    keys = cells[0]
    if len(cells) > 1:
        keys = (cells[0].abs() * MIXED[0] + cells[1].abs() * MIXED[1]) * terms.sign().to(torch.int64)
    largest = terms.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(terms.dtype).tiny)
    weights = (terms.abs() / (2 * unit * largest)).clamp_max(1.0)
    return max(1.0, float(_squares(keys, weights).max()) / terms.shape[1])


def _of_operand(operand: Tensor, cells: Tensor, terms: Tensor, precision: Precision) -> float:
    """The sum of S_g^2 over that of the terms' squares, on the average; 1 where the format holds the operand."""
    exact = precision.dtype != terms.dtype and bool((operand.to(precision.dtype) == operand).all())
    own = terms.square().sum(-1)
    ratios = (_squares(cells, terms) / own)[own > 0]
    return max(1.0, float(ratios.mean())) if len(ratios) and not exact else 1.0


def _squares(keys: Tensor, weights: Tensor) -> Tensor:
    """For each row, the squares of the sums of what has one key, summed."""
    ordered, order = keys.sort(-1)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered.diff() != 0
    groups = new.flatten().cumsum(0) - 1
    sums = weights.new_zeros(int(groups[-1]) + 1).index_add_(0, groups, weights.gather(-1, order).flatten())
    rows = new.flatten().nonzero()[:, 0] // keys.shape[1]
    return weights.new_zeros(len(keys)).index_add_(0, rows, sums.square())
