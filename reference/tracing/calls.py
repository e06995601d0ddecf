"""What a torch model computes on the way: every call of a module, and every function called between modules.

A call is named by the path of its module (`layer1.0.conv1`), a repeated one with its number (`layer1.0.relu #2`);
a function that a module calls beside its children by the module's path and its own name
(`layer1.0 -> add`, `layer1.0 -> add #2`). What a module without children does inside is its own affair.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

ROOT = "(model)"
DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout, torch.dropout)


@dataclass(slots=True, kw_only=True)
class Call:
    """One call: what was called, with what, and what came of it, copied before anything could write to it.

    path: its name. module: the path of the module that was called, "" for a function. target: the module or function.
    leaf: whether nothing inside it is recorded. grads: the gradient of each output by its index, after backward.
    cut: whether no gradient can go from its outputs to what it was given, though that awaits one.
    """

    path: str
    module: str
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leaf: bool
    draws: int
    outputs: tuple[Tensor, ...] = ()
    grads: dict[int, Tensor] = field(default_factory=dict)
    cut: bool = False


class Recorder(TorchFunctionMode):
    """Within it every call of the model, forward, is recorded in order of completion.

    Dropout takes its mask from the seed and its turn, whatever the dtype or device, so that two runs draw alike.
    draws: how many masks were drawn before: a call repeated by itself draws what it drew the first time.
    keep: what is held of a tensor that passes.
    """

    def __init__(
        self, model: nn.Module, *, seed: int = 0, draws: int = 0, keep: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.model, self.seed, self.keep = model, seed, keep or copied
        self.calls: list[Call] = []
        self._stack: list[tuple[str, nn.Module]] = []
        self._pending: list[tuple[Any, int, bool]] = []
        self._seen: Counter[str] = Counter()
        self._draws = draws
        self._ours = False
        self._held: dict[
            int, tuple[Tensor, int, Tensor]
        ] = {}  # what is kept of a tensor: it is one's result, another's input

    @contextmanager
    def listening(self) -> Iterator["Recorder"]:
        """Record what the model does within the block."""
        handles: list[Any] = []
        for path, module in self.model.named_modules():
            handles.append(module.register_forward_pre_hook(self._before(path or ROOT), with_kwargs=True))
            handles.append(module.register_forward_hook(self._after, with_kwargs=True))
        try:
            with self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if self._ours or not self._stack or not any(self._stack[-1][1].children()):
            return self._run(func, args, kwargs)
        kept, draws = self._kept((tuple(args), kwargs)), self._draws
        awaited = _awaited((args, kwargs))
        out = self._run(func, args, kwargs)
        if floating(out) and _name(func) not in ("get", "set"):  # not a property, such as x.T
            self._record(f"{self._stack[-1][0]} -> {_name(func)}", "", func, kept, out, leaf=True, draws=draws)
            self.calls[-1].cut = awaited and not _awaited(out)
        return out

    def _run(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if func in DROPOUTS:
            return self._dropout(func, *args, **kwargs)
        return func(*args, **kwargs)

    def _dropout(self, func: Any, x: Tensor, p: float = 0.5, *args: Any, **kwargs: Any) -> Tensor:
        self._draws += 1
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(1_000_003 * self.seed + self._draws)
            mask = func(torch.ones(x.shape), p, *args, **kwargs)
        dropped: Tensor = x * mask.to(x)
        return dropped

    def _before(self, path: str) -> Callable[..., None]:
        def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._stack.append((path, module))
            awaited = _awaited((args, kwargs, list(module.parameters())))
            self._pending.append((self._kept((args, kwargs)), self._draws, awaited))

        return enter

    def _after(self, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        path, _ = self._stack.pop()
        kept, draws, awaited = self._pending.pop()
        if floating(out):
            self._record(path, path, module, kept, out, leaf=not any(module.children()), draws=draws)
            self.calls[-1].cut = awaited and not _awaited(out)

    def _kept(self, given: Any) -> Any:
        with self._unheard():
            return mapped(self._once, given)

    def _once(self, tensor: Tensor) -> Tensor:
        known = self._held.get(id(tensor))
        if known is None or known[0] is not tensor or known[1] != tensor._version:
            known = self._held[id(tensor)] = (tensor, tensor._version, self.keep(tensor))
        return known[2]

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        self._ours, before = True, self._ours
        try:
            yield
        finally:
            self._ours = before

    def _record(self, name: str, module: str, target: Any, kept: Any, out: Any, *, leaf: bool, draws: int) -> None:
        self._seen[name] += 1
        path = name if self._seen[name] == 1 else f"{name} #{self._seen[name]}"
        args, kwargs = kept
        call = Call(path=path, module=module, target=target, args=args, kwargs=kwargs, leaf=leaf, draws=draws)
        with self._unheard():
            call.outputs = tuple(self._once(t) for t in floating(out))
            for index, tensor in enumerate(floating(out)):
                if tensor.requires_grad:
                    tensor.register_hook(_keep_gradient(call, index, self.keep))  # type: ignore[no-untyped-call]
        self.calls.append(call)


def copied(tensor: Tensor) -> Tensor:
    """The tensor as it is now, whatever becomes of it."""
    return tensor.detach().clone()


def _keep_gradient(call: Call, index: int, keep: Callable[[Tensor], Tensor]) -> Callable[[Tensor], None]:
    def hook(grad: Tensor) -> None:
        call.grads[index] = keep(grad)

    return hook


def _awaited(value: Any) -> bool:
    """Whether any tensor in a structure awaits a gradient."""
    return any(t.requires_grad for t in tensors_in(value))


def floating(value: Any) -> tuple[Tensor, ...]:
    """The floating tensors in a structure, in the order of `mapped`."""
    return tuple(t for t in tensors_in(value) if t.is_floating_point())


def tensors_in(value: Any) -> tuple[Tensor, ...]:
    """The tensors in a structure, in the order of `mapped`."""
    found: list[Tensor] = []
    mapped(lambda tensor: found.append(tensor) or tensor, value)  # type: ignore[func-returns-value]
    return tuple(found)


def mapped(function: Callable[[Tensor], Any], value: Any) -> Any:
    """A structure of tuples, lists, dictionaries and dataclasses with `function` applied to each tensor in it.

    Dictionaries are gone through in the order of their keys' names: two that are filled in another order are one.
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple | list):
        items = [mapped(function, item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    new: Any = value
    if isinstance(value, MutableMapping):
        new = copy.copy(value)
        for key in sorted(value, key=str):
            new[key] = mapped(function, value[key])
    elif is_dataclass(value) and not isinstance(value, type | nn.Module):
        new = copy.copy(value)
        for name in (one.name for one in fields(value)):
            object.__setattr__(new, name, mapped(function, getattr(value, name)))
    return new


def arguments(call: Call) -> tuple[Tensor, ...]:
    """The floating tensors that a call was given."""
    return floating((call.args, call.kwargs))


def numbers(call: Call) -> tuple[Tensor, ...]:
    """The whole numbers and truth values that a call was given: indices, masks."""
    given = tensors_in((call.args, call.kwargs))
    return tuple(t for t in given if not t.is_floating_point() and not t.is_complex())


def with_numbers(here: Call, there: Call) -> Call:
    """The call with the truth's whole numbers and truth values in place of its own, if it has as many."""
    ours, theirs = numbers(here), numbers(there)
    if not ours or len(ours) != len(theirs):
        return here
    others = {id(own): other.to(own.device) for own, other in zip(ours, theirs, strict=True)}
    args, kwargs = mapped(lambda t: others.get(id(t), t), (here.args, here.kwargs))
    return replace(here, args=args, kwargs=kwargs)


def in_place_of(here: Call, there: Call) -> Call | None:
    """The candidate's call of a module with the truth's arguments, which have other shapes; None if that may not be."""
    ours, theirs = arguments(here), arguments(there)
    form = (len(here.args), set(here.kwargs), len(ours)) == (len(there.args), set(there.kwargs), len(theirs))
    if not form or not here.module:
        return None
    dtypes = iter([t.dtype for t in ours])
    args, kwargs = mapped(lambda t: t.to(next(dtypes)) if t.is_floating_point() else t, (there.args, there.kwargs))
    return replace(here, args=args, kwargs=kwargs)


def _name(func: Any) -> str:
    return str(getattr(func, "__name__", func)).strip("_")
