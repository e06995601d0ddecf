"""What can become of a call of a stranger's function, told in plain words: it raised, it died, it took too long."""

import builtins
from collections.abc import Callable
from typing import Any, TypeVar

from scratchproof.subjects.subject import ContractError, SubjectError, Unsupported
from scratchproof.vjp import Array, Function, Gradients, Pullback, named

T = TypeVar("T")
LONGEST = 500  # characters of a message
LARGEST = 2**28  # bytes of what one call returns
OURS = (SubjectError, ContractError, Unsupported)  # said by the adapters, not by the stranger


class Failure(Exception):
    """The subject gave no answer. The message is plain text, safe to print on a line of its own."""


class Raised(Failure):
    """It raised. kinds: the names of the built-in exceptions that it is, the nearest first."""

    def __init__(self, message: str, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.kinds = kinds


class Died(Failure):
    """Its process ended in the middle of a call, or spoke what no subject may say."""


class OutOfTime(Failure):
    """It was still at work when its time was over."""


def said(failure: Failure) -> str:
    """The failure as the rest of a sentence: what it raised, or what it did."""
    return f"raised {failure}" if isinstance(failure, Raised) else f"{failure}"


def guarded(call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """`call(...)`, where whatever it raises arrives as `Raised`, except what the adapters say and Ctrl-C."""
    try:
        return call(*arguments, **named)
    except (Failure, KeyboardInterrupt, *OURS):
        raise
    except BaseException as error:
        raise Raised(telling(error), kinds(error)) from None


def guarded_function(function: Function) -> Function:
    """A function of the contract that fails only by a `Failure` or by what the adapters say of it."""

    def call(**inputs: Array) -> tuple[Any, Pullback]:
        out, pullback = guarded(function, **inputs)
        _bounded(named(out))
        return out, GuardedPullback(pullback)

    return call


class GuardedPullback:
    """Likewise its pullback; the cache stays in sight."""

    def __init__(self, pullback: Pullback) -> None:
        self.pullback = pullback
        self.cache = getattr(pullback, "cache", None)

    def __call__(self, dout: Any) -> Gradients:
        return _bounded(guarded(self.pullback, dout))


def _bounded(found: dict[str, Array]) -> dict[str, Array]:
    """What was returned, unless it is too large to be looked at."""
    if sum(array.nbytes for array in found.values()) > LARGEST:
        name, largest = max(found.items(), key=lambda item: item[1].nbytes)
        raise ContractError(f"{name} has shape {largest.shape}, {largest.nbytes:,} bytes: too large to be looked at")
    return found


def telling(error: BaseException) -> str:
    """`ValueError: message (line 12 of layers.py)`: what was raised and where, whatever the exception tries."""
    try:
        name = str(type.__getattribute__(type(error), "__name__"))
    except BaseException:
        name = "an exception"
    try:
        message = str(error)
    except BaseException:
        message = "(its message cannot be had)"
    return plain(f"{name}: {message}" if message else name) + _where(error)


def kinds(error: BaseException) -> tuple[str, ...]:
    """The names of the built-in exceptions that `error` is, the nearest first."""
    return tuple(c.__name__ for c in type.mro(type(error)) if vars(builtins).get(c.__name__) is c and c is not object)


def plain(text: str) -> str:
    """One line of printable characters, cut where it grows long."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * LONGEST])
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"


def _where(error: BaseException) -> str:
    """The last line of code that is no library's, or the last of all."""
    places = []
    at = error.__traceback__
    while at is not None:
        places.append((at.tb_frame.f_code.co_filename, at.tb_lineno))
        at = at.tb_next
    own = [place for place in places if "site-packages" not in place[0] and not place[0].endswith(".pyx")]
    for file, line in (own or places)[-1:]:
        return " " + plain(f"(line {line} of {file.rsplit('/', 1)[-1]})")
    return ""
