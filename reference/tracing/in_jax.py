"""A torch model whose modules, or some of them, are computed by JAX functions: to be traced beside the model itself.

    pairs = [
        ("conv1", conv, {"w": HWIO("weight"), "b": "bias"}),
        ("fc", dense, {"kernel": IN_OUT("weight"), "bias": "bias"}),
        ("", net, {"conv1": {"w": HWIO("conv1.weight"), ...}, ...}),
    ]
    trace(in_jax(model, pairs, layout=NHWC), model, inputs=images)

A pair is the path of a module, a function `f(params, *inputs)` (of Flax: `lambda p, x: block.apply({"params": p}, x)`),
and its parameters: a nested dictionary that names torch's, each in the layout that JAX has it in. Where one pair's
module lies inside another's, as all do inside "", which is the whole net, the outer function runs, and the inner one
is judged by itself on the truth's values.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.errors import InputError
from scratchproof.extras import needed

Pair = tuple[str, Callable[..., Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Laid:
    """A parameter by its torch name, brought to `shape` first where that is given, and then its axes to this order."""

    name: str
    axes: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    merged: int = 0  # so many axes, of those in their new order, become one

    def to_jax(self, tensor: Tensor) -> Tensor:
        if self.shape:
            tensor = tensor.reshape(self.shape)
        if self.axes:
            tensor = tensor.permute(self.axes)
        return tensor.flatten(0, self.merged - 1) if self.merged else tensor


@dataclass(frozen=True, slots=True)
class Layout:
    """An order of axes, as JAX has them, by their places in torch's."""

    axes: tuple[int, ...]

    def __call__(self, name: str) -> Laid:
        return Laid(name, self.axes)

    def to_jax(self, tensor: Tensor) -> Tensor:
        return tensor.permute(self.axes) if tensor.ndim == len(self.axes) else tensor

    def to_torch(self, tensor: Tensor) -> Tensor:
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return tensor.permute(back) if tensor.ndim == len(self.axes) else tensor


NCHW = Layout((0, 1, 2, 3))
NHWC = Layout((0, 2, 3, 1))
HWIO = Layout((2, 3, 1, 0))
IN_OUT = Layout((1, 0))


def flattened(name: str, channels: int, height: int, width: int) -> Laid:
    """The weight (M, C * H * W) of torch's layer behind a flattened image, as JAX has it: (H * W * C, M)."""
    return Laid(name, axes=(2, 3, 1, 0), shape=(-1, channels, height, width), merged=3)


def in_jax(model: nn.Module, pairs: Sequence[Pair], *, layout: Layout = NCHW) -> nn.Module:
    """A copy of the model in which JAX computes the module of every pair. layout: of its inputs and outputs of 4 axes.

    A function returns its output, or that and a dictionary of what becomes of the module's buffers, by torch's names.
    Raises: InputError for a module or parameter that the model has not, or where JAX is not installed.
    """
    needed("jax")
    made = copy.deepcopy(model)
    for path, function, params in pairs:
        try:
            module = made.get_submodule(path)
        except AttributeError:
            raise InputError(f"the model has no module {path!r}, for which there is a JAX function") from None
        block = _Block(function, params, layout)
        for laid in block.named():
            _tensor(module, laid.name, path)
        kind = type(module)
        module.__class__ = type(f"{kind.__name__}InJax", (kind,), {"forward": _forward, "in_jax": block})
    return made


def is_in_jax(module: nn.Module) -> bool:
    return hasattr(type(module), "in_jax")


def _forward(self: Any, *inputs: Tensor) -> Any:
    block: _Block = type(self).in_jax
    given = [_tensor(self, laid.name, "") for laid in block.named()]
    with torch._C.DisableTorchFunction():  # what is done here is no call of the model
        *outs, updates = _Call.apply(block, len(inputs), *inputs, *given)
        for name, value in updates.items():
            _tensor(self, name, "").data.copy_(value)
    return outs[0] if len(outs) == 1 else tuple(outs)


