"""Any torch model, call by call: which layer goes wrong first, and is it wrong, or is it rounding?

The truth is the model's own float64 copy on the CPU, or another implementation with the same parameters. Every call
is judged twice. Teacher-forced, it gets what the truth has there, so that an error shows where it is made;
free-running, it is what it was on the way of the candidate's own values. What is allowed is derived from disturbed
float64 runs of the truth, of each call by itself and of the whole.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from scratchproof.errors import InputError
from scratchproof.exam.compare import Comparison, compare
from scratchproof.oracle.tolerance import REPEATS, Tolerance, spread
from scratchproof.tracing.calls import ROOT, Call, Recorder, floating
from scratchproof.vjp import PRECISIONS, Array, Precision, arithmetic, same_draws

Values = dict[str, Array]
Loss = Callable[[Any], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLine:
    """One quantity of one call: `layer1.0.conv1` and `out`, `dx`, `dout`, `dweight` or the name of a buffer.

    forced, free: how it compares; None where that way of running has nothing to compare.
    """

    path: str
    quantity: str
    shape: tuple[int, ...]
    forced: Comparison | None = None
    free: Comparison | None = None

    @property
    def wrong(self) -> bool:
        return self.forced is not None and self.forced.problem is not None

    @property
    def strays(self) -> bool:
        return self.free is not None and self.free.problem is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrace:
    """What a trace found: its lines in order of computation, and the first divergence, if any.

    culprit: the path of the first call that is wrong by itself, or whose input is not the truth's ("" where all
    agree). reason: a sentence. drifts: every call is right by itself, and yet the whole strays beyond what rounding
    explains: it took another side of a kink. only_here, only_there: calls that one side alone makes.
    """

    precision: str
    seed: int
    lines: tuple[CallLine, ...]
    culprit: str = ""
    reason: str = ""
    drifts: bool = False
    only_here: tuple[str, ...] = ()
    only_there: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.culprit


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of a model, forward and backward: its calls, and everything it computed by name."""

    calls: dict[str, Call]
    values: Values


@dataclass(slots=True, kw_only=True)
class Side:
    """A model as it is run: where, in what dtype, and under which arithmetic."""

    model: nn.Module
    precision: Precision
    device: str = "cpu"
    dtype: torch.dtype = torch.float64
    autocast: bool = False
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.buffers = {name: value.clone() for name, value in self.model.named_buffers()}

    @property
    def arithmetic(self) -> Precision:
        """What it computes in: under autocast the operands of products, parameters among them, are rounded first."""
        return replace(self.precision, operand=self.precision.unit) if self.autocast else self.precision

    def context(self) -> Any:
        if self.autocast:
            return torch.autocast(self.device, dtype=self.precision.dtype)
        return nullcontext()

    def restore(self) -> None:
        """Buffers as they were before the first run: running statistics must not add up over runs."""
        for name, value in self.model.named_buffers():
            value.data.copy_(self.buffers[name])

    def given(self, value: Any) -> Any:
        """A structure of tensors as this side takes them."""
        return tree_map_only(
            Tensor,
            lambda t: t.to(self.device, self.dtype) if t.is_floating_point() else t.to(self.device),
            value,
        )


def trace_model(
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
) -> ModelTrace:
    """Run `candidate` beside the truth, call by call, forward and backward.

    inputs: a tensor, a tuple of positional arguments, or a dictionary of keyword arguments. loss: of the model's
    output; without one, every output meets a random signed cotangent. precision: what the candidate computes in;
    with `autocast` its parameters stay float32. pairs: the truth's module paths by the candidate's, where they differ.
    The models are copied: neither is changed.
    Raises: InputError where the parameters of the two cannot be told which is which.
    """
    tracer = ModelTracer(candidate, truth, inputs, loss, PRECISIONS[precision], device, autocast, pairs or {}, seed)
    return tracer.trace()


