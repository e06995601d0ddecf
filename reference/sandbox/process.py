"""The near side: a stranger's process as something to put requests to."""

import os
import signal
import socket
import time
import weakref
from collections.abc import Callable

from scratchproof.sandbox import wire
from scratchproof.sandbox.failures import Died, OutOfTime, plain
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.warm import zygote

PATIENCE = 0.5  # seconds for a process whose channel has closed to be gone


class Process:
    """A stranger's process. Every request has a deadline; after a failure the process is no more."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pid, self.channel = zygote().fork(limits)
        self.over = weakref.finalize(self, _end, self.pid, self.channel, 0.0)
        self.over.atexit = False  # the zygote sees to it then

    @property
    def alive(self) -> bool:
        return self.over.alive

    def request(self, message: wire.Message, seconds: float) -> wire.Message:
        """Its reply. Raises: OutOfTime after `seconds`; Died where it ended or answered something else."""
        deadline = time.monotonic() + seconds

        def exchanged() -> wire.Message:
            wire.send(self.channel, message, deadline)
            return wire.receive(self.channel, deadline)

        return self._held(exchanged, seconds)

    def another(self, seconds: float) -> wire.Message:
        """A further reply to what was sent last. Raises: likewise."""
        return self._held(lambda: wire.receive(self.channel, time.monotonic() + seconds), seconds)

    def _held(self, exchanged: Callable[[], wire.Message], seconds: float) -> wire.Message:
        try:
            return exchanged()
        except TimeoutError:
            self._ended(0.0)
            raise OutOfTime(f"was still at work after {seconds:.3g} s") from None
        except (EOFError, OSError):
            raise Died(_obituary(*self._ended(PATIENCE))) from None
        except wire.Malformed:
            self._ended(0.0)
            raise Died("wrote something else than its answer to the channel of the exam") from None

    def close(self) -> None:
        self._ended(0.0)

    def _ended(self, patience: float) -> tuple[int, str]:
        return _end(self.pid, self.channel, patience) if self.over.detach() else (0, "")


def _end(pid: int, channel: socket.socket, patience: float) -> tuple[int, str]:
    channel.close()
    return zygote().end(pid, patience)


def _obituary(status: int, reason: str) -> str:
    if reason:
        return f"was stopped: it {reason}"
    if not os.WIFSIGNALED(status):
        return f"ended its process with exit status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return "was stopped: it used up the processor time of the exam"
    return plain(f"ended its process: {signal.strsignal(number) or f'signal {number}'}").lower()
