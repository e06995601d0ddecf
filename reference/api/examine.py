"""`examine`: one function, in any framework and precision, against a torch expression."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from scratchproof.api.inputs import Given, device_of
from scratchproof.api.modes import MODES
from scratchproof.api.report import Report
from scratchproof.api.rows import row
from scratchproof.errors import InputError
from scratchproof.exam import checks
from scratchproof.exam.compare import Report as Sitting
from scratchproof.exam.exam import EFFORTS
from scratchproof.extras import needed
from scratchproof.progress import progress
from scratchproof.second.opinion import Second
from scratchproof.signature import parameters_of
from scratchproof.subjects.callables import CallableSubject, framework_of
from scratchproof.table.layers import Layer
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
    stored: str = "all",
    modes: Sequence[str] = (),
    framework: str = "",
    oracle: Callable[..., Any] | None = None,
    device: str = "",
    effort: str = "normal",
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
    modes: what is examined beside the gradients, of a torch or JAX callable: "forward" (jvp), "second" (the gradients
        as a function of its own).
    framework: "torch", "jax" or "numpy" where calling the subject should not find it out.
    oracle: the same in JAX, called as the subject is: asked beside `truth`, and where the two disagree the report says
        who is out.
    effort: "quick" for random inputs without corner cases, "thorough" for more of everything.
    device: where a torch subject's tensors are: that of the inputs unless said.
    data, batched, constant, kink, slips, corners, stored: see `row`.
    Raises: InputError for arguments that make no sense.

    >>> import torch
    >>> def gelu(x):  # the tanh form
    ...     return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    >>> examine(gelu, truth=torch.nn.functional.gelu, inputs={"x": (6, 7)}).passed
    False
    """
    _known(precisions, PRECISIONS, "precision")
    _known(modes, MODES, "mode")
    _known([effort], EFFORTS, "effort")
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
        stored=stored,
        parameters=own or None,
    )
    assert layer.signature is not None
    place = device or device_of(inputs)
    framework = framework or framework_of(subject, layer.signature, layer.cases[0], place)
    if framework == "jax":
        needed("jax")
    examined = CallableSubject(
        name=layer.name,
        subject=subject,
        signature=layer.signature,
        device=place,
        framework=framework,
        precisions=tuple(precisions),
    )
    asked = [(examined, layer)]
    for mode in (MODES[name] for name in modes):
        asked.append((mode.subject(examined, layer, mode_row := mode.row(layer)), mode_row))
    second = None if oracle is None else Second(rows={layer.name: oracle})
    return Report(subject=layer.name, seed=seed, sittings=tuple(_sittings(asked, precisions, effort, seed, second)))


def _sittings(
    asked: Sequence[tuple[CallableSubject, Layer]],
    precisions: Sequence[str],
    effort: str,
    seed: int,
    second: Second | None,
) -> Iterator[Sitting]:
    with progress(f"examining {asked[0][1].name}") as advance:
        for done, ((examined, layer), precision) in enumerate(product(asked, precisions)):
            advance(done, len(asked) * len(precisions))
            sitting = checks.examine(examined, layer, precision, effort=effort, seed=seed)
            if second and done == 0:
                sitting = second.heard(sitting, examined, layer, effort=effort, seed=seed)
            yield sitting


def _known(named: Sequence[str], all_of_them: Mapping[str, Any], what: str) -> None:
    if unknown := [name for name in named if name not in all_of_them]:
        raise InputError(f"{unknown[0]!r} is no {what}: choose from {', '.join(all_of_them)}")


def _called(subject: Any) -> str:
    """What messages call the subject: its own name, or its class's."""
    if isinstance(subject, tuple):
        subject = subject[0]
    own = getattr(subject, "__name__", None) or type(subject).__name__
    return "function" if own == "<lambda>" else str(own).removesuffix("_forward")