class ModelTracer:
    """The state of one trace."""

    def __init__(
        self,
        candidate: nn.Module,
        truth: nn.Module | None,
        inputs: Any,
        loss: Loss | None,
        precision: Precision,
        device: str,
        autocast: bool,
        pairs: Mapping[str, str],
        seed: int,
    ) -> None:
        self.precision, self.loss, self.seed = precision, loss, seed
        dtype = torch.float32 if autocast else precision.dtype
        here = copy.deepcopy(candidate).to(device, dtype)
        there = copy.deepcopy(here if truth is None else truth).cpu().double()
        self.pairs = dict(pairs) if truth is None else carry(there, here, pairs)
        if truth is not None:
            for _, p in there.named_parameters():  # the truth starts from what the candidate's format holds
                p.data.copy_(p.data.to(dtype))
        self.here = Side(model=here, precision=precision, device=device, dtype=dtype, autocast=autocast)
        self.there = Side(model=there, precision=PRECISIONS["float64"])
        self.inputs = tree_map_only(Tensor, lambda t: t.to(dtype) if t.is_floating_point() else t, inputs)

    def trace(self) -> ModelTrace:
        truth, found = self.run(self.there), self._renamed(self.run(self.here))
        allowed = self._spread(truth, REPEATS)
        forced = dict(self._forced(truth, found, leaves=True))
        free = self._free(truth, found, allowed)
        if any(c.problem for c in free.values()) and not any(c.problem for c in forced.values()):
            # Every call is right by itself: has the whole only taken another side of a kink? Look more often.
            free = self._free(truth, found, self._spread(truth, 6 * REPEATS))
            if any(c.problem for c in free.values()):
                forced |= dict(self._forced(truth, found, leaves=False))
        lines = tuple(_lines(truth, forced, free))
        return self._judged(lines, truth, found)

    def run(self, side: Side) -> Run:
        """One run, forward and backward, of one side."""
        side.restore()
        side.model.zero_grad()
        given = tree_map_only(
            Tensor, lambda t: t.clone().requires_grad_() if t.is_floating_point() else t, side.given(self.inputs)
        )
        recorder = Recorder(side.model, seed=self.seed)
        with same_draws(side.device), arithmetic(tf32=side.precision.tf32), side.context(), recorder.listening():
            out = _call(side.model, given)
            total = self._total(out)
        torch.autograd.backward(total)
        values: Values = {}
        for call in recorder.calls:
            for i, tensor in enumerate(floating((call.args, call.kwargs))):
                values[f"{call.path}\0in{_index(i)}"] = _array(tensor)
            for i, tensor in enumerate(call.outputs):
                values[f"{call.path}\0out{_index(i)}"] = _array(tensor)
            for i, grad in call.grads.items():
                values[f"{call.path}\0dout{_index(i)}"] = _array(grad)
        for name, p in side.model.named_parameters():
            if p.grad is not None:
                values[f"{_parent(name)}\0d{name.rpartition('.')[2]}"] = _array(p.grad)
        for name, buffer in side.model.named_buffers():
            if buffer.is_floating_point():
                values[f"{_parent(name)}\0{name.rpartition('.')[2]}"] = _array(buffer)
        return Run(calls={call.path: call for call in recorder.calls}, values=values)

    def _total(self, out: Any) -> Tensor:
        if self.loss is not None:
            return self.loss(out)
        rng = np.random.default_rng(self.seed)
        parts = []
        for tensor in floating(out):
            if tensor.requires_grad:
                dout = torch.from_numpy(np.asarray(rng.standard_normal(tuple(tensor.shape))))
                parts.append((tensor.double() * dout.to(self.precision.dtype).to(tensor.device).double()).sum())
        return torch.stack(parts).sum()

    def _renamed(self, run: Run) -> Run:
        """The candidate's calls under the truth's names."""
        if not self.pairs:
            return run
        calls = {self._there(path): call for path, call in run.calls.items()}
        values = {}
        for key, value in run.values.items():
            path, quantity = key.split("\0")
            values[f"{self._there(path)}\0{quantity}"] = value
        return Run(calls=calls, values=values)

    def _there(self, path: str) -> str:
        module, arrow, rest = path.partition(" ")
        return f"{self.pairs.get(module, module)}{arrow}{rest}"

    def _spread(self, truth: Run, repeats: int) -> dict[str, Tolerance]:
        return spread(
            lambda: self.run(self.there).values, truth.values, self.here.arithmetic, seed=self.seed, repeats=repeats
        )

    def _free(self, truth: Run, found: Run, allowed: Mapping[str, Tolerance]) -> dict[str, Comparison]:
        return {
            key: compare(found.values[key], expected, allowed[key], self.precision)
            for key, expected in truth.values.items()
            if key in found.values
        }

    def _forced(self, truth: Run, found: Run, *, leaves: bool) -> Iterator[tuple[str, Comparison]]:
        """Every call by itself, on the truth's own values."""
        for path, there in truth.calls.items():
            here = found.calls.get(path)
            if here is None or there.leaf is not leaves or not _alike(here, there):
                continue
            given = [t.to(h.dtype) for t, h in zip(_args(there), _args(here), strict=True)]
            douts = [there.grads[i].to(h.dtype) if i in there.grads else None for i, h in enumerate(here.outputs)]
            expected = self._again(self.there, there, given, douts)
            actual = self._again(self.here, here, given, douts)
            allowed = spread(
                lambda there=there, given=given, douts=douts: self._again(self.there, there, given, douts),  # type: ignore[misc]
                expected,
                self.here.arithmetic,
                seed=self.seed,
            )
            for quantity, value in expected.items():
                found_here = actual.get(quantity, np.zeros_like(value))  # no gradient arrives: that is zero
                yield f"{path}\0{quantity}", compare(found_here, value, allowed[quantity], self.precision)

    def _again(self, side: Side, call: Call, given: list[Tensor], douts: list[Tensor | None]) -> Values:
        """One call by itself: its outputs, the gradients of its arguments and of its own parameters, its buffers."""
        side.restore()
        starts = [side.given(t).detach().requires_grad_() for t in given]
        args, kwargs = _with(call, [t.clone() for t in starts])  # cloned: what works in place may not write to a leaf
        module = call.target if isinstance(call.target, nn.Module) else nn.Module()
        params = dict(module.named_parameters())
        with same_draws(side.device), arithmetic(tf32=side.precision.tf32), side.context():
            with Recorder(side.model, seed=self.seed, draws=call.draws):
                outs = floating(call.target(*args, **kwargs))
            values: Values = {f"out{_index(i)}": _array(t) for i, t in enumerate(outs)}
        due = [(o, side.given(d)) for o, d in zip(outs, douts, strict=False) if d is not None and o.requires_grad]
        wanted = {**{f"dx{_index(i)}": t for i, t in enumerate(starts)}, **{f"d{n}": p for n, p in params.items()}}
        if due and wanted:
            grads = torch.autograd.grad(
                [o for o, _ in due], list(wanted.values()), [d for _, d in due], allow_unused=True
            )
            values |= {name: _array(g) for name, g in zip(wanted, grads, strict=True) if g is not None}
        for name, buffer in module.named_buffers():
            if buffer.is_floating_point():
                values[name] = _array(buffer)
        return values

    def _judged(self, lines: tuple[CallLine, ...], truth: Run, found: Run) -> ModelTrace:
        only_here = tuple(path for path in found.calls if path not in truth.calls)
        only_there = tuple(path for path in truth.calls if path not in found.calls)
        culprit, reason = _culprit(lines, truth)
        strays = any(line.strays for line in lines)
        if not culprit and (only_here or only_there) and strays:
            culprit = (only_there or only_here)[0]
            reason = "the candidate never calls it" if only_there else "the truth never calls it"
        return ModelTrace(
            precision=self.precision.name,
            seed=self.seed,
            lines=lines,
            culprit=culprit,
            reason=reason,
            drifts=not culprit and strays,
            only_here=only_here,
            only_there=only_there,
        )


