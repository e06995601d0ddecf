"""A subject in a process of its own, which the exam meets as any other: `SandboxedSubject` is a `Subject`."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from scratchproof.sandbox import wire
from scratchproof.sandbox.failures import Died, Failure, OutOfTime, Raised, plain, said
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.observe import Observed, Question, Reply
from scratchproof.sandbox.process import Process
from scratchproof.subjects.protocol import Spelling
from scratchproof.subjects.subject import ContractError, SubjectError, Unimplemented, Unsupported
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import PRECISIONS, Answer, Array, Function, Gradients, Inputs, Outputs, Precision, Pullback, named

TOGETHER = 128  # arrays that are sent at once, beside those of one question
REFUSALS = (SubjectError, Unimplemented, ContractError, Unsupported)
REFUSED: dict[str, Callable[[str], Exception]] = {c.__name__: c for c in REFUSALS}


_Key: TypeAlias = tuple[str, str, int, str]
"""What is asked for ("function", "scores"), the layer, which case, the precision."""


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
        self.found: dict[_Key, _SandboxedFunction | Exception | None] = {}
        self.forget: list[int] = []
        self.numbers = count()
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

    def answers(self, layer: Layer, precision: Precision, questions: Sequence[Question]) -> Iterator[Reply]:
        """What becomes of each question, in their order; many are sent at once, and each call has its own time.

        Where the process ends over one of them, the next is put to a new one.
        """
        left = deque(questions)
        while left:
            try:
                self.revive()
            except Failure as failure:
                yield from (Reply(failure=failure) for _ in left)
                return
            asked = self._together(layer, precision, left)
            replies = self._several(layer.name, [message for one in asked for message in one.messages])
            for one in asked:
                left.popleft()
                yield one.reply(replies)
                if not replies:
                    break

    def close(self) -> None:
        """End its process; nothing of it is left."""
        self.process.close()

    def request(self, layer: str | None, message: wire.Message) -> wire.Message:
        """Put a request to the living process, on the time of a layer.

        Raises: Failure, and what the adapters say of the subject.
        """
        message.what["forget"] = self._forgotten()
        return self._in_time(layer, lambda seconds: self.process.request(message, seconds))

    def _several(self, layer: str, messages: Sequence[wire.Message]) -> deque[wire.Message | Exception]:
        """The replies to requests that are sent as one; the last is a failure if the process ended over it."""
        what = {"each": [(message.what, len(message.arrays)) for message in messages]}
        together = wire.Message(what=what, arrays=[array for message in messages for array in message.arrays])
        replies: deque[wire.Message | Exception] = deque()
        exchange: Callable[[float], wire.Message] = lambda seconds: self.process.request(together, seconds)  # noqa: E731
        while len(replies) < len(messages) and self.process.alive:
            try:
                replies.append(self._in_time(layer, exchange))
            except (Failure, *REFUSALS) as error:
                replies.append(error)
            exchange = self.process.another
        return replies

    def _in_time(self, layer: str | None, exchange: Callable[[float], wire.Message]) -> wire.Message:
        """A reply, had within the time of one call, and of what a layer and the whole subject have left."""
        if layer in self.late:
            raise self.late[layer]
        left = min(self.limits.row - self.spent.get(layer, 0.0), self.limits.subject - sum(self.spent.values()))
        began = time.monotonic()
        try:
            return _accepted(exchange(max(0.0, min(self.limits.call, left))))
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
            message = self._finding(key, layer, case, precision)
            try:
                self.heard(key, self.request(layer.name, message))
            except (Failure, *REFUSALS) as error:
                self.heard(key, error)
        return self.known(key)

    def _finding(self, key: _Key, layer: Layer, case: Case, precision: Precision) -> wire.Message:
        """The request for a function, which is taken to be there until the reply says otherwise."""
        self.found[key] = function = _SandboxedFunction(self, layer.name, next(self.numbers), case)
        message = _about("function", layer, case, precision)
        message.what.update(which=key[0], number=function.number)
        return message

    def heard(self, key: _Key, reply: wire.Message | Exception) -> None:
        """Keep what was said of a function: that it is there, that it is not, or why it cannot be had."""
        if isinstance(reply, Exception):
            self.found[key] = reply
        elif reply.what.get("there") is not True:
            self.found[key] = None

    def known(self, key: _Key) -> "_SandboxedFunction | None":
        """What was said of it. Raises: what was refused."""
        found = self.found[key]
        if isinstance(found, Exception):
            raise found
        return found

    def _together(self, layer: Layer, precision: Precision, questions: Iterable[Question]) -> "list[_Asked]":
        """The first of the questions, as many as may be sent at once."""
        asked: list[_Asked] = []
        for question in questions:
            asked.append(self._asking(layer, precision, question))
            if sum(len(message.arrays) for one in asked for message in one.messages) > TOGETHER:
                break
        return asked

    def _asking(self, layer: Layer, precision: Precision, question: Question) -> "_Asked":
        key = ("function", layer.name, id(question.case), precision.name)
        messages = [] if key in self.found else [self._finding(key, layer, question.case, precision)]
        asked = _Asked(self, key, messages, finds=bool(messages), pulls=len(question.douts))
        if isinstance(function := self.found[key], _SandboxedFunction):
            number = next(self.numbers) if question.douts else None
            messages.append(function.calling(question.inputs, number))
            if number is not None:
                messages.append(_pulling(number, question.douts, once=True))
        return asked

    def _forgotten(self) -> list[int]:
        now, self.forget = self.forget[:1000], self.forget[1000:]
        return now


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that was sent: the requests that it took. finds: whether the first is for the function itself.

    pulls: how many cotangents are pulled back.
    """

    subject: SandboxedSubject
    key: _Key
    messages: list[wire.Message]
    finds: bool
    pulls: int

    def reply(self, replies: deque[wire.Message | Exception]) -> Reply:
        """What became of it, by the replies to its requests, which are taken from those to all."""
        heard = [replies.popleft() for _ in self.messages if replies]
        outs: Outputs | None = None
        try:
            if self.finds:
                self.subject.heard(self.key, heard.pop(0))
            if self.subject.known(self.key) is None:
                raise ContractError("is no longer there")
            outs = _by_name(_given(heard[0]))
            return Reply(outs, _gradients(_given(heard[1]), self.pulls) if self.pulls else ())
        except Unsupported as error:
            return Reply(outs, failure=ContractError(str(error)))
        except (Failure, ContractError) as error:
            return Reply(outs, failure=error)


