"""How many threads NumPy's matrix products take, where NumPy's BLAS can be asked: OpenBLAS, as in the wheels.

Products that Python's own threads share out have to be taken by one BLAS thread each: two crews at once stand in each
other's way, and ten times as long.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from threading import Lock
from typing import TypeAlias

import numpy as np

Control: TypeAlias = tuple[Callable[[], int], Callable[[int], None]]


class _Alone:
    """How many callers want one BLAS thread now, and how many threads there were before the first of them came."""

    def __init__(self) -> None:
        self.lock, self.callers, self.before = Lock(), 0, 1


_state = _Alone()


def held() -> int:
    """How many threads BLAS had before it was held to one; 0 while it is not."""
    with _state.lock:
        return _state.before if _state.callers else 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Products take one thread each while any caller is inside; nothing changes where BLAS cannot be told."""
    control = _control()
    if control is None:
        yield
        return
    get, choose = control
    with _state.lock:
        if not _state.callers:
            _state.before = get()
            choose(1)
        _state.callers += 1
    try:
        yield
    finally:
        with _state.lock:
            _state.callers -= 1
            if not _state.callers:
                choose(_state.before)


@cache
def _control() -> Control | None:
    """OpenBLAS's getter and setter, found through NumPy's own library; None where NumPy has another BLAS."""
    try:
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    except (AttributeError, OSError, TypeError):
        return None
    for prefix, suffix in product(("", "scipy_"), ("", "64_")):
        names = (f"{prefix}openblas_{what}_num_threads{suffix}" for what in ("get", "set"))
        get, choose = (getattr(library, name, None) for name in names)
        if get is not None and choose is not None:
            choose.argtypes, choose.restype = [ctypes.c_int], None
            return get, choose
    return None


def _forked() -> None:
    """In a forked child nobody else is inside: a caller of the parent's would hold it at one thread for good."""
    global _state
    if _state.callers and (control := _control()):
        _, choose = control
        choose(_state.before)
    _state = _Alone()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
