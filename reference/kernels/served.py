"""The far side: a candidate's file, and what is asked of it. The truth is never here.

It runs in a child of the sandbox, or in this process for a candidate that came as an object.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.kernels import surroundings
from scratchproof.kernels.clock import copying, seconds
from scratchproof.kernels.tensors import DTYPES, bits, named_dtype, of_bits, unpacked
from scratchproof.sandbox.wire import Message
from scratchproof.vjp import Array
from scratchproof.vjp import by_path as _by_path

FILE = "candidate.py"
MOST = 100  # different results of one set of inputs, after which they are no longer kept
CLASSES = ("ModelNew", "Model")


@dataclass(kw_only=True)
class _Call:
    """One call: its tensors by name, and what it returned."""

    given: dict[str, Tensor]
    model: Any
    outs: dict[str, Any] = field(default_factory=dict)


class Served:
    """One candidate, the models built from it, and the calls whose results are kept."""

    def __init__(self, subject: Any = None) -> None:
        self.subject = subject
        self.device = "cpu"
        self.models: list[Any] = []
        self.parameters: list[dict[str, Tensor]] = []
        self.calls: dict[int, _Call] = {}
        self.count = 0

    def answer(self, request: Message) -> Message:
        what = dict(request.what)
        requests: dict[str, Callable[..., Message]] = {
            "load": self.load,
            "build": self.build,
            "hand": self.hand,
            "held": self.held,
            "call": self.call,
            "pull": self.pull,
            "read": self.read,
            "repeat": self.repeat,
            "list": self.listed,
            "time": self.timed,
            "copy": self.copied,
        }
        what.pop("forget", None)
        return requests[what.pop("do")](request.arrays, **what)

    def load(
        self, arrays: list[Array], source: str, name: str, wanted: Sequence[str], device: str, poison: bool
    ) -> Message:
        """Import the file (or take the object), and say whether it is a class, a module or a function."""
        self.device = device
        self.before = surroundings.seen()
        if self.subject is None:
            surroundings.settle(device)
            if poison:
                surroundings.poison()
            self.subject = _found(_imported(source), name, wanted)
        kind = "class" if isinstance(self.subject, type) else "module" if isinstance(self.subject, nn.Module) else ""
        return Message(what={"kind": kind or ("function" if callable(self.subject) else "nothing")})

    def build(
        self, arrays: list[Array], init: Any, dtypes: list[str], names: list[str], dtype: str, seed: int
    ) -> Message:
        """Construct a model as the reference was constructed, and hand it the reference's parameters and buffers.

        names: of the parameters and buffers, which are the last of the arrays.
        """
        tensors = self._tensors(arrays, dtypes)
        given = dict(zip(names, tensors[len(tensors) - len(names) :], strict=True))
        args, kwargs = unpacked(init, tensors)
        model, matched = self.subject, {}
        if isinstance(model, type):
            torch.manual_seed(seed)
            model = model(*args, **kwargs)
        if isinstance(model, nn.Module):
            model = model.to(device=self.device)
            model = model.to(DTYPES[dtype]) if dtype != "float32" else model
            matched = _handed(model, given)
        self.models.append(model)
        self.parameters.append(matched)
        own = list(dict(model.named_parameters())) if isinstance(model, nn.Module) else []
        return Message(what={"model": len(self.models) - 1, "matched": list(matched), "own": len(own)})

    def hand(self, arrays: list[Array], model: int, dtypes: list[str], names: list[str]) -> Message:
        """Write other values into the parameters and buffers of a model, as a step of training does."""
        _handed(self.models[model], dict(zip(names, self._tensors(arrays, dtypes), strict=True)))
        return Message(what={})

    def held(self, arrays: list[Array], model: int, names: list[str], shapes: list[list[int]]) -> Message:
        """What is now in the parameters and buffers that a state of these names and shapes is written to."""
        found = _places(self.models[model], dict(zip(names, map(tuple, shapes), strict=True)))
        found = {name: tensor for name, tensor in found.items() if _content(tensor.data) is not None}
        forms = [named_dtype(tensor) for tensor in found.values()]
        return Message(what={"names": list(found), "dtypes": forms}, arrays=[bits(t) for t in found.values()])

    def call(
        self,
        arrays: list[Array],
        model: int,
        args: Any,
        dtypes: list[str],
        names: list[str],
        wanted: list[str],
        **how: Any,
    ) -> Message:
        """One call forward on fresh tensors, or (`into`) on those of an earlier call, which are written over.

        wanted: the inputs that are to be differentiated; with none of them, no graph is made.
        """
        before = [array.tobytes() for array in arrays]
        given = self._given(arrays, dtypes, names, wanted, how.get("into"))
        outs = self._run(model, unpacked(args, list(given.values())), bool(wanted), how.get("free") or ())
        kept = {name: _content(value) for name, value in outs.items()}
        changed = [n for n, a in zip(names, before, strict=True) if bits(given[n]).tobytes() != a]
        call = _Call(given=given, model=self.models[model], outs=outs)
        what = {
            "outs": {name: self._facts(value, call) for name, value in outs.items()},
            "changed": changed,
            "threads": surroundings.threads(self.before),
            "patched": surroundings.patched(self.before),
        }
        self.count += 1
        self.calls[self.count] = call
        return Message(what={**what, "call": self.count}, arrays=[a for a in kept.values() if a is not None])

    def pull(
        self, arrays: list[Array], call: int, model: int, dtypes: list[str], names: list[str], wanted: list[str]
    ) -> Message:
        """The gradients with respect to inputs and handed parameters, each None where nothing arrives."""
        kept = self.calls[call]
        douts = dict(zip(names, self._tensors(arrays, dtypes), strict=True))
        starts = {n: kept.outs[n] for n in names if isinstance(kept.outs[n], Tensor) and kept.outs[n].requires_grad}
        ends = {n: kept.given[n] for n in wanted if n in kept.given}
        ends |= {n: p for n, p in self.parameters[model].items() if n in wanted}
        ends = {n: t for n, t in ends.items() if t.requires_grad}
        grads: Sequence[Tensor | None] = [None] * len(ends)
        if starts and ends:
            cotangents = [douts[n].to(out.dtype) for n, out in starts.items()]
            grads = torch.autograd.grad(list(starts.values()), list(ends.values()), cotangents, allow_unused=True)
        found = {name: grad for name, grad in zip(ends, grads, strict=True) if grad is not None}
        forms = {name: named_dtype(grad) for name, grad in found.items()}
        what = {"grads": forms, "cut": [n for n in names if n not in starts]}
        return Message(what=what, arrays=[bits(grad) for grad in found.values()])

    def read(self, arrays: list[Array], call: int) -> Message:
        """The outputs of an earlier call as they are now."""
        held = [value for value in self.calls[call].outs.values() if _content(value) is not None]
        return Message(what={"dtypes": [named_dtype(t) for t in held]}, arrays=[bits(t) for t in held])

    def repeat(
        self, arrays: list[Array], model: int, args: Any, dtypes: list[str], names: list[str], count: int
    ) -> Message:
        """Many calls in a row on two sets of inputs in turn, in one memory: which results differed, each once.

        Two calls on tensors that are written over, two on others that lie where those lay, as an allocator gives them.

        arrays: those of the first set, then those of the second. turns: for each call, its place among the results.
        """
        half = len(arrays) // 2
        given = arrays[:half], arrays[half:]
        sets = [self._tensors(values, dtypes) for values in given]
        buffers = [value.copy() for value in given[0]]
        memory = self._tensors(buffers, dtypes)
        found: dict[tuple[bytes, ...], int] = {}
        results: list[Array] = []
        forms: list[str] = []
        turns = []
        for i in range(count):
            if i % 4 > 1:
                for buffer, value in zip(buffers, given[i % 2], strict=True):
                    np.copyto(buffer, value)
                memory = self._tensors(buffers, dtypes)
            else:
                for tensor, new in zip(memory, sets[i % 2], strict=True):
                    tensor.copy_(new)
            outs = [v for v in self._run(model, unpacked(args, memory), False, ()).values() if _content(v) is not None]
            kept = [bits(value).copy(order="C") for value in outs]
            key = tuple(array.tobytes() for array in kept)
            if key not in found and len(results) < MOST:
                found[key] = len(found)
                results += kept
                forms += [named_dtype(value) for value in outs]
            turns.append(found.get(key, 0))
        return Message(what={"turns": turns, "dtypes": forms}, arrays=results)

    def listed(self, arrays: list[Array], model: int, args: Any, dtypes: list[str], names: list[str]) -> Message:
        """The names of torch's operations that one call forward makes."""
        tensors = self._tensors(arrays, dtypes)
        with surroundings.Listed() as listed:
            self._run(model, unpacked(args, tensors), False, ())
        return Message(what={"called": sorted(listed.names)})

    def timed(
        self, arrays: list[Array], model: int, args: Any, dtypes: list[str], names: list[str], **how: Any
    ) -> Message:
        """Seconds of some calls in a row, on two sets of inputs in turn, and what the last of them returned."""
        half = len(arrays) // 2
        sets = [self._tensors(arrays[:half], dtypes), self._tensors(arrays[half:], dtypes)]
        memory = [tensor.clone() for tensor in sets[0]]
        given = unpacked(args, memory)
        last: list[Any] = [None]

        def prepare(turn: int) -> None:
            last[0] = None
            for tensor, value in zip(memory, sets[turn % 2], strict=True):
                tensor.copy_(value)

        def call() -> None:
            last[0] = self.models[model](*given)

        with torch.no_grad():
            taken = seconds(call, prepare, self.device, **how)
            held = [v for v in _by_path(last[0]).values() if _content(v) is not None]
            kept = [bits(value).copy(order="C") for value in held]
        return Message(what={"seconds": taken, "dtypes": [named_dtype(v) for v in held]}, arrays=kept)

    def copied(self, arrays: list[Array], size: int) -> Message:
        """The least of the seconds that a copy takes of which `size` bytes are read and written."""
        taken = seconds(copying(size, self.device), lambda turn: None, self.device, count=5, cold=False)
        return Message(what={"seconds": taken})

    def _run(self, model: int, args: Any, graph: bool, free: Sequence[int]) -> dict[str, Any]:
        surroundings.scatter(free, self.device)
        torch.manual_seed(0)
        with torch.enable_grad() if graph else torch.no_grad():
            out = self.models[model](*args)
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return _by_path(out)

    def _given(
        self,
        arrays: Sequence[Array],
        dtypes: Sequence[str],
        names: Sequence[str],
        wanted: Sequence[str],
        into: int | None,
    ) -> dict[str, Tensor]:
        fresh = dict(zip(names, self._tensors(arrays, dtypes), strict=True))
        if into is not None:
            old = self.calls[into].given
            with torch.no_grad():
                for name, value in fresh.items():
                    old[name].copy_(value)
            return old
        return {name: t.requires_grad_() if name in wanted else t for name, t in fresh.items()}

    def _tensors(self, arrays: Sequence[Array], dtypes: Sequence[str]) -> list[Tensor]:
        return [of_bits(a, dtype).to(self.device) for a, dtype in zip(arrays, dtypes, strict=True)]

    def _facts(self, value: Any, call: _Call) -> dict[str, Any]:
        """What is known of one output beside its numbers."""
        if type(value) not in (Tensor, nn.Parameter):
            return {"type": type(value).__name__}
        facts = {"type": "", "dtype": named_dtype(value), "device": value.device.type, "layout": str(value.layout)}
        others = dict(call.given)
        others |= {f"the output of call {i}": t for i, old in self.calls.items() for t in old.outs.values()}
        place = surroundings.place(value)
        shared = [name for name, t in others.items() if isinstance(t, Tensor) and place == surroundings.place(t)]
        return {**facts, "shared": shared if value.numel() else [], "graph": value.requires_grad}


