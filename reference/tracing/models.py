"""Any torch model, call by call: which layer goes wrong first, and is it wrong, or is it rounding?

The truth is the model's own float64 copy on the CPU, or another implementation with the same parameters. Every call
is judged twice. Teacher-forced, it gets what the truth has there, so that an error shows where it is made;
free-running, it is what it was on the way of the candidate's own values. What is allowed is derived from disturbed
float64 runs of the truth, of each call by itself and of the whole.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from scratchproof.errors import InputError
from scratchproof.tracing.beside import Beside, Loss
from scratchproof.tracing.lines import Trace
from scratchproof.vjp import PRECISIONS


def trace(
    candidate: nn.Module,
    truth: nn.Module | None = None,
    *,
    inputs: Any,
    loss: Loss | None = None,
    precision: str = "float32",
    device: str = "cpu",
    autocast: bool = False,
    pairs: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Trace:
    """Run a torch model beside the truth, call by call, forward and backward, and name the first that goes wrong.

    candidate: any module, in train or eval mode, also compiled. truth: another implementation, which lends the
        candidate its parameters; without one, the candidate's own float64 copy on the CPU.
    inputs: a tensor, a tuple of positional arguments, or a dictionary of keyword arguments.
    loss: of the model's output; without one, every output meets a random signed cotangent.
    precision: of float64, float32, tf32, float16, bfloat16: what the candidate computes in; with `autocast` its
        parameters stay float32. device: where the candidate runs.
    pairs: the truth's module paths by the candidate's, where they differ.
    The models are copied: neither is changed. Of tensors with more than 8,192 elements that many stand for all; what
    is wrong with a call is then looked for in the whole of them.
    Of a compiled model the calls are judged uncompiled; its outputs, the gradients of inputs and parameters, and its
        buffers are its own.
    Raises: InputError for arguments that make no sense, a model compiled in place or one that draws random numbers
        compiled, or where the parameters of the two cannot be told which is which.

    >>> import torch
    >>> from torch import nn
    >>> def net(slope):
    ...     return nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(slope), nn.Linear(5, 2))
    >>> trace(net(0.01), inputs=torch.randn(4, 3), precision="bfloat16").passed
    True
    >>> trace(net(0.02), net(0.01), inputs=torch.randn(4, 3)).culprit
    '1'
    """
    if precision not in PRECISIONS:
        raise InputError(f"{precision!r} is no precision: choose from {', '.join(PRECISIONS)}")
    for model in (candidate, truth):
        if model is not None and not isinstance(model, nn.Module):
            raise InputError(f"a {type(model).__name__} is no torch.nn.Module: only modules can be followed")
    beside = Beside(
        truth=candidate if truth is None else truth,
        inputs=inputs,
        loss=loss,
        precision=PRECISIONS[precision],
        device=device,
        autocast=autocast,
        pairs=pairs or {},
        seed=seed,
    )
    return beside.trace(candidate)
