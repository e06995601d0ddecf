"""`examine`: one function, in any framework and precision, against a torch expression."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scratchproof.api.inputs import Given, device_of
from scratchproof.api.report import Report
from scratchproof.api.rows import row
from scratchproof.errors import InputError
from scratchproof.exam import checks
from scratchproof.extras import needed
from scratchproof.progress import progress
from scratchproof.signature import parameters_of
from scratchproof.subjects.callables import CallableSubject, framework_of
from scratchproof.vjp import PRECISIONS


def examine(
    subject: Any,
    *,
    truth: Any,
    inputs: Given | Sequence[Given],
    precisions: Sequence[str] = ("float64", "float32"),
    name: str = "",
    data: str = "",
    batched: Sequence[str] = (),
    constant: Sequence[str] = (),
    kink: str = "",
    slips: Mapping[str, Callable[..., Any]] | None = None,
    corners: Sequence[str] | None = None,
    framework: str = "",
    device: str = "",
    seed: int = 0,
) -> Report:
    """Put a function, its output and every gradient, to the exam.

    subject: a torch callable, compiled or not, an `nn.Module` (its parameters are found and examined by name), the
        `apply` of an `autograd.Function`, a JAX callable, a pair (forward, backward) of NumPy, numba or C functions
        with forward(*inputs) -> (out, cache) and backward(dout, cache) -> gradients, or one function
        (*inputs) -> (out, pullback).
    truth: the torch callable or module that it should equal, run in float64; or a tuple of equivalent ones.
        It takes the subject's arguments by position, and after them a module's parameters.
    inputs: a dictionary from each argument, in order, to a shape (drawn from the normal distribution), an array, a
        sampler `rng -> array`, or a nest of these; or a sampler of such a dictionary; or a list, of several cases.
        Floating inputs are differentiated, whole numbers and truth values handed over as they are.
    precisions: of float64, float32, tf32, float16, bfloat16: floating inputs are rounded to each.
    framework: "torch", "jax" or "numpy" where calling the subject should not find it out.
    device: where a torch subject's tensors are: that of the inputs unless said.
    data, batched, constant, kink, slips, corners: see `row`.
    Raises: InputError for arguments that make no sense.

    >>> import torch
    >>> def gelu(x):  # the tanh form
    ...     return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    >>> examine(gelu, truth=torch.nn.functional.gelu, inputs={"x": (6, 7)}).passed
    False
    """
    _known(precisions)
    own = parameters_of(subject)
    layer = row(
        name or _called(subject),
        truth=truth,
        inputs=inputs,
        data=data,
        batched=batched,
        constant=constant,
        kink=kink,
        slips=slips,
        corners=corners,
        parameters=own or None,
    )
    assert layer.signature is not None
    place = device or device_of(inputs)
    framework = framework or framework_of(subject, layer.signature, layer.cases[0], place)
    if framework == "jax":
        needed("jax", "jax")
    examined = CallableSubject(
        name=layer.name,
        subject=subject,
        signature=layer.signature,
        framework=framework,
        device=place,
        precisions=tuple(precisions),
    )
    sittings = []
    with progress(f"examining {layer.name}") as advance:
        for done, precision in enumerate(precisions):
            advance(done, len(precisions))
            sittings.append(checks.examine(examined, layer, precision, seed=seed))
    return Report(subject=layer.name, seed=seed, sittings=tuple(sittings))


def _known(precisions: Sequence[str]) -> None:
    if unknown := [p for p in precisions if p not in PRECISIONS]:
        raise InputError(f"{unknown[0]!r} is no precision: choose from {', '.join(PRECISIONS)}")


def _called(subject: Any) -> str:
    """What messages call the subject: its own name, or its class's."""
    if isinstance(subject, tuple):
        subject = subject[0]
    own = getattr(subject, "__name__", None) or type(subject).__name__
    return "function" if own == "<lambda>" else str(own).removesuffix("_forward")
