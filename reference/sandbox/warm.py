"""The zygote of this process (see zygote.py), started early: it imports NumPy and torch while this process does."""

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from functools import cache
from typing import Any

from scratchproof.finding.paths import is_path
from scratchproof.sandbox.limits import Limits


def prepare(spec: str) -> None:
    """Start what a subject that comes as a path will need."""
    if is_path(spec):
        zygote()


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
            raise ChildProcessError("the process that starts all others is gone")
        answer: dict[str, Any] = json.loads(reply)
        return answer


@cache
def zygote() -> Zygote:
    """The one of this process, started when it is first asked for, which may be long before it is needed."""
    started = Zygote()
    atexit.register(started.close)
    return started
