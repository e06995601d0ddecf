"""The warm parent of strangers: imports NumPy and torch once, forks a child for each subject, and buries it.

It listens on one socket for {"do": "fork"} (with the child's channel) and {"do": "end"}, and watches what its children
use. Whatever a stranger leaves behind becomes a child of this process, because it is a subreaper, and is killed.
When the socket closes, so does everything.
"""

import ctypes
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scratchproof.sandbox.limits import Limits, confine

EVERY = 0.25  # seconds between two looks at what the children use
_SET_CHILD_SUBREAPER = 36


@dataclass(kw_only=True)
class _Child:
    folder: Path
    limits: Limits
    status: int | None = None
    reason: str = ""


def main() -> None:
    """Serve the socket that is standard input until the other side closes it."""
    control = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the oracle, which closes the socket
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    from scratchproof.sandbox import child  # the slow part: NumPy and torch

    del child
    gc.freeze()
    try:
        _serve(control)
    finally:
        os._exit(0)


def _serve(control: socket.socket) -> None:
    children: dict[int, _Child] = {}
    while True:
        ready = select.select([control], [], [], EVERY if children else None)[0]
        if not ready:
            _watch(children)
            continue
        data, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not data:
            for pid in list(children):
                _end(children, pid, 0.0)
            return
        reply = _answer(children, json.loads(data), descriptors, control)
        with suppress(OSError):
            control.send(json.dumps(reply).encode())


def _answer(
    children: dict[int, _Child], request: dict[str, object], descriptors: list[int], control: socket.socket
) -> dict[str, object]:
    if request["do"] == "fork":
        limits = Limits(**request["limits"])  # type: ignore[arg-type]
        return {"pid": _fork(children, limits, descriptors[0], control)}
    pid, patience = int(str(request["pid"])), float(str(request["patience"]))
    ended = _end(children, pid, patience)
    return {"status": ended.status, "reason": ended.reason}


def _fork(children: dict[int, _Child], limits: Limits, descriptor: int, control: socket.socket) -> int:
    folder = Path(tempfile.mkdtemp(prefix="scratchproof-"))
    pid = os.fork()
    if pid:
        os.close(descriptor)
        children[pid] = _Child(folder=folder, limits=limits)
        return pid
    try:
        control.close()
        _live(limits, folder, descriptor)
    finally:
        os._exit(0)


def _live(limits: Limits, folder: Path, descriptor: int) -> None:
    """The child's whole life. No exit handler, no thread and no exception of the stranger's outlives it."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    channel = socket.socket(fileno=_far(descriptor))
    os.closerange(3, channel.fileno())
    sys.dont_write_bytecode = True
    confine(limits, folder)
    from scratchproof.sandbox.child import serve

    serve(channel)


def _far(descriptor: int) -> int:
    """The channel under a number that no loop over the first few descriptors meets."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 200 + os.getpid() % 40)


def _end(children: dict[int, _Child], pid: int, patience: float) -> _Child:
    """Wait `patience` seconds for a child to go by itself; then it, its own children and its folder go."""
    child = children[pid]
    until = time.monotonic() + patience
    while not _gone(pid, child) and time.monotonic() < until:
        time.sleep(0.002)
    if child.status is None:
        _kill([pid])
        _, child.status = os.waitpid(pid, 0)
    del children[pid]
    _bury(children)
    shutil.rmtree(child.folder, ignore_errors=True)
    return child


def _gone(pid: int, child: _Child) -> bool:
    if child.status is None:
        found, status = os.waitpid(pid, os.WNOHANG)
        child.status = status if found else None
    return child.status is not None


def _bury(children: dict[int, _Child]) -> None:
    """Kill whatever was left to this process by children that are no more."""
    while left := [pid for pid in _offspring(os.getpid()) if pid not in children]:
        _kill(left)
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _kill(pids: list[int]) -> None:
    """Kill processes and all that descend from them: stopped first, so that none is born meanwhile."""
    stopped: set[int] = set()
    while fresh := set(_family(pids)) - stopped:
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= fresh
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _family(pids: list[int]) -> list[int]:
    return [member for pid in pids for member in (pid, *_family(_offspring(pid)))]


def _offspring(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def _watch(children: dict[int, _Child]) -> None:
    """End what uses more than the kernel can be told to refuse."""
    _bury(children)
    for pid, child in children.items():
        if _gone(pid, child):
            continue
        if excess := _excess(pid, child):
            child.reason = excess
            _kill([pid])


def _excess(pid: int, child: _Child) -> str:
    if len(_family([pid])) > child.limits.processes:
        return f"started more than {child.limits.processes} processes"
    files = [Path(at, name) for at, _, names in os.walk(child.folder) for name in names]
    if len(files) > child.limits.files:
        return f"wrote more than {child.limits.files} files"
    sizes = 0
    for file in files:
        with suppress(OSError):
            sizes += file.lstat().st_size
    return f"wrote more than {child.limits.written:,} bytes" if sizes > child.limits.written else ""


if __name__ == "__main__":
    main()
