"""A compiled model: it runs as one call, so its calls are seen in the uncompiled copy, and the rest in itself.

What is seen of the compiled one: its outputs, the gradients of its inputs and of every parameter, and its buffers. What
its calls make on the way, a compiler keeps to itself or never makes.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from scratchproof.errors import InputError
from scratchproof.tracing.sides import Run, Side

UNSEEN = (
    "compiled: what its calls make cannot be seen: forced tells of the same model uncompiled, free of the compiled "
    "one's outputs, gradients of inputs and parameters, and buffers"
)


def uncompiled(model: nn.Module) -> nn.Module:
    """The model that was compiled, or the model itself. Raises: InputError for one that was compiled in place."""
    if getattr(model, "_compiled_call_impl", None) is not None:
        raise InputError("a model compiled in place does not tell how: give torch.compile(model)")
    inner: nn.Module = getattr(model, "_orig_mod", model)
    return inner


def is_compiled(model: nn.Module) -> bool:
    return hasattr(model, "_orig_mod")


def run_compiled(model: Any, side: Side, eager: Run, inputs: Any, total: Any) -> Run:
    """The side's model once more, compiled as `model` is: the calls of the eager run, its own values.

    Raises: InputError where dropout draws: a compiled model draws masks of its own.
    """
    if side.draws(inputs):
        raise InputError("a compiled model draws its own dropout: let its p be 0, or put it in eval mode")
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):  # else torch runs it uncompiled, in silence
        seen = side.run_as_one(type(model)(side.model, model.dynamo_ctx), inputs, total)
    return replace(eager, values=seen.values, shapes=seen.shapes, same=seen.same)
