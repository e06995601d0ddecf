"""How slips are made: right forward and wrong backward, wrong forward and right backward."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from scratchproof.vjp import Expression

Slips = Mapping[str, Expression]
Wrong = Callable[..., Tensor]
"""A gradient as somebody writes it, from dout, the inputs by position and the options by keyword."""


def instead(expression: Expression, wrong: Mapping[int, Wrong]) -> Expression:
    """The expression, whose gradients of the inputs at some positions are those that `wrong` gives."""

    def mistaken(*inputs: Tensor, **options: Any) -> Tensor:
        fixed = [value.detach() if at in wrong else value for at, value in enumerate(inputs)]
        out: Tensor = expression(*fixed, **options)

        def back(dout: Tensor) -> list[Tensor]:
            with torch.no_grad():
                return [gradient(dout, *(value.detach() for value in inputs), **options) for gradient in wrong.values()]

        found: Tensor = _Instead.apply(back, out, *(inputs[at] for at in wrong))
        return found

    return mistaken


def forward_only(forward: Expression, expression: Expression) -> Expression:
    """The value of `forward` with the gradients of `expression`: a slip in the one, and the other as it should be."""

    def mistaken(*inputs: Tensor, **options: Any) -> Tensor:
        with torch.no_grad():
            value: Tensor = forward(*inputs, **options)
        found: Tensor = _Value.apply(value, expression(*inputs, **options))
        return found

    return mistaken


def backward_only(expression: Expression, backward: Expression) -> Expression:
    """The value of `expression` with the gradients of `backward`."""
    return forward_only(expression, backward)


class _Value(torch.autograd.Function):
    """The first tensor, whose gradient goes to the second."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, other: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, grads[0]


class _Instead(torch.autograd.Function):
    """The first tensor as it is, to which the others' gradients come from elsewhere."""

    @staticmethod
    def forward(ctx: Any, back: Callable[[Tensor], list[Tensor]], out: Tensor, *others: Tensor) -> Tensor:
        ctx.back = back
        return out.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (dout,) = grads
        return (None, dout, *ctx.back(dout))
