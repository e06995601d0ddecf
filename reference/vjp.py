"""The contract that everything in the exam meets: `f(**inputs) -> (out, pullback)`.

`out` is an array, or a dictionary of arrays where there are several outputs; `pullback(dout)` takes a cotangent of
the same form, for the floating outputs, and returns one gradient for each differentiated input, by name. Layers,
losses and whole nets differ only in how they are brought to this shape. torch is brought to it here; a stranger's
module in `subjects`. Within the exam everything is by name (see `by_name`): a lone output is called "out".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scratchproof import trees

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = dict[str, Array]
Gradients: TypeAlias = dict[str, Array]
Outputs: TypeAlias = dict[str, Array]
Pullback: TypeAlias = Callable[[Any], Gradients]
Function: TypeAlias = Callable[..., tuple[Any, Pullback]]
Expression: TypeAlias = Callable[..., Any]

ONLY = "out"
"""What a lone output is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A floating-point format and how its products are summed.

    `unit` is the unit roundoff of a stored value, `accumulate` that of a running sum, `operand` that to which a
    product's operands are rounded first (0 unless TF32), `tiny` the smallest normal number.
    """

    name: str
    dtype: torch.dtype
    unit: float
    accumulate: float
    operand: float = 0.0
    tf32: bool = False

    @property
    def tiny(self) -> float:
        return float(torch.finfo(self.dtype).tiny)

    @property
    def largest(self) -> float:
        return float(torch.finfo(self.dtype).max)

    @property
    def array_dtype(self) -> np.dtype[Any]:
        """The NumPy dtype that holds its values without loss (float32 for bfloat16, which NumPy lacks)."""
        name = "float32" if self.dtype == torch.bfloat16 else str(self.dtype).removeprefix("torch.")
        return np.dtype(name)

    def rounded(self, inputs: Mapping[str, Array]) -> Inputs:
        """The inputs with every floating array rounded to this precision and held as float64."""
        return {name: self._round(value) for name, value in inputs.items()}

    def _round(self, value: Array) -> Array:
        if value.dtype.kind != "f":
            return value
        tensor = torch.from_numpy(np.array(value, dtype=np.float64))
        return tensor.to(self.dtype).to(torch.float64).numpy()


PRECISIONS = {
    p.name: p
    for p in (
        Precision(name="float64", dtype=torch.float64, unit=2.0**-53, accumulate=2.0**-53),
        Precision(name="float32", dtype=torch.float32, unit=2.0**-24, accumulate=2.0**-24),
        Precision(
            name="tf32",
            dtype=torch.float32,
            unit=2.0**-24,
            accumulate=2.0**-24,
            operand=2.0**-11,
            tf32=True,
        ),
        Precision(name="float16", dtype=torch.float16, unit=2.0**-11, accumulate=2.0**-24),
        Precision(name="bfloat16", dtype=torch.bfloat16, unit=2.0**-8, accumulate=2.0**-24),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a function gave for one set of inputs: its outputs, and its gradients for each cotangent asked for."""

    outs: Outputs
    grads: tuple[Gradients, ...]

    @property
    def out(self) -> Array:
        """The output of a function that has one."""
        (out,) = self.outs.values()
        return out


def floating(inputs: Mapping[str, Array], constant: Sequence[str] = ()) -> list[str]:
    """The names of the inputs that are differentiated: the floating ones that are not declared constant."""
    return [name for name, value in inputs.items() if value.dtype.kind == "f" and name not in constant]


def named(out: Any) -> Outputs:
    """Outputs or cotangents by name, in the order given."""
    return dict(out) if isinstance(out, Mapping) else {ONLY: out}


def by_path(out: Any) -> dict[str, Any]:
    """What a function returned, by name: keys or fields as they are, the members of a tuple as `out.0`, `out.1`."""
    return trees.flat(out, "" if isinstance(out, Mapping) or hasattr(out, "_fields") else ONLY)


@dataclass(frozen=True, slots=True)
class NamedPullback:
    """A pullback that takes its cotangents by name. cache: what the pass forward left behind, if it can be seen."""

    pullback: Pullback
    lone: bool

    @property
    def cache(self) -> Any:
        return getattr(self.pullback, "cache", None)

    def __call__(self, dout: Any) -> Gradients:
        return self.pullback(named(dout)[ONLY] if self.lone else dout)


def by_name(function: Function) -> Callable[..., tuple[Outputs, NamedPullback]]:
    """A function of the contract whose outputs and cotangents are dictionaries, even where there is only one."""

    def renamed(**inputs: Array) -> tuple[Outputs, NamedPullback]:
        out, pullback = function(**inputs)
        return named(out), NamedPullback(pullback, not isinstance(out, Mapping))

    return renamed


def answer(function: Function, inputs: Inputs, cotangents: Sequence[Any] = ()) -> Answer:
    """Call a function of the contract once and pull every cotangent back."""
    outs, pullback = by_name(function)(**inputs)
    return Answer(outs=outs, grads=tuple(pullback(dout) for dout in cotangents))


