"""What a candidate does to the process that it runs in, and what that process does to it: memory, threads, patches."""

import builtins
import ctypes
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

POISON = 0x7F
_PERTURB, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -6, -3, -1  # of mallopt
WATCHED: tuple[Any, ...] = (
    torch,
    torch.nn.functional,
    torch.testing,
    torch.cuda,
    torch.cuda.Event,
    torch.autograd,
    Tensor,
    np,
    np.testing,
    np.linalg,
    time,
    builtins,
)
LIBRARIES = ("torch", "numpy", "triton", "tqdm")  # what these replace and start of their own is no trick


def settle(device: str) -> None:
    """Let compilers find a place in this process's own folder, and Triton an interpreter where there is no GPU."""
    tempfile.tempdir = None  # what was found before this process was confined
    own = os.getcwd()
    for variable in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR"):
        os.environ[variable] = os.path.join(own, variable.lower())
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    os.environ["TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"] = "0"  # worth it for many kernels, not for one
    if not device.startswith("cuda"):
        os.environ["TRITON_INTERPRET"] = "1"


def poison() -> None:
    """From now on memory that is handed out is full of the byte POISON, never of zeros or of what lay there."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library: what is unwritten is then whatever it is
    mallopt(_PERTURB, POISON ^ 0xFF)


def scatter(sizes: Sequence[int], device: str) -> None:
    """On a GPU, where torch keeps memory of its own: leave blocks of these sizes full of POISON."""
    if device.startswith("cuda"):
        blocks = [torch.full((size,), POISON, dtype=torch.uint8, device=device) for size in sizes]
        torch.cuda.synchronize()
        del blocks


def place(tensor: Tensor) -> int:
    """Where a tensor's memory begins."""
    return int(tensor.untyped_storage().data_ptr()) if tensor.layout == torch.strided else -1


def seen() -> dict[str, Any]:
    """The functions that a judge or a timer could be fooled by, and the threads there are."""
    functions = {(_called(home), name): value for home in WATCHED for name, value in vars(home).items() if _kept(value)}
    return {"functions": functions, "threads": set(threading.enumerate())}


def patched(before: dict[str, Any]) -> list[str]:
    """The watched functions that are others than before."""
    homes = {_called(home): home for home in WATCHED}
    found = []
    for (home, name), value in before["functions"].items():
        now = vars(homes[home]).get(name)
        if now is not value and str(getattr(now, "__module__", "")).split(".")[0] not in LIBRARIES:
            found.append(f"{home}.{name}")
    return found[:8]


def threads(before: dict[str, Any]) -> list[str]:
    """The names of living threads of Python that were not there before, but for a library's own."""
    new = [thread for thread in threading.enumerate() if thread not in before["threads"] and thread.is_alive()]
    own = LIBRARIES + (("concurrent",) if "torch._inductor" in sys.modules else ())
    return [thread.name for thread in new if _owner(thread).split(".")[0] not in own]


def _owner(thread: threading.Thread) -> str:
    """The module whose code a thread runs."""
    target = getattr(thread, "_target", None)
    return str(getattr(target, "__module__", None) or type(thread).__module__)


class Listed(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, the names of torch's operations are kept."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # importing the compiler takes a second and a half

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func.name()).removeprefix("aten::").split(".")[0])
        return func(*args, **(kwargs or {}))


def _called(home: Any) -> str:
    return home.__name__ if isinstance(home, ModuleType | type) else str(home)


def _kept(value: Any) -> bool:
    return callable(value)
