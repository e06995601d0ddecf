"""Any torch model, call by call: which layer goes wrong first, and is it wrong, or is it rounding?

The truth is the model's own float64 copy on the CPU, or another implementation with the same parameters. Every call
is judged twice. Teacher-forced, it gets what the truth has there, so that an error shows where it is made;
free-running, it is what it was on the way of the candidate's own values. What is allowed is derived from disturbed
float64 runs of the truth, of each call by itself and of the whole.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from scratchproof.errors import InputError
from scratchproof.exam.compare import Comparison, compare
from scratchproof.oracle.tolerance import REPEATS, Tolerance, spread
from scratchproof.progress import progress
from scratchproof.tracing.calls import Call, floating
from scratchproof.tracing.sides import Run, Side, Values, arguments, carry
from scratchproof.vjp import PRECISIONS

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
class Trace:
    """What `trace` found: its lines in order of computation, and the first divergence, if any. Prints as a tree.

    culprit: the path of the first call that is wrong by itself, or whose input is not the truth's ("" where all
    agree). reason: a sentence. drifts: every call is right by itself, and yet the whole strays beyond what rounding
    explains: it took another side of a kink. only_here, only_there: calls that one side alone makes.

    >>> import torch
    >>> found = trace(torch.nn.Linear(3, 4), inputs=torch.ones(2, 3))
    >>> found.passed, found.culprit, found.drifts
    (True, '', False)
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

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.culprit:
            return f"first divergence: {self.culprit}: {self.reason}"
        if self.drifts:
            return (
                "every call is right by itself; the whole strays beyond its allowance: it drifts across a kink "
                "(a ReLU or a maximum that falls on the other side)"
            )
        return f"every call agrees in {self.precision}, by itself and in the whole"

    @property
    def problem(self) -> str:
        """What `assert_passes` says: nothing where all agree or the whole only drifts."""
        return self.verdict if self.culprit else ""

    def __str__(self) -> str:
        from scratchproof.tracing.tree import printed

        return printed(self)


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

    candidate: any module, in train or eval mode. truth: another implementation, which lends the candidate its
        parameters; without one, the candidate's own float64 copy on the CPU.
    inputs: a tensor, a tuple of positional arguments, or a dictionary of keyword arguments.
    loss: of the model's output; without one, every output meets a random signed cotangent.
    precision: of float64, float32, tf32, float16, bfloat16: what the candidate computes in; with `autocast` its
        parameters stay float32. device: where the candidate runs.
    pairs: the truth's module paths by the candidate's, where they differ.
    The models are copied: neither is changed. Of tensors with more than 8,192 elements that many stand for all; what
    is wrong with a call is then looked for in the whole of them.
    Raises: InputError for arguments that make no sense, a compiled model, or where the parameters of the two cannot
        be told which is which.

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
        if hasattr(model, "_orig_mod"):
            raise InputError("a compiled model is one call: give the model that was compiled")
    pair = _Pair(candidate, truth, PRECISIONS[precision], device, autocast, pairs or {}, seed)
    return pair.trace(inputs, loss)


