"""The far side: the stranger's code, and a loop that calls it with what comes down the channel.

Functions and pullbacks stay here and are known by a number; what crosses is names, numbers, strings and arrays.
"""

import ast
import socket
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchproof.sandbox import wire
from scratchproof.sandbox.failures import Raised, guarded, guarded_function
from scratchproof.sandbox.observe import observe
from scratchproof.subjects.subject import ContractError, Subject, SubjectError, Unsupported, load
from scratchproof.table.layers import Case, row
from scratchproof.vjp import PRECISIONS, Array, Function, Inputs, Pullback

# The refusals that cross by name. The last resort stands last.
REFUSALS = (SubjectError, ContractError, Unsupported, Raised)


def serve(channel: socket.socket) -> None:
    """Answer every request until the channel closes."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    served = _Served()
    while True:
        try:
            request = wire.receive(channel)
        except (EOFError, OSError):
            return
        wire.send(channel, _answered(served, request))


def _answered(served: "_Served", request: wire.Message) -> wire.Message:
    try:
        reply = guarded(served.answer, request)
    except REFUSALS as error:
        return _refusal(error)
    too_large = _too_large(reply)
    return _refusal(ContractError(too_large)) if too_large else reply


def _refusal(error: Exception) -> wire.Message:
    form = next(c for c in REFUSALS if isinstance(error, c))
    return wire.Message(what={"refusal": form.__name__, "text": str(error), "kinds": getattr(error, "kinds", ())})


def _too_large(reply: wire.Message) -> str:
    """What to say of a reply that no message may hold; before anything is copied."""
    if sum(array.nbytes for array in reply.arrays) <= wire.LARGEST_BODY:
        return ""
    name, largest = max(zip(reply.what["names"], reply.arrays, strict=True), key=lambda pair: pair[1].nbytes)
    return f"{name} has shape {largest.shape}, {largest.nbytes:,} bytes: too large to be looked at"


class _Served:
    """One subject, and the functions and pullbacks that were asked of it."""

    def __init__(self) -> None:
        self.subject: Subject
        self.functions: list[Function] = []
        self.pullbacks: dict[int, Pullback] = {}
        self.pulled = 0

    def answer(self, request: wire.Message) -> wire.Message:
        what = request.what
        for number in what.pop("forget", ()):
            self.pullbacks.pop(number, None)
        requests: dict[str, Callable[..., wire.Message]] = {
            "load": self.load,
            "ask": self.ask,
            "function": self.function,
            "call": self.call,
            "pull": self.pull,
            "observe": self.observe,
        }
        return requests[what.pop("do")](request.arrays, **what)

    def load(self, arrays: list[Array], spec: str, options: str) -> wire.Message:
        self.subject = load(spec, **ast.literal_eval(options))
        return wire.Message(what={})

    def ask(self, arrays: list[Array], question: str, layer: str | None) -> wire.Message:
        asked = getattr(self.subject, question)
        return wire.Message(what={"value": asked if layer is None else asked(row(layer))})

    def function(
        self, arrays: list[Array], which: str, layer: str, case: str, options: str, names: list[str], precision: str
    ) -> wire.Message:
        found = getattr(self.subject, which)(row(layer), _case(case, options, names, arrays), PRECISIONS[precision])
        if found is None:
            return wire.Message(what={"function": None})
        self.functions.append(guarded_function(found))
        return wire.Message(what={"function": len(self.functions) - 1})

    def call(self, arrays: list[Array], function: int, names: list[str]) -> wire.Message:
        out, pullback = self.functions[function](**dict(zip(names, arrays, strict=True)))
        self.pulled += 1
        self.pullbacks[self.pulled] = pullback
        return wire.Message(what={"pullback": self.pulled, "names": ["out"]}, arrays=[out])

    def pull(self, arrays: list[Array], pullback: int) -> wire.Message:
        gradients = self.pullbacks[pullback](*arrays)
        return wire.Message(what={"names": [f"d{name}" for name in gradients]}, arrays=list(gradients.values()))

    def observe(self, arrays: list[Array], function: int, names: list[str]) -> wire.Message:
        inputs, dout = dict(zip(names, arrays, strict=False)), arrays[len(names) :]
        seen = observe(self.functions[function], inputs, dout[0] if dout else None)
        return wire.Message(what={"seen": seen.as_dict()})


def _case(name: str, options: str, names: list[str], arrays: list[Array]) -> Case:
    """A case whose inputs are one sample: an adapter may look at names, shapes and dtypes."""

    def sample(rng: np.random.Generator) -> Inputs:
        return dict(zip(names, arrays, strict=True))

    return Case(name=name, inputs=sample, options=ast.literal_eval(options))