def carry(truth: nn.Module, candidate: nn.Module, pairs: Mapping[str, str]) -> dict[str, str]:
    """Give the candidate the truth's parameters and buffers; return the truth's module paths by the candidate's.

    By name where names agree (after `pairs`), else by order where the shapes leave no doubt.
    Raises: InputError that names the first parameter for which this fails.
    """
    there, here = truth.state_dict(), candidate.state_dict()
    names = {name: f"{pairs.get(_parent(name), _parent(name))}.{name.rpartition('.')[2]}".lstrip(".") for name in here}
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
    return {_parent(name): _parent(other) for name, other in names.items() if _parent(name) != _parent(other)}


def _culprit(lines: tuple[CallLine, ...], truth: Run) -> tuple[str, str]:
    """The first line, in order of computation, that is wrong by itself, or the first call that gets another input."""
    for line in lines:
        wired = line.quantity.startswith("in") and truth.calls[line.path].leaf if line.path in truth.calls else False
        if line.wrong and line.forced is not None:
            return line.path, f"{line.quantity} is wrong on the truth's own values: {line.forced.message}"
        if wired and line.strays and line.free is not None and not _strayed_before(lines, line):
            return line.path, f"it does not get what the truth gets: {line.free.message}"
    return "", ""


def _strayed_before(lines: tuple[CallLine, ...], line: CallLine) -> bool:
    before = lines[: lines.index(line)]
    return any(other.strays and other.quantity.startswith("out") for other in before)


