"""A model as it is run beside another: where, in what dtype, with whose parameters; and what a run of it leaves.

Of a large tensor a few thousand elements stand for all: the same ones in every run. Whole ones wait in a file where
there are too many of them.
"""

import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.errors import InputError
from scratchproof.tracing.calls import ROOT, Call, Recorder, arguments, floating, mapped, numbers
from scratchproof.vjp import Array, Precision, arithmetic, same_draws

Values = dict[str, Array]
SAMPLED = 2**13
ROOM = 2**28  # bytes of whole tensors that are held in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a model, forward and backward: its calls, and everything it computed, with its shapes, by name.

    same: the first name of a value that has several: one call's result is another's input.
    """

    calls: dict[str, Call]
    values: Values
    shapes: dict[str, tuple[int, ...]]
    same: dict[str, str]

    def thinned(self, most: int) -> "Run":
        """The run with that many elements of each value at most, the same ones of like values."""
        thin = {id(value): _thin(value, most) for value in self.values.values()}
        return replace(self, values={name: thin[id(value)] for name, value in self.values.items()})


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
    own: set[int] = field(init=False)  # where parameters lie in memory

    def __post_init__(self) -> None:
        self.own = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        self.buffers = {
            module: {name: value.clone() for name, value in module.named_buffers(recurse=False)}
            for module in self.model.modules()
        }

    @contextmanager
    def context(self) -> Iterator[None]:
        """What a pass forward runs within."""
        autocast = torch.autocast(self.device, dtype=self.precision.dtype) if self.autocast else nullcontext()
        with same_draws(self.device), arithmetic(tf32=self.precision.tf32), autocast:
            yield

    def parking(self) -> Any:
        """Within it, what autograd saves of a pass forward waits in a file where it is too much for memory."""
        saved = Held()

        def pack(tensor: Tensor) -> Any:
            small = tensor.numel() <= SAMPLED or tensor.device.type != "cpu"
            return tensor if small or tensor.untyped_storage().data_ptr() in self.own else saved.put(tensor)

        return torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x if isinstance(x, Tensor) else x())

    def restore(self, part: nn.Module) -> None:
        """Buffers as they were before the first run: running statistics must not add up over runs."""
        for module in part.modules():
            for name, value in self.buffers.get(module, {}).items():
                getattr(module, name).data.copy_(value)

    def given(self, value: Any) -> Any:
        """A structure of tensors as this side takes them."""
        return mapped(lambda t: t.to(self.device, self.dtype if t.is_floating_point() else t.dtype), value)

    def run(self, inputs: Any, total: Any, *, keep: Callable[[Tensor], Tensor] | None = None) -> Run:
        """The model forward, and backward from `total` of what it returns.

        keep: what is held of a tensor that passes; without it, its sample.
        """
        given = self._started(inputs)
        recorder = Recorder(self.model, seed=self.seed, keep=keep or sample)
        with self.context(), self.parking(), recorder.listening():
            start = total(
                _called(self.model, mapped(torch.clone, given))
            )  # what works in place may not write to a leaf
        if start.requires_grad:
            torch.autograd.backward(start)
        return self._left({call.path: call for call in recorder.calls}, given)

    def run_as_one(self, compiled: Any, inputs: Any, total: Any) -> Run:
        """What `run` sees if nothing can be seen inside `compiled`, which is the model in another form."""
        given = self._started(inputs)
        with self.context():
            out = _called(compiled, given)
            start = total(out)
        if start.requires_grad:
            torch.autograd.backward(start)
        root = Call(path=ROOT, module=ROOT, target=compiled, args=(given,), kwargs={}, leaf=False, draws=0)
        root.outputs = floating(out)
        return self._left({ROOT: root}, given)

    def draws(self, inputs: Any) -> bool:
        """Whether what the model returns hangs on random numbers."""
        outs = []
        for seed in (0, 1):
            self.restore(self.model)
            with self.context(), torch.no_grad():
                torch.manual_seed(seed)
                outs.append(floating(_called(self.model, self.given(inputs))))
        return not all(torch.equal(one, other) for one, other in zip(*outs, strict=True))

    def _started(self, inputs: Any) -> Any:
        """The inputs as leaves, everything else as it was before the first run."""
        self.restore(self.model)
        self.model.zero_grad()
        return mapped(lambda t: t.clone().requires_grad_() if t.is_floating_point() else t, self.given(inputs))

    def _left(self, calls: dict[str, Call], given: Any) -> Run:
        tensors, first = dict(self._tensors(calls, given)), dict[int, str]()
        same = {name: first.setdefault(id(tensor), name) for name, tensor in tensors.items()}
        values = {name: kept(tensors[name]) for name in first.values()}
        return Run(
            calls=calls,
            values={name: values[same[name]] for name in tensors},
            shapes={name: shape_of(tensor) for name, tensor in tensors.items()},
            same=same,
        )

    def _tensors(self, calls: Mapping[str, Call], given: Any) -> Any:
        for path, call in calls.items():
            for i, tensor in enumerate(arguments(call)):
                yield f"{path}\0in{index(i)}", tensor
            for i, tensor in enumerate(numbers(call)):
                yield f"{path}\0in numbers{index(i)}", tensor
            for i, tensor in enumerate(call.outputs):
                yield f"{path}\0out{index(i)}", tensor
            for i, grad in call.grads.items():
                yield f"{path}\0dout{index(i)}", grad
        for i, tensor in enumerate(floating(given)):
            yield f"{ROOT}\0dx{index(i)}", _gradient(tensor)
        for name, p in self.model.named_parameters():
            if p.requires_grad:
                yield f"{parent(name)}\0d{name.rpartition('.')[2]}", _gradient(p)
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
        args, kwargs = _with(call, [t.clone() for t in starts])  # cloned: as in run
        with self.context(), self.parking():
            with Recorder(self.model, seed=self.seed, draws=call.draws):
                outs = floating(call.target(*args, **kwargs))
            values: Values = {f"out{index(i)}": kept(t, whole=whole) for i, t in enumerate(outs)}
        pairs = [(o, self.given(d)) for o, d in zip(outs, douts, strict=False) if d is not None]
        due = [(o, d) for o, d in pairs if o.requires_grad and o.shape == d.shape]
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


class Held:
    """Whole tensors, in memory as long as there is room in it, and then in a file.

    dtype: what floating ones are held in; their own without it. room: bytes, ROOM without it.
    """

    def __init__(self, dtype: torch.dtype | None = None, room: int | None = None) -> None:
        self.dtype, self.room = dtype, ROOM if room is None else room
        self._file: IO[bytes] | None = None

    def keep(self, tensor: Tensor) -> Tensor:
        """The sample of a tensor, from which `all_of` has all of it."""
        found = sample(tensor)
        if found.shape != tensor.shape:
            found.fetch = self.put(tensor.detach().to(self.dtype, copy=True))  # type: ignore[attr-defined]
        return found

    def put(self, tensor: Tensor) -> Callable[[], Tensor]:
        """What gives the tensor back, its axes in the same order in memory."""
        if tensor.nbytes <= self.room:
            self.room -= tensor.nbytes
            return lambda: tensor
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it is closed with its last reader)
            weakref.finalize(self, self._file.close)
        order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
        dense = tensor.detach().permute(order).contiguous()
        at, size, shape, dtype = self._file.seek(0, os.SEEK_END), dense.nbytes, dense.shape, dense.dtype
        self._file.write(dense.view(-1).view(torch.uint8).numpy().data)
        back = [order.index(axis) for axis in range(tensor.ndim)]
        return lambda: torch.frombuffer(self._read(at, size), dtype=dtype).view(shape).permute(back)

    def _read(self, at: int, size: int) -> bytearray:
        assert self._file is not None
        self._file.seek(at)
        return bytearray(self._file.read(size))


def all_of(tensor: Tensor) -> Tensor:
    """All of a tensor that was held by its sample, or was not sampled."""
    fetch: Callable[[], Tensor] | None = getattr(tensor, "fetch", None)
    return tensor if fetch is None else fetch()


def kept(tensor: Tensor, *, whole: bool = False) -> Array:
    """The tensor as an array, a floating one of float64; of a large one, unless the whole is wanted, its sample."""
    tensor = tensor.detach() if whole else sample(tensor)
    return (tensor.double() if tensor.is_floating_point() else tensor).cpu().numpy().copy()


def sample(tensor: Tensor) -> Tensor:
    """The elements that stand for a floating tensor: all of a small one. They know the shape of the whole."""
    tensor = tensor.detach()
    if tensor.numel() <= SAMPLED or not tensor.is_floating_point():
        return tensor.clone()
    found = tensor.reshape(-1)[torch.from_numpy(_places(tensor.numel(), SAMPLED)).to(tensor.device)]
    found.whole = tuple(tensor.shape)  # type: ignore[attr-defined]
    return found


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a tensor, or of that for which it stands."""
    shape: tuple[int, ...] = getattr(tensor, "whole", tuple(tensor.shape))
    return shape