class _Pair:
    """The two sides of a trace, and what each quantity is allowed between them."""

    def __init__(
        self,
        candidate: nn.Module,
        truth: nn.Module | None,
        precision: Any,
        device: str,
        autocast: bool,
        pairs: Mapping[str, str],
        seed: int,
    ) -> None:
        self.precision, self.seed = precision, seed
        dtype = torch.float32 if autocast else precision.dtype
        here = copy.deepcopy(candidate).to(device, dtype)
        there = copy.deepcopy(here if truth is None else truth).cpu().double()
        self.pairs = {**pairs, **({} if truth is None else carry(there, here, pairs))}
        if truth is not None:
            for p in there.parameters():  # the truth starts from what the candidate's format holds
                p.data.copy_(p.data.to(dtype))
        told: dict[str, Any] = {"seed": seed}
        self.here = Side(model=here, precision=precision, device=device, dtype=dtype, autocast=autocast, **told)
        self.there = Side(model=there, precision=PRECISIONS["float64"], **told)

    def trace(self, inputs: Any, loss: Loss | None) -> Trace:
        self.inputs = tree_map_only(Tensor, lambda t: t.to(self.here.dtype) if t.is_floating_point() else t, inputs)
        self.total = loss or self._against_random
        truth, found = self.there.run(self.inputs, self.total), self._renamed(self.here.run(self.inputs, self.total))
        free = self._free(truth, found, REPEATS)
        forced = dict(self._forced(truth, found, leaves=True))
        if any(c.problem for c in free.values()) and not any(c.problem for c, _ in forced.values()):
            # Every call is right by itself: has the whole only taken another side of a kink? Look more often, unless
            # a pass forward is beyond doubt: across a kink values do not jump, only gradients do.
            if not any(c.problem == "value" and _forward(key) for key, c in free.items()):
                free = self._free(truth, found, 6 * REPEATS)
            if any(c.problem for c in free.values()):
                forced |= dict(self._forced(truth, found, leaves=False))
        return self._judged(tuple(_lines(truth, forced, free)), truth, found)

    def _against_random(self, out: Any) -> Tensor:
        rng = np.random.default_rng(self.seed)
        parts = []
        for tensor in floating(out):
            if tensor.requires_grad:
                dout = torch.from_numpy(np.asarray(rng.standard_normal(tuple(tensor.shape))))
                parts.append((tensor.double() * dout.to(self.precision.dtype).to(tensor.device).double()).sum())
        return torch.stack(parts).sum()

    def _renamed(self, run: Run) -> Run:
        """The candidate's calls under the truth's names."""

        def there(key: str) -> str:
            path, null, quantity = key.partition("\0")
            module, arrow, rest = path.partition(" ")
            return f"{self.pairs.get(module, module)}{arrow}{rest}{null}{quantity}"

        if not self.pairs:
            return run
        return Run(
            calls={there(path): call for path, call in run.calls.items()},
            values={there(key): value for key, value in run.values.items()},
            shapes={there(key): shape for key, shape in run.shapes.items()},
        )

    def _free(self, truth: Run, found: Run, repeats: int) -> dict[str, Comparison]:
        """Everything on the way of the candidate's own values."""
        allowed = self._spread(lambda: self.there.run(self.inputs, self.total).values, truth.values, repeats)
        compared = {}
        for key, expected in truth.values.items():
            if key in found.values and truth.shapes[key] == found.shapes[key]:
                compared[key] = compare(found.values[key], expected, allowed[key], self.precision)
            elif key in found.values:
                message = f"has shape {found.shapes[key]}, but should be {truth.shapes[key]}"
                compared[key] = Comparison(problem="shape", message=message)
        return compared

    def _spread(self, compute: Callable[[], Values], truth: Values, repeats: int = REPEATS) -> dict[str, Tolerance]:
        return spread(compute, truth, self.here.computes, seed=self.seed, repeats=repeats)

    def _forced(self, truth: Run, found: Run, *, leaves: bool) -> Iterator[tuple[str, tuple[Comparison, Any]]]:
        """Every call by itself, on the truth's own values."""
        wanted = [(path, call) for path, call in truth.calls.items() if call.leaf is leaves]
        with progress("tracing") as advance:
            for done, (path, there) in enumerate(wanted):
                advance(done, len(wanted))
                here = found.calls.get(path)
                if here is None or not _alike(here, there):
                    continue
                judged = self._compared(here, there, whole=False)
                if any(comparison.problem for comparison, _ in judged.values()):
                    judged = self._compared(here, there, whole=True)
                yield from ((f"{path}\0{quantity}", result) for quantity, result in judged.items())

    def _compared(self, here: Call, there: Call, *, whole: bool) -> dict[str, tuple[Comparison, tuple[int, ...]]]:
        """One call of the candidate on what the truth's was given, and the shape of each quantity."""
        given = [t.to(h.dtype) for t, h in zip(arguments(there), arguments(here), strict=True)]
        douts = [there.grads[i].to(h.dtype) if i in there.grads else None for i, h in enumerate(here.outputs)]
        expected = self.there.again(there, given, douts, whole=whole)
        actual = self.here.again(here, given, douts, whole=whole)
        allowed = self._spread(lambda: self.there.again(there, given, douts, whole=whole), expected)
        found = {}
        for quantity, value in expected.items():
            got = actual.get(quantity, np.zeros_like(value))  # no gradient arrives: that is zero
            found[quantity] = compare(got, value, allowed[quantity], self.precision), value.shape
        return found

    def _judged(self, lines: tuple[CallLine, ...], truth: Run, found: Run) -> Trace:
        only_here = tuple(path for path in found.calls if path not in truth.calls)
        only_there = tuple(path for path in truth.calls if path not in found.calls)
        culprit, reason = _culprit(lines, truth)
        strays = any(line.strays for line in lines)
        if not culprit and (only_here or only_there) and strays:
            culprit = (only_there or only_here)[0]
            reason = "the candidate never calls it" if only_there else "the truth never calls it"
        return Trace(
            precision=self.precision.name,
            seed=self.seed,
            lines=lines,
            culprit=culprit,
            reason=reason,
            drifts=not culprit and strays,
            only_here=only_here,
            only_there=only_there,
        )


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


def _lines(truth: Run, forced: Mapping[str, Any], free: Mapping[str, Comparison]) -> Iterator[CallLine]:
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


def _line(key: str, truth: Run, forced: Mapping[str, Any], free: Mapping[str, Comparison]) -> CallLine:
    path, quantity = key.split("\0")
    by_itself, shape = forced.get(key, (None, ()))
    shape = truth.shapes.get(key, shape)
    return CallLine(path=path, quantity=quantity, shape=shape, forced=by_itself, free=free.get(key))


def _forward(key: str) -> bool:
    return not key.split("\0")[1].startswith("d")


def _alike(here: Call, there: Call) -> bool:
    """Whether the two were called with floating tensors of the same shapes."""
    return [t.shape for t in arguments(here)] == [t.shape for t in arguments(there)]