def _lines(truth: Run, forced: Mapping[str, Comparison], free: Mapping[str, Comparison]) -> Iterator[CallLine]:
    """Forward in order of calls, then backward from the last call to the first."""
    keys = list(dict.fromkeys([*truth.values, *forced]))
    by_path: dict[str, list[str]] = {}
    for key in keys:
        by_path.setdefault(key.split("\0")[0], []).append(key)
    order = [*truth.calls, *(path for path in by_path if path not in truth.calls)]
    for path in order:
        yield from (_line(key, truth, forced, free) for key in by_path.get(path, ()) if _forward(key))
    for path in reversed(order):
        yield from (_line(key, truth, forced, free) for key in by_path.get(path, ()) if not _forward(key))


def _line(key: str, truth: Run, forced: Mapping[str, Comparison], free: Mapping[str, Comparison]) -> CallLine:
    path, quantity = key.split("\0")
    shape = truth.values[key].shape if key in truth.values else ()
    return CallLine(path=path, quantity=quantity, shape=shape, forced=forced.get(key), free=free.get(key))


def _forward(key: str) -> bool:
    return not key.split("\0")[1].startswith("d")


def _call(model: nn.Module, given: Any) -> Any:
    if isinstance(given, dict):
        return model(**given)
    return model(*given) if isinstance(given, tuple | list) else model(given)


def _args(call: Call) -> tuple[Tensor, ...]:
    return floating((call.args, call.kwargs))


def _alike(here: Call, there: Call) -> bool:
    """Whether the two were called with floating tensors of the same shapes."""
    return [t.shape for t in _args(here)] == [t.shape for t in _args(there)]


def _with(call: Call, tensors: list[Tensor]) -> tuple[Any, Any]:
    """The call's arguments with other floating tensors in place of its own."""
    leaves, structure = tree_flatten((call.args, call.kwargs))
    others = iter(tensors)
    leaves = [next(others) if isinstance(x, Tensor) and x.is_floating_point() else x for x in leaves]
    args, kwargs = tree_unflatten(leaves, structure)
    return args, kwargs


def _parent(name: str) -> str:
    return name.rpartition(".")[0] or ROOT


def _index(i: int) -> str:
    return f"[{i}]" if i else ""


def _array(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().numpy().copy()
