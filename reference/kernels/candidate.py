"""The near side of a candidate: requests to its process, and what comes back, checked before it is believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scratchproof.errors import InputError
from scratchproof.kernels.served import Served
from scratchproof.kernels.tensors import DTYPES, of_bits, packed
from scratchproof.sandbox.failures import Died, Raised, guarded, plain
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.process import Process
from scratchproof.sandbox.wire import Message
from scratchproof.vjp import Array

WARMING = 6  # times as long as any other call the first may take
SERVICE = "scratchproof.kernels.served"


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One call, as the candidate's process tells it. outs: float64 arrays (or whole numbers) by name.

    facts: of each output: type ("" for a plain tensor), dtype, device, layout, shared, graph.
    """

    number: int
    outs: dict[str, Array]
    facts: dict[str, dict[str, Any]]
    changed: tuple[str, ...]
    threads: tuple[str, ...]
    patched: tuple[str, ...]


class Candidate:
    """A candidate in a process of its own, or an object in this one. Every failure of it is a `Failure`.

    Raises: InputError for a file that cannot be read.
    """

    def __init__(self, subject: Any, wanted: Sequence[str], device: str, limits: Limits) -> None:
        self.limits, self.wanted, self.device = limits, wanted, device
        self.object = None if isinstance(subject, str | Path) else subject
        self.path, _, self.name = str(subject).partition(":") if self.object is None else ("", "", "")
        self.source = _read(self.path) if self.object is None else ""
        self.process: Process | None = None
        self.here: Served | None = None
        self.kind = ""
        self.cold = True  # until the first call, in which a compiler may be at work

    @property
    def in_process(self) -> bool:
        return self.object is not None

    def start(self, source: str, *, poison: bool = True) -> None:
        """Load the text (which may be written for other sizes than the file), in a new process.

        poison: whether fresh memory there is full of what is no result.
        """
        self.close()
        if self.in_process:
            self.here = Served(self.object)
        else:
            self.process = Process(self.limits)
            self.process.request(Message(what={"do": "become", "service": SERVICE}), self.limits.call)
        what = {"do": "load", "source": source, "name": self.name, "wanted": list(self.wanted), "device": self.device}
        self.kind = str(self.request(Message(what={**what, "poison": poison})).what.get("kind"))

    def close(self) -> None:
        if self.process is not None:
            self.process.close()
        self.process = self.here = None

    @property
    def alive(self) -> bool:
        return self.here is not None or (self.process is not None and self.process.alive)

    def request(self, message: Message) -> Message:
        """Raises: Failure."""
        if self.here is not None:
            return guarded(self.here.answer, message)
        if self.process is None:
            raise Died("is not running")
        patience = WARMING if message.what["do"] in ("load", "build") or self.cold else 1
        self.cold = self.cold and message.what["do"] != "call"
        reply = self.process.request(message, patience * self.limits.call)
        if reply.what.get("refusal") is not None:
            kinds = reply.what.get("kinds")
            raise Raised(
                plain(str(reply.what.get("text", ""))), tuple(map(str, kinds if isinstance(kinds, list) else ()))
            )
        return reply

    def build(self, init: Any, state: Mapping[str, Tensor], dtype: str, seed: int) -> tuple[int, tuple[str, ...]]:
        """A model, and the names of the parameters and buffers that it took over."""
        arrays: list[Array] = []
        dtypes: list[str] = []
        tree = packed(init, arrays, dtypes)
        packed(list(state.values()), arrays, dtypes)
        what = {"do": "build", "init": tree, "dtypes": dtypes, "names": list(state), "dtype": dtype, "seed": seed}
        reply = self.request(Message(what=what, arrays=arrays)).what
        return int(reply["model"]), tuple(map(str, reply["matched"]))

    def hand(self, model: int, state: Mapping[str, Tensor]) -> None:
        """Other values for the parameters and buffers of a model."""
        arrays: list[Array] = []
        dtypes: list[str] = []
        packed(list(state.values()), arrays, dtypes)
        self.request(
            Message(what={"do": "hand", "model": model, "dtypes": dtypes, "names": list(state)}, arrays=arrays)
        )

    def held(self, model: int, state: Mapping[str, Tensor]) -> dict[str, Array]:
        """What is now in those of its parameters and buffers that such a state would be written to."""
        shapes = [list(tensor.shape) for tensor in state.values()]
        reply = self.request(Message(what={"do": "held", "model": model, "names": list(state), "shapes": shapes}))
        names = _words(reply.what.get("names"))
        found = _all_floats(reply)
        if len(names) != len(found):
            raise Died("answered out of form")
        return dict(zip(names, found, strict=True))

    def call(self, model: int, args: Any, names: Sequence[str], wanted: Sequence[str], **how: Any) -> Called:
        """One call forward. names: of the tensors among the arguments, in order."""
        arrays: list[Array] = []
        dtypes: list[str] = []
        tree = packed(args, arrays, dtypes)
        what = {"do": "call", "model": model, "args": tree, "dtypes": dtypes, "names": list(names), **how}
        reply = self.request(Message(what={**what, "wanted": list(wanted)}, arrays=arrays))
        return _called(reply)

    def pull(self, call: int, model: int, douts: Mapping[str, Tensor], wanted: Sequence[str]) -> dict[str, Array]:
        """Gradients by name, of those that anything arrives at."""
        arrays: list[Array] = []
        dtypes: list[str] = []
        packed(list(douts.values()), arrays, dtypes)
        about = {"call": call, "model": model, "dtypes": dtypes, "names": list(douts), "wanted": list(wanted)}
        reply = self.request(Message(what={"do": "pull", **about}, arrays=arrays))
        grads = reply.what.get("grads")
        if not isinstance(grads, dict) or len(grads) != len(reply.arrays):
            raise Died("answered out of form")
        return {n: _floats(a, str(d)) for (n, d), a in zip(grads.items(), reply.arrays, strict=True)}

    def read(self, call: int) -> list[Array]:
        """The outputs of an earlier call as they are now."""
        reply = self.request(Message(what={"do": "read", "call": call}))
        return _all_floats(reply)

    def repeat(
        self, model: int, args: Any, other: Any, names: Sequence[str], count: int
    ) -> tuple[list[int], list[Array]]:
        """Many calls in turn: for each, its place among the different results; and these, one after another."""
        arrays: list[Array] = []
        dtypes: list[str] = []
        tree = packed(args, arrays, dtypes)
        packed(other, arrays, [])
        what = {"do": "repeat", "model": model, "args": tree, "dtypes": dtypes, "names": list(names), "count": count}
        reply = self.request(Message(what=what, arrays=arrays))
        turns = reply.what.get("turns")
        if not isinstance(turns, list) or not all(type(turn) is int for turn in turns):
            raise Died("answered out of form")
        return turns, _all_floats(reply)

    def timed(
        self, model: int, args: Any, other: Any, names: Sequence[str], count: int, cold: bool
    ) -> tuple[list[float], list[Array]]:
        """The seconds of some calls on two sets of inputs in turn, and what the last of them returned."""
        arrays: list[Array] = []
        dtypes: list[str] = []
        tree = packed(args, arrays, dtypes)
        packed(other, arrays, [])
        what = {"do": "time", "model": model, "args": tree, "dtypes": dtypes, "names": list(names), "count": count}
        reply = self.request(Message(what={**what, "cold": cold}, arrays=arrays))
        return _seconds(reply), _all_floats(reply)

    def copied(self, size: int) -> float:
        """Seconds in which so many bytes are read and written."""
        return min(_seconds(self.request(Message(what={"do": "copy", "size": size}))))

    def listed(self, model: int, args: Any, names: Sequence[str]) -> tuple[str, ...]:
        arrays: list[Array] = []
        dtypes: list[str] = []
        tree = packed(args, arrays, dtypes)
        what = {"do": "list", "model": model, "args": tree, "dtypes": dtypes, "names": list(names)}
        found = self.request(Message(what=what, arrays=arrays)).what.get("called")
        return tuple(map(str, found)) if isinstance(found, list) else ()


