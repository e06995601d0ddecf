"""A subject in a process of its own, which the exam meets as any other: `SandboxedSubject` is a `Subject`."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchproof.sandbox import wire
from scratchproof.sandbox.failures import Died, Failure, OutOfTime, Raised, plain, said
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.observe import Observed
from scratchproof.sandbox.process import Process
from scratchproof.subjects.protocol import Spelling
from scratchproof.subjects.subject import ContractError, SubjectError, Unimplemented, Unsupported
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import PRECISIONS, Answer, Array, Function, Gradients, Inputs, Outputs, Precision, Pullback

REFUSED: dict[str, Callable[[str], Exception]] = {
    c.__name__: c for c in (SubjectError, Unimplemented, ContractError, Unsupported)
}


class SandboxedSubject:
    """The subject that `load(spec, **options)` finds, loaded and called in a child process under limits.

    The child is started anew after it died. A layer that ran out of time is not called again.
    Raises: SubjectError if it cannot be loaded.
    """

    def __init__(self, spec: str, *, limits: Limits | None = None, **options: Any) -> None:
        self.name = spec
        self.limits = limits or Limits()
        self.options = options
        self.spent: dict[str | None, float] = {}
        self.late: dict[str, OutOfTime] = {}
        self.found: dict[tuple[Any, ...], _SandboxedFunction | None] = {}
        self.forget: list[int] = []
        try:
            self.process = self._started()
        except Failure as failure:
            raise SubjectError(f"{spec} cannot be loaded: {said(failure)}") from None
        self.precisions = tuple(name for name in PRECISIONS if name in self._asked("precisions", None))

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        return self._function("function", layer, case, precision)

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        return self._function("scores", layer, case, precision)

    def documents_errors(self, layer: Layer) -> bool:
        return bool(self._asked("documents_errors", layer))

    def refuses_all(self, layer: Layer) -> bool:
        return False  # that is for packages, which run in this process

    def spelled(self, layer: Layer, case: Case, precision: Precision) -> Spelling | None:
        self.revive()
        said: Any = self.request(layer.name, _about("spell", layer, case, precision)).what.get("spelling")
        try:
            return None if said is None else Spelling(**{**said, "names": tuple(said["names"])})
        except (TypeError, KeyError):
            raise Died("answered out of form") from None

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(map(str, self._asked("remarks", None)))

    def close(self) -> None:
        """End its process; nothing of it is left."""
        self.process.close()

    def request(self, layer: str | None, message: wire.Message) -> wire.Message:
        """Put a request to the living process, on the time of a layer.

        Raises: Failure, and what the adapters say of the subject.
        """
        if layer in self.late:
            raise self.late[layer]
        left = min(self.limits.row - self.spent.get(layer, 0.0), self.limits.subject - sum(self.spent.values()))
        began = time.monotonic()
        message.what["forget"] = self._forgotten()
        try:
            return _accepted(self.process.request(message, max(0.0, min(self.limits.call, left))))
        except OutOfTime as late:
            if layer is not None:
                self.late[layer] = late
            raise
        finally:
            self.spent[layer] = self.spent.get(layer, 0.0) + time.monotonic() - began

    def revive(self) -> None:
        """See to it that there is a process. Raises: Died."""
        if not self.process.alive:
            self.found, self.forget = {}, []
            try:
                self.process = self._started()
            except (SubjectError, Failure) as error:
                raise Died(f"could not be loaded a second time: {error}") from None

    def _started(self) -> Process:
        process = Process(self.limits)
        spec = str(Path(self.name).resolve()) if Path(self.name).exists() else self.name
        message = wire.Message(what={"do": "load", "spec": spec, "options": repr(self.options)})
        try:
            _accepted(process.request(message, self.limits.call))
        except SubjectError as error:
            raise SubjectError(str(error).replace(spec, self.name)) from None
        return process

    def _asked(self, question: str, layer: Layer | None) -> Any:
        self.revive()
        name = None if layer is None else layer.name
        reply = self.request(name, wire.Message(what={"do": "ask", "question": question, "layer": name}))
        return reply.what.get("value")

    def _function(self, which: str, layer: Layer, case: Case, precision: Precision) -> "_SandboxedFunction | None":
        """What `which` finds; found once for the same case, however often it is asked for."""
        self.revive()
        key = (which, layer.name, id(case), precision.name)
        if key not in self.found:
            message = _about("function", layer, case, precision)
            message.what["which"] = which
            number = self.request(layer.name, message).what["function"]
            self.found[key] = None if number is None else _SandboxedFunction(self, layer.name, number, case)
        return self.found[key]

    def _forgotten(self) -> list[int]:
        now, self.forget = self.forget[:1000], self.forget[1000:]
        return now


class _SandboxedFunction:
    """A function of the contract that lives in the child. It keeps its case, whose identity is its key."""

    def __init__(self, subject: SandboxedSubject, layer: str, number: int, case: Case) -> None:
        self.subject, self.layer, self.number, self.case = subject, layer, number, case
        self.process = subject.process

    def __call__(self, **inputs: Array) -> tuple[Any, Pullback]:
        what = {"do": "call", "function": self.number, "names": list(inputs)}
        reply = self.request(wire.Message(what=what, arrays=list(inputs.values())))
        number, outs = reply.what.get("pullback"), _by_name(reply)
        if type(number) is not int or not outs:
            raise Died("answered out of form")
        pullback = _SandboxedPullback(self, number)
        return (next(iter(outs.values())) if reply.what.get("lone") is True else outs), pullback

    def turns(self, sets: Sequence[tuple[Inputs, Outputs]], order: Sequence[int]) -> Iterator[Answer]:
        """What each of many calls gave, forward and one cotangent back: of `sets`, in the order told.

        Asked for at once, as many as half a second takes: a call by itself costs more than most functions.
        """
        left = list(order)
        while left:
            what: dict[str, Any] = {"do": "turns", "function": self.number, "order": left}
            what |= {"names": list(sets[0][0]), "douts": list(sets[0][1])}
            arrays = [array for inputs, dout in sets for array in (*inputs.values(), *dout.values())]
            said, answers = _in_turn(self.request(wire.Message(what=what, arrays=arrays)), pulled=bool(sets[0][1]))
            if len(said) > len(left):
                raise Died("answered out of form")
            yield from (answers[at] for at in said)
            left = left[len(said) :]

    def observe(self, inputs: Inputs, dout: Outputs | None) -> Observed:
        """What the child saw of its own arrays (see `observe.py`)."""
        douts = None if dout is None else list(dout)
        what = {"do": "observe", "function": self.number, "names": list(inputs), "douts": douts}
        seen: Any = self.request(wire.Message(what=what, arrays=[*inputs.values(), *(dout or {}).values()])).what.get(
            "seen"
        )
        try:
            return Observed(
                written=tuple(map(str, seen["written"])),
                written_back=tuple(map(str, seen["written_back"])),
                cache=bool(seen["cache"]),
                shared=tuple((str(a), str(b)) for a, b in seen["shared"]),
            )
        except (TypeError, KeyError, ValueError):
            raise Died("answered out of form") from None

    def request(self, message: wire.Message) -> wire.Message:
        if not self.process.alive:
            raise Died("ended its process in an earlier call")
        return self.subject.request(self.layer, message)


class _SandboxedPullback:
    """Its pullback; the cache is kept there for as long as this is kept here."""

    def __init__(self, function: _SandboxedFunction, number: int) -> None:
        self.function, self.number = function, number

    def __call__(self, dout: Any) -> Gradients:
        names = list(dout) if isinstance(dout, Mapping) else None
        arrays = [dout] if names is None else list(dout.values())
        what = {"do": "pull", "pullback": self.number, "names": names}
        gradients = _by_name(self.function.request(wire.Message(what=what, arrays=arrays)))
        return {name[1:]: gradient for name, gradient in gradients.items()}

    def __del__(self) -> None:
        if self.function.process is self.function.subject.process:
            self.function.subject.forget.append(self.number)


def _about(do: str, layer: Layer, case: Case, precision: Precision) -> wire.Message:
    """A request about a row's case, with one sample of its inputs."""
    sample = case.inputs(np.random.default_rng(0))
    what = {
        "do": do,
        "layer": layer.name,
        "case": case.name,
        "options": repr(dict(case.options)),
        "names": list(sample),
        "precision": precision.name,
    }
    return wire.Message(what=what, arrays=list(sample.values()))