class _Block:
    """A JAX function, what its parameters are called, and how arrays of four axes lie."""

    def __init__(self, function: Callable[..., Any], params: Mapping[str, Any], layout: Layout) -> None:
        self.function, self.params, self.layout = function, params, layout

    def __deepcopy__(self, memo: Any) -> "_Block":
        return self

    def named(self) -> list[Laid]:
        return _leaves(self.params)

    def filled(self, values: Sequence[Any]) -> Any:
        """The nested dictionary with arrays in place of names."""
        following = iter(values)

        def fill(node: Any) -> Any:
            return {k: fill(v) for k, v in node.items()} if isinstance(node, Mapping) else next(following)

        return fill(self.params)


class _Call(torch.autograd.Function):
    """A JAX function as a function of torch tensors."""

    @staticmethod
    def forward(ctx: Any, block: _Block, count: int, *tensors: Tensor) -> Any:
        jax = needed("jax")
        ctx.wide = any(t.dtype == torch.float64 for t in tensors)
        laid = block.named()

        def computed(*values: Any) -> Any:
            out = block.function(block.filled(values[count:]), *values[:count])
            updated = isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], dict)
            out, updates = out if updated else (out, {})
            return (out if isinstance(out, tuple) else (out,)), updates

        with jax.enable_x64(ctx.wide):
            given = [_to_jax(jax, block.layout.to_jax(t)) for t in tensors[:count]]
            given += [_to_jax(jax, one.to_jax(t)) for one, t in zip(laid, tensors[count:], strict=True)]
            outs, ctx.pull, updates = jax.vjp(computed, *given, has_aux=True)
        ctx.laid, ctx.count, ctx.layout = laid, count, block.layout
        ctx.shapes = [t.shape for t in tensors]
        back = tuple(block.layout.to_torch(_to_torch(out)).to(tensors[0].dtype).contiguous() for out in outs)
        return (*back, {name: _to_torch(value) for name, value in updates.items()})

    @staticmethod
    def backward(ctx: Any, *douts: Any) -> Any:
        jax = needed("jax")
        with torch._C.DisableTorchFunction(), jax.enable_x64(ctx.wide):
            grads = [_to_torch(g) for g in ctx.pull(tuple(_to_jax(jax, ctx.layout.to_jax(d)) for d in douts[:-1]))]
        with torch.enable_grad():  # the transpose of a change of layout, by autograd
            back = [ctx.layout.to_torch(g) for g in grads[: ctx.count]]
            back += [
                _unlaid(one, g, s)
                for one, g, s in zip(ctx.laid, grads[ctx.count :], ctx.shapes[ctx.count :], strict=True)
            ]
        return (None, None, *back)


def _unlaid(laid: Laid, grad: Tensor, shape: torch.Size) -> Tensor:
    """A gradient in torch's layout: a change of layout moves elements, and this moves them back."""
    places = laid.to_jax(torch.arange(shape.numel()).reshape(shape)).reshape(-1)
    back = torch.empty(shape.numel(), dtype=grad.dtype)
    back[places] = grad.reshape(-1)
    return back.reshape(shape)


def _leaves(params: Mapping[str, Any]) -> list[Laid]:
    found: list[Laid] = []
    for value in params.values():
        if isinstance(value, Mapping):
            found += _leaves(value)
        else:
            found.append(Laid(value) if isinstance(value, str) else value)
    return found


def _tensor(module: nn.Module, name: str, path: str) -> Tensor:
    """A parameter or buffer by its dotted name. Raises: InputError."""
    owner, _, last = name.rpartition(".")
    try:
        found = getattr(module.get_submodule(owner), last)
    except AttributeError:
        found = None
    if not isinstance(found, Tensor):
        raise InputError(f"the module {path!r} has no parameter {name!r}, which its JAX function is to get")
    return found


def _to_jax(jax: Any, tensor: Tensor) -> Any:
    # NumPy has no bfloat16 of its own: by way of float32, which holds it.
    array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()
    return jax.numpy.asarray(array, dtype=str(tensor.dtype).removeprefix("torch."))


def _to_torch(value: Any) -> Tensor:
    short = str(value.dtype) == "bfloat16"
    tensor = torch.from_numpy(np.array(value.astype("float32") if short else value))
    return tensor.bfloat16() if short else tensor