def _thin(value: Array, most: int) -> Array:
    return value if value.size <= most or value.dtype.kind != "f" else value.reshape(-1)[_places(value.size, most)]


@cache
def _places(count: int, most: int) -> Array:
    return np.sort(np.random.default_rng(count).choice(count, most, replace=False))


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


def renamed(run: Run, pairs: Mapping[str, str]) -> Run:
    """The candidate's calls under the truth's names."""

    def there(key: str) -> str:
        path, null, quantity = key.partition("\0")
        module, arrow, rest = path.partition(" ")
        return f"{pairs.get(module, module)}{arrow}{rest}{null}{quantity}"

    if not pairs:
        return run
    return Run(
        calls={there(path): call for path, call in run.calls.items()},
        values={there(key): value for key, value in run.values.items()},
        shapes={there(key): shape for key, shape in run.shapes.items()},
        same={there(key): there(first) for key, first in run.same.items()},
    )


def parent(name: str) -> str:
    """The path of the module that a parameter or buffer belongs to."""
    return name.rpartition(".")[0] or ROOT


def index(i: int) -> str:
    """What follows the name of the i-th of several; nothing after the first."""
    return f"[{i}]" if i else ""


def _gradient(tensor: Tensor) -> Tensor:
    """What has arrived; no gradient is zero."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def _called(model: nn.Module, given: Any) -> Any:
    if isinstance(given, dict):
        return model(**given)
    return model(*given) if isinstance(given, tuple | list) else model(given)


def _with(call: Call, tensors: list[Tensor]) -> tuple[Any, Any]:
    """The call's arguments with other floating tensors in place of its own."""
    others = iter(tensors)
    args, kwargs = mapped(lambda t: next(others) if t.is_floating_point() else t, (call.args, call.kwargs))
    return args, kwargs
