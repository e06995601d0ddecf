"""A model as it is run beside another: where, in what dtype, with whose parameters; and what a run of it leaves.

Of a large tensor a few thousand elements stand for all: the same ones in every run.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from scratchproof.errors import InputError
from scratchproof.tracing.calls import ROOT, Call, Recorder, copied, floating
from scratchproof.vjp import Array, Precision, arithmetic, same_draws

Values = dict[str, Array]
SAMPLED = 2**13


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a model, forward and backward: its calls, and everything it computed, with its shapes, by name."""

    calls: dict[str, Call]
    values: Values
    shapes: dict[str, tuple[int, ...]]


@dataclass(slots=True, kw_only=True)
class Side:
    """A model, and where, in what dtype and under which arithmetic it runs. seed: of what dropout draws."""

    model: nn.Module
    precision: Precision
    device: str = "cpu"
    dtype: torch.dtype = torch.float64
    autocast: bool = False
    seed: int = 0
    buffers: dict[nn.Module, dict[str, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        self.buffers = {
            module: {name: value.clone() for name, value in module.named_buffers(recurse=False)}
            for module in self.model.modules()
        }

    def context(self) -> Any:
        if self.autocast:
            return torch.autocast(self.device, dtype=self.precision.dtype)
        return nullcontext()

    def restore(self, part: nn.Module) -> None:
        """Buffers as they were before the first run: running statistics must not add up over runs."""
        for module in part.modules():
            for name, value in self.buffers.get(module, {}).items():
                getattr(module, name).data.copy_(value)

    def given(self, value: Any) -> Any:
        """A structure of tensors as this side takes them."""
        return tree_map_only(
            Tensor,
            lambda t: t.to(self.device, self.dtype) if t.is_floating_point() else t.to(self.device),
            value,
        )

    def run(self, inputs: Any, total: Any, *, sampled: bool = False) -> Run:
        """The model forward, and backward from `total` of what it returns.

        sampled: of large tensors only the sample is held, also in between; the calls' own arguments are lost then.
        """
        given = self._started(inputs)
        recorder = Recorder(self.model, seed=self.seed, keep=sample if sampled else copied)
        with same_draws(self.device), arithmetic(tf32=self.precision.tf32), self.context(), recorder.listening():
            start = total(_called(self.model, given))
        torch.autograd.backward(start)
        return self._left({call.path: call for call in recorder.calls}, given)

    def run_as_one(self, compiled: Any, inputs: Any, total: Any) -> Run:
        """What `run` sees if nothing can be seen inside `compiled`, which is the model in another form."""
        given = self._started(inputs)
        with same_draws(self.device), arithmetic(tf32=self.precision.tf32), self.context():
            out = _called(compiled, given)
            start = total(out)
        torch.autograd.backward(start)
        root = Call(path=ROOT, module=ROOT, target=compiled, args=(given,), kwargs={}, leaf=False, draws=0)
        root.outputs = floating(out)
        return self._left({ROOT: root}, given)

    def draws(self, inputs: Any) -> bool:
        """Whether what the model returns hangs on random numbers."""
        outs = []
        for seed in (0, 1):
            self.restore(self.model)
            with torch.random.fork_rng(), torch.no_grad(), self.context():
                torch.manual_seed(seed)
                outs.append(floating(_called(self.model, self.given(inputs))))
        return not all(torch.equal(one, other) for one, other in zip(*outs, strict=True))

    def _started(self, inputs: Any) -> Any:
        """The inputs as leaves, everything else as it was before the first run."""
        self.restore(self.model)
        self.model.zero_grad()
        return tree_map_only(
            Tensor, lambda t: t.clone().requires_grad_() if t.is_floating_point() else t, self.given(inputs)
        )

    def _left(self, calls: dict[str, Call], given: Any) -> Run:
        tensors = dict(self._tensors(calls, given))
        return Run(
            calls=calls,
            values={name: kept(tensor) for name, tensor in tensors.items()},
            shapes={name: shape_of(tensor) for name, tensor in tensors.items()},
        )

    def _tensors(self, calls: Mapping[str, Call], given: Any) -> Any:
        for path, call in calls.items():
            for i, tensor in enumerate(arguments(call)):
                yield f"{path}\0in{index(i)}", tensor
            for i, tensor in enumerate(call.outputs):
                yield f"{path}\0out{index(i)}", tensor
            for i, grad in call.grads.items():
                yield f"{path}\0dout{index(i)}", grad
        for i, tensor in enumerate(floating(given)):
            if tensor.grad is not None:
                yield f"{ROOT}\0dx{index(i)}", tensor.grad
        for name, p in self.model.named_parameters():
            if p.grad is not None:
                yield f"{parent(name)}\0d{name.rpartition('.')[2]}", p.grad
        for name, buffer in self.model.named_buffers():
            if buffer.is_floating_point():
                yield f"{parent(name)}\0{name.rpartition('.')[2]}", buffer

    def again(self, call: Call, given: list[Tensor], douts: list[Tensor | None], *, whole: bool = False) -> Values:
        """One call by itself: its outputs, the gradients of its arguments and of its own parameters, its buffers.

        whole: every element of every tensor, however large.
        """
        module = call.target if isinstance(call.target, nn.Module) else nn.Module()
        self.restore(module)
        starts = [self.given(t).detach().requires_grad_() for t in given]
        args, kwargs = _with(call, [t.clone() for t in starts])  # cloned: what works in place may not write to a leaf
        with same_draws(self.device), arithmetic(tf32=self.precision.tf32), self.context():
            with Recorder(self.model, seed=self.seed, draws=call.draws):
                outs = floating(call.target(*args, **kwargs))
            values: Values = {f"out{index(i)}": kept(t, whole=whole) for i, t in enumerate(outs)}
        due = [(o, self.given(d)) for o, d in zip(outs, douts, strict=False) if d is not None and o.requires_grad]
        params = dict(module.named_parameters())
        wanted = {**{f"dx{index(i)}": t for i, t in enumerate(starts)}, **{f"d{n}": p for n, p in params.items()}}
        if due and wanted:
            grads = torch.autograd.grad(
                [o for o, _ in due], list(wanted.values()), [d for _, d in due], allow_unused=True
            )
            values |= {name: kept(g, whole=whole) for name, g in zip(wanted, grads, strict=True) if g is not None}
        for name, buffer in module.named_buffers():
            if buffer.is_floating_point():
                values[name] = kept(buffer, whole=whole)
        return values


def kept(tensor: Tensor, *, whole: bool = False) -> Array:
    """The tensor as a float64 array; of a large one, unless the whole is wanted, the sample that stands for it."""
    return (tensor.detach() if whole else sample(tensor)).double().cpu().numpy().copy()


def sample(tensor: Tensor) -> Tensor:
    """The elements that stand for a floating tensor: all of a small one. They know the shape of the whole."""
    tensor = tensor.detach()
    if tensor.numel() <= SAMPLED or not tensor.is_floating_point():
        return tensor.clone()
    found = tensor.reshape(-1)[_places(tensor.numel()).to(tensor.device)]
    found.whole = tuple(tensor.shape)  # type: ignore[attr-defined]
    return found


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a tensor, or of that for which it stands."""
    shape: tuple[int, ...] = getattr(tensor, "whole", tuple(tensor.shape))
    return shape


@cache
def _places(count: int) -> Tensor:
    chosen = np.random.default_rng(count).choice(count, SAMPLED, replace=False)
    return torch.from_numpy(np.sort(chosen))


def carry(truth: nn.Module, candidate: nn.Module, pairs: Mapping[str, str]) -> dict[str, str]:
    """Give the candidate the truth's parameters and buffers; return the truth's module paths by the candidate's.

    By name where names agree (after `pairs`), else by order where the shapes leave no doubt.
    Raises: InputError that names the first parameter for which this fails.
    """
    there, here = _tensors_of(truth), _tensors_of(candidate)
    names = {name: f"{pairs.get(parent(name), parent(name))}.{name.rpartition('.')[2]}".lstrip(".") for name in here}
    names = {name: other.removeprefix(f"{ROOT}.") for name, other in names.items()}
    if not all(other in there for other in names.values()):
        if [tuple(v.shape) for v in here.values()] != [tuple(v.shape) for v in there.values()]:
            lost = next((n for n, o in names.items() if o not in there), "")
            raise InputError(
                f"{lost} of the candidate has no counterpart in the truth, and the shapes in order do not tell: "
                "say which module stands for which (pairs)"
            )
        names = dict(zip(here, there, strict=True))
    for name, other in names.items():
        if here[name].shape != there[other].shape:
            raise InputError(
                f"{name} has shape {tuple(here[name].shape)}, but {other} has {tuple(there[other].shape)}: "
                "say which module stands for which (pairs)"
            )
        here[name].copy_(there[other])
    return {parent(name): parent(other) for name, other in names.items() if parent(name) != parent(other)}


def _tensors_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def arguments(call: Call) -> tuple[Tensor, ...]:
    """The floating tensors that a call was given."""
    return floating((call.args, call.kwargs))


def parent(name: str) -> str:
    """The path of the module that a parameter or buffer belongs to."""
    return name.rpartition(".")[0] or ROOT


def index(i: int) -> str:
    """What follows the name of the i-th of several; nothing after the first."""
    return f"[{i}]" if i else ""


def _called(model: nn.Module, given: Any) -> Any:
    if isinstance(given, dict):
        return model(**given)
    return model(*given) if isinstance(given, tuple | list) else model(given)


def _with(call: Call, tensors: list[Tensor]) -> tuple[Any, Any]:
    """The call's arguments with other floating tensors in place of its own."""
    leaves, structure = tree_flatten((call.args, call.kwargs))
    others = iter(tensors)
    leaves = [next(others) if isinstance(x, Tensor) and x.is_floating_point() else x for x in leaves]
    args, kwargs = tree_unflatten(leaves, structure)
    return args, kwargs