def _by_name(reply: wire.Message) -> dict[str, Array]:
    names = reply.what.get("names")
    if not isinstance(names, list) or len(names) != len(reply.arrays) or not all(type(n) is str for n in names):
        raise Died("answered out of form")
    return dict(zip(names, reply.arrays, strict=True))


def _in_turn(reply: wire.Message, *, pulled: bool) -> tuple[list[int], list[Answer]]:
    """Which answer each call gave, and the answers; pulled: whether a cotangent was pulled back."""
    said, outs, grads = (reply.what.get(key) for key in ("said", "outs", "grads"))
    if not (isinstance(said, list) and isinstance(outs, list) and isinstance(grads, list) and said and outs):
        raise Died("answered out of form")
    each, answers = len(outs) + len(grads), []
    for at in range(0, len(reply.arrays), each):
        arrays = reply.arrays[at : at + each]
        back = {str(name)[1:]: value for name, value in zip(grads, arrays[len(outs) :], strict=False)}
        found = dict(zip(map(str, outs), arrays, strict=False))
        answers.append(Answer(outs=found, grads=(back,) if pulled else ()))
    if len(reply.arrays) % each or not all(type(at) is int and 0 <= at < len(answers) for at in said):
        raise Died("answered out of form")
    return said, answers


def _accepted(reply: wire.Message) -> wire.Message:
    """The reply, unless it says that there is none."""
    refusal = reply.what.get("refusal")
    if refusal is None:
        return reply
    text, kinds = plain(str(reply.what.get("text", ""))), reply.what.get("kinds")
    if refusal in REFUSED:
        raise REFUSED[refusal](text)
    raise Raised(text, tuple(map(str, kinds)) if isinstance(kinds, list) else ())