def _content(value: Any) -> Array | None:
    """A copy of the numbers of an output; None of what is no tensor of torch's own."""
    if type(value) not in (Tensor, nn.Parameter) or named_dtype(value) not in DTYPES or value.layout != torch.strided:
        return None
    return bits(value).copy(order="C")


def _imported(source: str) -> ModuleType:
    """The candidate's text as a module of its own file, where tools that read a function's source find it."""
    import importlib.util

    with open(FILE, "w", encoding="utf-8") as file:
        file.write(source)
    spec = importlib.util.spec_from_file_location("candidate", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["candidate"] = module
    spec.loader.exec_module(module)
    return module


def _found(module: ModuleType, name: str, wanted: Sequence[str]) -> Any:
    """What is to be judged: what was named, a model class, or a function that is called as the reference's."""
    for candidate in [name] if name else [*CLASSES[:1], *wanted, *CLASSES[1:]]:
        if callable(found := getattr(module, candidate, None)):
            return found
    return None


def _handed(model: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The model's parameters and buffers by the reference's names, now with its values; none if they do not fit.

    By name; or in order, where shapes agree; or by shape, where no two are alike.
    """
    found = _places(model, {name: tuple(tensor.shape) for name, tensor in given.items()})
    with torch.no_grad():
        for name, tensor in found.items():
            tensor.copy_(given[name])
    return found


def _places(model: Any, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The model's parameters and buffers by the names of the reference's, which have these shapes."""
    if not isinstance(model, nn.Module):
        return {}
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    names = _pairs(shapes, {name: tuple(tensor.shape) for name, tensor in own.items()})
    return {theirs: own[ours] for theirs, ours in names.items()}


def _pairs(theirs: dict[str, tuple[int, ...]], ours: dict[str, tuple[int, ...]]) -> dict[str, str]:
    if all(ours.get(name) == shape for name, shape in theirs.items()):
        return {name: name for name in theirs}
    if list(theirs.values()) == list(ours.values()):
        return dict(zip(theirs, ours, strict=True))
    if len(set(theirs.values())) == len(theirs) and sorted(theirs.values()) == sorted(ours.values()):
        by_shape = {shape: name for name, shape in ours.items()}
        return {name: by_shape[shape] for name, shape in theirs.items()}
    return {}
