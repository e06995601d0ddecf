"""Functions of a course that are written in torch: autograd differentiates them, so there is no backward pass.

CS231n's `rnn_layers_pytorch.py` has such: `rnn_forward(x, h0, Wx, Wh, b) -> h`, and losses that are one number.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scratchproof.finding.find import quiet
from scratchproof.subjects.cs231n.adapters import Asked
from scratchproof.subjects.cs231n.answers import form, told
from scratchproof.subjects.protocol import ContractError, Unimplemented
from scratchproof.vjp import Function, from_torch

# Labels of these types are made torch's own; what NumPy code must take is no question to torch.
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64)


def of_tensors(asked: Asked, forward: Callable[..., Any] | None, backward: Callable[..., Any] | None) -> bool:
    """Whether a row's function is one of tensors: it stands where torch is at hand, and has no backward pass."""
    if forward is None or backward is not None or asked.layer.kind not in ("pair", "loss"):
        return False
    seen = getattr(inspect.unwrap(forward), "__globals__", {}).values()
    if not any(isinstance(value, ModuleType) and value.__name__ == "torch" for value in seen):
        return False
    return asked.layer.kind == "pair" or _gives_a_tensor(asked, forward)


def from_tensors(asked: Asked, function: Callable[..., Any]) -> Function:
    """A function of tensors: what torch's autograd makes of it is examined."""
    call, names = asked.calling(function), asked.layer.outputs

    def expression(*tensors: Tensor) -> Any:
        whole: Any = (tensor.long() if tensor.dtype in WHOLE else tensor for tensor in tensors)
        with quiet(), told("forward"):
            found = call(dict(zip(asked.inputs, whole, strict=True)))
        outs = found if isinstance(found, tuple | list) else (found,)
        if any(out is None for out in outs):
            raise Unimplemented("forward returned None")
        if len(outs) != max(1, len(names)) or not all(isinstance(out, Tensor) for out in outs):
            raise ContractError(f"forward returned {form(found)}, but should return {', '.join(names) or 'a tensor'}")
        return dict(zip(names, outs, strict=True)) if names else outs[0]

    return from_torch(expression, asked.precision, constant=asked.layer.constant)


def _gives_a_tensor(asked: Asked, loss: Callable[..., Any]) -> bool:
    """Whether a loss takes tensors and gives one; NumPy's has no function for backward either."""
    sample = asked.case.inputs(np.random.default_rng(0))
    tensors: Any = {name: torch.from_numpy(np.array(value)) for name, value in sample.items()}
    try:
        with quiet():
            return isinstance(asked.calling(loss)(tensors), Tensor)
    except Exception:
        return False
