"""The far side: the stranger's code, and a loop that calls it with what comes down the channel.

Functions and pullbacks stay here and are known by a number; what crosses is names, numbers, strings and arrays.
"""

import ast
import random
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Protocol

import numpy as np

from scratchproof.sandbox import wire
from scratchproof.sandbox.failures import Raised, guarded, guarded_function
from scratchproof.sandbox.observe import observe, soil
from scratchproof.subjects.subject import ContractError, Subject, SubjectError, Unimplemented, Unsupported, load
from scratchproof.table.layers import Case, row
from scratchproof.vjp import PRECISIONS, Answer, Array, Function, Inputs, NamedPullback, Pullback, by_name, named

IN_ONE_REQUEST, MOST_KEPT = 0.5, 8  # seconds of calls in turn, and answers that differ
# The refusals that cross by name. The last resort stands last.
REFUSALS = (SubjectError, Unimplemented, ContractError, Unsupported, Raised)


def serve(channel: socket.socket) -> None:
    """Answer every request until the channel closes."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    _same_draws()
    served: _Service = _Served()
    while True:
        try:
            request = wire.receive(channel)
        except (EOFError, OSError):
            return
        if request.what.get("do") == "become":  # said by the oracle, before any stranger's code has run
            served = import_module(request.what["service"]).Served()
            wire.send(channel, wire.Message(what={}))
            continue
        for one in _each(request):
            wire.send(channel, _answered(served, one))


def _each(request: wire.Message) -> Iterator[wire.Message]:
    """The requests that came as one: each with as many of the arrays as belong to it."""
    several, arrays = request.what.get("each"), iter(request.arrays)
    if several is None:
        yield request
        return
    for what, count in several:
        yield wire.Message(what=what, arrays=[next(arrays) for _ in range(count)])


class _Service(Protocol):
    """What answers requests: a subject of the exam, or whatever else a child is told to become."""

    def answer(self, request: wire.Message) -> wire.Message: ...


def _same_draws() -> None:
    """Seed what a file may draw from without a seed of its own: whoever examines it again gets the same verdict."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def _answered(served: "_Service", request: wire.Message) -> wire.Message:
    try:
        return guarded(served.answer, request)
    except REFUSALS as error:
        return _refusal(error)


def _refusal(error: Exception) -> wire.Message:
    form = next(c for c in REFUSALS if isinstance(error, c))
    return wire.Message(what={"refusal": form.__name__, "text": str(error), "kinds": getattr(error, "kinds", ())})