class _SandboxedFunction:
    """A function of the contract that lives in the child. It keeps its case, whose identity is its key."""

    def __init__(self, subject: SandboxedSubject, layer: str, number: int, case: Case) -> None:
        self.subject, self.layer, self.number, self.case = subject, layer, number, case
        self.process = subject.process

    def __call__(self, **inputs: Array) -> tuple[Any, Pullback]:
        number = next(self.subject.numbers)
        reply = self.request(self.calling(inputs, number))
        outs, pullback = _by_name(reply), _SandboxedPullback(self, number)
        return (next(iter(outs.values())) if reply.what.get("lone") is True else outs), pullback

    def calling(self, inputs: Inputs, number: int | None) -> wire.Message:
        """The request for a call. number: of the pullback, which is kept; None if there will be no pull."""
        what = {"do": "call", "function": self.number, "names": list(inputs), "number": number}
        return wire.Message(what=what, arrays=list(inputs.values()))

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
        (gradients,) = _gradients(self.function.request(_pulling(self.number, [named(dout)])), 1)
        return gradients

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


def _pulling(pullback: int, douts: Sequence[Outputs], *, once: bool = False) -> wire.Message:
    """The request for the gradients of some cotangents, all of the same names."""
    what = {"do": "pull", "pullback": pullback, "names": list(douts[0]), "once": once}
    return wire.Message(what=what, arrays=[value for dout in douts for value in dout.values()])


def _given(reply: wire.Message | Exception) -> wire.Message:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _by_name(reply: wire.Message) -> dict[str, Array]:
    names = reply.what.get("names")
    if not names or not _strings(names) or len(names) != len(reply.arrays):
        raise Died("answered out of form")
    return dict(zip(names, reply.arrays, strict=True))


def _gradients(reply: wire.Message, count: int) -> tuple[Gradients, ...]:
    """For each of so many cotangents the gradients by the names of the inputs."""
    names, arrays = reply.what.get("names"), iter(reply.arrays)
    if not (isinstance(names, list) and len(names) == count and all(_strings(one) for one in names)):
        raise Died("answered out of form")
    if sum(map(len, names)) != len(reply.arrays):
        raise Died("answered out of form")
    return tuple({name[1:]: next(arrays) for name in one} for one in names)


def _strings(names: object) -> bool:
    return isinstance(names, list) and all(type(name) is str for name in names)


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
