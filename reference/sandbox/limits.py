"""What a stranger's process may use, and how it is held to it: by the kernel wherever the kernel can.

Every process is held by its resource limits and by the zygote that watches it. Where the system offers them, two more
walls are raised: an unused user (where this is root) and Landlock (Linux 5.13), which keeps it from writing outside
its folder, from TCP, and from signalling others.
"""

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from itertools import chain
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """call, row, subject: seconds of waiting for one call, one layer, everything. memory: bytes beyond what Python,
    NumPy and torch take. written: bytes of a file, and of all files together. files, processes: how many at a time.
    devices: patterns of device files that may be written to, such as those of a GPU.
    """

    call: float = 10.0
    row: float = 60.0
    subject: float = 300.0
    memory: int = 2 * 2**30
    written: int = 64 * 2**20
    files: int = 200
    processes: int = 16
    devices: tuple[str, ...] = ()

    @classmethod
    def of(cls, call: float) -> "Limits":
        """The limits that follow from the seconds which one call may take."""
        return cls(call=call, row=6 * call, subject=30 * call)


def confine(limits: Limits, folder: Path) -> None:
    """Give up, in this process and for good, whatever `limits` do not allow; only `folder` can be written to."""
    die_with_the_parent()
    os.chdir(folder)
    os.environ.update(TMPDIR=str(folder), HOME=str(folder))
    with suppress(OSError):  # if memory runs out, this process is the first to go
        Path("/proc/self/oom_score_adj").write_text("1000")
    _landlock(folder, limits.devices)
    _become_nobody(folder)
    _limit(limits)


def _limit(limits: Limits) -> None:
    seconds = int(limits.subject) + 2
    _at_most(resource.RLIMIT_CPU, seconds)
    _at_most(resource.RLIMIT_AS, _address_space() + limits.memory)
    _at_most(resource.RLIMIT_FSIZE, limits.written)
    _at_most(resource.RLIMIT_NOFILE, 256)
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_STACK, 64 * 2**20)  # recursion without end is told within a second
    _at_most(resource.RLIMIT_NPROC, _tasks_of(os.getuid()) + limits.processes)


def _at_most(what: int, amount: int) -> None:
    _, hard = resource.getrlimit(what)
    amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(what, (amount, amount))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _tasks_of(user: int) -> int:
    """How many processes and threads a user has: the limit counts them all."""
    count = 0
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == user:
                count += len(os.listdir(process / "task"))
    return count


# Linux numbers (prctl.h, capability.h, landlock.h, the common system call table).
_SET_PDEATHSIG, _SET_KEEPCAPS, _SET_NO_NEW_PRIVS = 1, 8, 38
_READ_ANYTHING = 1 << 2  # CAP_DAC_READ_SEARCH
_CAP_AMBIENT, _RAISE = 47, 2
_CAPABILITY_VERSION = 0x20080522
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_EVERY_WRITE = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))  # remove and make, by kind
_REFER = 1 << 13


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def die_with_the_parent() -> None:
    """Let the kernel kill this process when the one that started it ends."""
    _libc().prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _become_nobody(folder: Path) -> None:
    """Where this is root: a user that nobody else is, with no right but to read."""
    if os.geteuid() != 0 or not _permitted() & _READ_ANYTHING:
        return  # without that right it could not even read the file that it is to run
    libc = _libc()
    libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0)
    # Ids that no one has; the second, where a container maps only the first 65,536.
    for user in (2_000_000_000 + os.getpid(), 50_000 + os.getpid() % 10_000):
        with suppress(OSError):
            os.chown(folder, user, user)
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            break
    header = struct.pack("<Ii", _CAPABILITY_VERSION, 0)
    kept = struct.pack("<6I", _READ_ANYTHING, _READ_ANYTHING, _READ_ANYTHING, 0, 0, 0)
    libc.capset(header, kept)
    libc.prctl(_CAP_AMBIENT, _RAISE, _READ_ANYTHING.bit_length() - 1, 0, 0)  # for a compiler that it starts, too
    die_with_the_parent()  # a change of user forgets it


def _permitted() -> int:
    """The capabilities that this process has, as bits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)


def landlock_version() -> int:
    """Which version of Landlock the kernel has: 1 restricts files, 4 also TCP, 6 also signals; below 1 it has none."""
    return int(_libc().syscall(_CREATE_RULESET, None, 0, 1))


def _landlock(folder: Path, devices: Sequence[str]) -> None:
    """Let the kernel refuse writes but to `folder` and devices, TCP, and signals to others, as far as it knows how."""
    libc, version = _libc(), landlock_version()
    if version < 1:
        return
    writes = _EVERY_WRITE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    attribute = struct.pack("<3Q", writes, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, attribute, size, 0)
    if ruleset < 0:
        return
    with suppress(OSError):
        _allow(libc, ruleset, folder, writes)
        for place in (os.devnull, *chain.from_iterable(map(glob, devices))):
            _allow(libc, ruleset, Path(place), writes & (_WRITE_FILE | _TRUNCATE))
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, place: Path, rights: int) -> None:
    descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, descriptor), 0)
    os.close(descriptor)