def _called(reply: Message) -> Called:
    what = reply.what
    facts = what.get("outs")
    if not isinstance(facts, dict) or not all(isinstance(fact, dict) for fact in facts.values()):
        raise Died("answered out of form")
    held = [name for name, fact in facts.items() if not fact.get("type") and fact.get("dtype") in DTYPES]
    held = [name for name in held if facts[name].get("layout") == str(torch.strided)]
    if len(held) != len(reply.arrays):
        raise Died("answered out of form")
    outs = {n: _floats(a, str(facts[n]["dtype"])) for n, a in zip(held, reply.arrays, strict=True)}
    return Called(
        number=int(what.get("call", 0)),
        outs=outs,
        facts=facts,
        changed=_words(what.get("changed")),
        threads=_words(what.get("threads")),
        patched=_words(what.get("patched")),
    )


def _seconds(reply: Message) -> list[float]:
    found = reply.what.get("seconds")
    if not isinstance(found, list) or not found or not all(isinstance(s, float) and s > 0 for s in found):
        raise Died("answered out of form")
    return found


def _all_floats(reply: Message) -> list[Array]:
    dtypes = reply.what.get("dtypes")
    if not isinstance(dtypes, list) or len(dtypes) != len(reply.arrays):
        raise Died("answered out of form")
    return [_floats(array, str(dtype)) for array, dtype in zip(reply.arrays, dtypes, strict=True)]


def _words(value: Any) -> tuple[str, ...]:
    return tuple(plain(str(item)) for item in value) if isinstance(value, list) else ()


def _floats(array: Array, dtype: str) -> Array:
    """The numbers of a tensor, floating ones in float64."""
    try:
        tensor = of_bits(array, dtype)
    except (KeyError, TypeError, RuntimeError):
        raise Died("answered out of form") from None
    found: Array = tensor.double().numpy() if tensor.is_floating_point() else tensor.numpy()
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