class _Served:
    """One subject, and the functions and pullbacks that were asked of it, by the numbers that the asker gave them."""

    def __init__(self) -> None:
        self.subject: Subject
        self.functions: dict[int, Function] = {}
        self.pullbacks: dict[int, Pullback] = {}

    def answer(self, request: wire.Message) -> wire.Message:
        what = request.what
        for number in what.pop("forget", ()):
            self.pullbacks.pop(number, None)
        requests: dict[str, Callable[..., wire.Message]] = {
            "load": self.load,
            "ask": self.ask,
            "function": self.function,
            "spell": self.spell,
            "call": self.call,
            "pull": self.pull,
            "observe": self.observe,
            "turns": self.turns,
        }
        return requests[what.pop("do")](request.arrays, **what)

    def load(self, arrays: list[Array], spec: str, options: str) -> wire.Message:
        path = list(sys.path)
        try:
            self.subject = load(spec, **ast.literal_eval(options))
        finally:
            sys.path[:] = path
        return wire.Message(what={})

    def ask(self, arrays: list[Array], question: str, layer: str | None) -> wire.Message:
        asked = getattr(self.subject, question)
        return wire.Message(what={"value": asked if layer is None else asked(row(layer))})

    def function(
        self,
        arrays: list[Array],
        number: int,
        which: str,
        layer: str,
        case: str,
        options: str,
        names: list[str],
        precision: str,
    ) -> wire.Message:
        found = getattr(self.subject, which)(row(layer), _case(case, options, names, arrays), PRECISIONS[precision])
        if found is not None:
            self.functions[number] = guarded_function(found)
        return wire.Message(what={"there": found is not None})

    def spell(
        self, arrays: list[Array], layer: str, case: str, options: str, names: list[str], precision: str
    ) -> wire.Message:
        found = self.subject.spelled(row(layer), _case(case, options, names, arrays), PRECISIONS[precision])
        return wire.Message(what={"spelling": None if found is None else asdict(found)})

    def call(self, arrays: list[Array], function: int, names: list[str], number: int | None) -> wire.Message:
        soil(arrays)
        out, pullback = self.functions[function](**dict(zip(names, arrays, strict=True)))
        if number is not None:
            self.pullbacks[number] = NamedPullback(pullback, not isinstance(out, Mapping))
        outs = named(out)
        what = {"names": list(outs), "lone": not isinstance(out, Mapping)}
        return wire.Message(what=what, arrays=list(outs.values()))

    def pull(self, arrays: list[Array], pullback: int, names: list[str], once: bool = False) -> wire.Message:
        """The gradients for each of several cotangents; once: there will be no more of them."""
        pull = self.pullbacks.pop(pullback) if once else self.pullbacks[pullback]
        each = [arrays[at : at + len(names)] for at in range(0, len(arrays), len(names))]
        found = []
        for dout in each:
            soil(dout)
            found.append(_kept(pull(dict(zip(names, dout, strict=True)))))
        what = {"names": [[f"d{name}" for name in gradients] for gradients in found]}
        return wire.Message(what=what, arrays=[array for gradients in found for array in gradients.values()])

    def observe(self, arrays: list[Array], function: int, names: list[str], douts: list[str] | None) -> wire.Message:
        inputs, rest = dict(zip(names, arrays, strict=False)), arrays[len(names) :]
        dout = None if douts is None else dict(zip(douts, rest, strict=True))
        seen = observe(self.functions[function], inputs, dout)
        return wire.Message(what={"seen": seen.as_dict()})

    def turns(
        self, arrays: list[Array], function: int, names: list[str], douts: list[str], order: list[int]
    ) -> wire.Message:
        each = len(names) + len(douts)
        sets = [arrays[at : at + each] for at in range(0, len(arrays), each)]
        kept, said = _in_turn(self.functions[function], names, douts, [sets[at] for at in order])
        what = {"said": said, "outs": list(kept[0].outs), "grads": [f"d{name}" for name in kept[0].grads[0]]}
        return wire.Message(what=what, arrays=[array for one in kept for array in _arrays_of(one)])


def _in_turn(
    function: Function, names: list[str], douts: list[str], given: Iterable[Sequence[Array]]
) -> tuple[list[Answer], list[int]]:
    """Call and pull back again and again, until the time of one request is over or too much has been kept.

    given: the inputs and the cotangents of each call. Returns the answers that differ, and which each call gave.
    """
    call, began = by_name(function), time.monotonic()
    kept: list[Answer] = []
    said: list[int] = []
    for arrays in given:
        copies = [array.copy() for array in arrays]
        outs, pullback = call(**dict(zip(names, copies, strict=False)))
        grads = pullback(dict(zip(douts, copies[len(names) :], strict=True))) if douts else {}
        found = Answer(outs=_kept(outs), grads=(_kept(grads),))
        place = next((at for at, one in enumerate(kept) if _same(one, found)), len(kept))
        kept += [found] if place == len(kept) else []
        said.append(place)
        if len(kept) == MOST_KEPT or time.monotonic() - began > IN_ONE_REQUEST:
            break
    return kept, said


def _kept(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Copies: an author may use the same memory for the next answer."""
    return {name: np.array(value) for name, value in arrays.items()}


def _arrays_of(answer: Answer) -> list[Array]:
    return [*answer.outs.values(), *answer.grads[0].values()]


def _same(one: Answer, other: Answer) -> bool:
    """Whether two answers hold the same bits."""
    pairs = zip(_arrays_of(one), _arrays_of(other), strict=False)
    alike = len(_arrays_of(one)) == len(_arrays_of(other))
    return alike and all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


def _case(name: str, options: str, names: list[str], arrays: list[Array]) -> Case:
    """A case whose inputs are one sample: an adapter may look at names, shapes and dtypes."""

    def sample(rng: np.random.Generator) -> Inputs:
        return dict(zip(names, arrays, strict=True))

    return Case(name=name, inputs=sample, options=ast.literal_eval(options))