def from_torch(
    expression: Expression,
    precision: Precision = PRECISIONS["float64"],
    *,
    device: str = "cpu",
    constant: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Function:
    """Bring a torch expression to the contract: autograd pulls the cotangent back.

    Floating arrays are cast to the precision and moved to the device on the way in; results come back as
    NumPy arrays of the precision (bfloat16 as float32). A tuple or dictionary of tensors comes back by name.
    Raises: ValueError for complex results.
    """

    def function(**inputs: Array) -> tuple[Any, Pullback]:
        names = floating(inputs, constant)
        tensors = {name: _tensor(value, precision, device) for name, value in inputs.items()}
        wanted = [tensors[name].requires_grad_() for name in names]
        with arithmetic(tf32=precision.tf32), same_draws(device):
            out = expression(*tensors.values(), **(options or {}))
        outs = {name: _real(value, name) for name, value in by_path(out).items()}

        def pullback(dout: Any) -> Gradients:
            douts = {name: _tensor(value, precision, device) for name, value in named(dout).items()}
            with arithmetic(tf32=precision.tf32):
                grads = pulled_back(outs, douts, wanted)
            return {name: _array(grad) for name, grad in zip(names, grads, strict=True)}

        arrays = {name: _array(value) for name, value in outs.items()}
        return (arrays[ONLY] if list(arrays) == [ONLY] else arrays), pullback

    return function


def pulled_back(
    outs: Mapping[str, Tensor], douts: Mapping[str, Tensor], wanted: Sequence[Tensor], *, again: bool = False
) -> Sequence[Tensor]:
    """The gradients with respect to `wanted` of <outs, douts>; zeros for whatever that does not depend on.

    again: whether they will be differentiated in turn.
    """
    start = _Start.apply(*(outs[name] for name in douts), *douts.values())
    if not start.requires_grad or not wanted:
        return [torch.zeros_like(tensor) for tensor in wanted]
    return torch.autograd.grad(start, wanted, retain_graph=True, create_graph=again, materialize_grads=True)


def _real(value: Any, name: str) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.as_tensor(value)
    if tensor.is_complex():
        raise ValueError(f"{name} is {tensor.dtype}, but should be real: return torch.view_as_real of it")
    return tensor


@contextmanager
def same_draws(device: str = "cpu") -> Iterator[None]:
    """Whatever draws random numbers draws the same ones each time, and the caller's generators are left alone."""
    with torch.random.fork_rng([device] if device.startswith("cuda") else []):
        torch.default_generator.manual_seed(0)
        if device.startswith("cuda"):
            torch.cuda.manual_seed(0)
        yield


class arithmetic:
    """Fix how a GPU multiplies, and put it back: `with arithmetic(tf32=False): ...`.

    Products sum in float32 even where operands are half precision; TF32 is on only if asked for (cuDNN has it on
    by default); cuDNN takes deterministic algorithms.
    """

    def __init__(self, *, tf32: bool) -> None:
        self.tf32 = tf32

    def __enter__(self) -> None:
        self.flags = self._flags() if _gpu() else ()  # nothing else obeys them, and they take their time
        self.before = [getattr(place, name) for place, name, _ in self.flags]
        for place, name, value in self.flags:
            setattr(place, name, value)

    def __exit__(self, *_: object) -> None:
        for (place, name, _value), before in zip(self.flags, self.before, strict=True):
            setattr(place, name, before)

    def _flags(self) -> tuple[tuple[Any, str, bool], ...]:
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        return (
            (matmul, "allow_tf32", self.tf32),
            (matmul, "allow_fp16_reduced_precision_reduction", False),
            (matmul, "allow_bf16_reduced_precision_reduction", False),
            (cudnn, "allow_tf32", self.tf32),
            (cudnn, "deterministic", True),
        )


@cache
def _gpu() -> bool:
    return torch.cuda.is_available()


class _Start(torch.autograd.Function):
    """A scalar whose gradient with respect to each `out` is its `dout`: where a backward pass starts.

    `torch.autograd.grad(out, ..., dout)` does the same, after importing a computer algebra system.
    """

    @staticmethod
    def forward(ctx: Any, *outs_and_douts: Tensor) -> Tensor:
        half = len(outs_and_douts) // 2
        outs, douts = outs_and_douts[:half], outs_and_douts[half:]
        for out, dout in zip(outs, douts, strict=True):
            if dout.shape != out.shape:
                raise ValueError(f"dout has shape {tuple(dout.shape)} but the output has {tuple(out.shape)}")
        ctx.save_for_backward(*douts)
        return outs[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, ...]:
        douts = ctx.saved_tensors
        return (*douts, *(None for _ in douts))


def _tensor(value: Array, precision: Precision, device: str) -> Tensor:
    # A private copy: torch shares memory with arrays and complains about read-only ones.
    tensor = torch.from_numpy(np.array(value, order="C"))
    if value.dtype.kind == "f":
        tensor = tensor.to(precision.dtype)
    return _laid_out(tensor.to(device), value)


def _laid_out(tensor: Tensor, like: Array) -> Tensor:
    """The tensor with the strides of the array, if that has others than an array in C order and torch can have them."""
    if like.flags.c_contiguous or min(like.strides) < 0:
        return tensor
    strides = [stride // like.itemsize for stride in like.strides]
    return torch.empty_strided(like.shape, strides, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _array(tensor: Tensor) -> Array:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
