"""The near side: the zygote of this process, and a stranger's process as something to put requests to."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import asdict
from functools import cache
from typing import Any

from scratchproof.sandbox import wire
from scratchproof.sandbox.failures import Died, OutOfTime, plain
from scratchproof.sandbox.limits import Limits

PATIENCE = 0.5  # seconds for a process whose channel has closed to be gone


class Zygote:
    """The warm parent of all strangers of this process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from scratchproof.sandbox.zygote import main; main()"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, **threads},
                start_new_session=True,
            )
        self.control = ours
        self.turn = threading.Lock()

    def fork(self, limits: Limits) -> tuple[int, socket.socket]:
        """A new process under `limits`: its id and the channel to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            reply = self._ask({"do": "fork", "limits": asdict(limits)}, [theirs.fileno()])
        return int(reply["pid"]), ours

    def end(self, pid: int, patience: float) -> tuple[int, str]:
        """Its wait status and, if it was ended for what it used, the reason. Nothing of it is left running."""
        reply = self._ask({"do": "end", "pid": pid, "patience": patience}, [])
        return int(reply["status"]), str(reply["reason"])

    def close(self) -> None:
        """End the zygote and with it every child."""
        self.control.close()
        self.process.wait()

    def _ask(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        with self.turn:
            socket.send_fds(self.control, [json.dumps(request).encode()], descriptors)
            reply = self.control.recv(4096)
        if not reply:
            raise Died("the process that starts all others is gone")
        answer: dict[str, Any] = json.loads(reply)
        return answer


@cache
def zygote() -> Zygote:
    """The one of this process, started when it is first asked for, which may be long before it is needed."""
    started = Zygote()
    atexit.register(started.close)
    return started


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
        try:
            wire.send(self.channel, message, deadline)
            return wire.receive(self.channel, deadline)
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
