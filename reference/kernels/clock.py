"""Seconds that a call takes, with everything waited for that it started."""

import time
from collections.abc import Callable
from typing import Any

import torch

FLUSH = 2**26  # bytes: more than a cache holds


def seconds(
    call: Callable[[], Any], prepare: Callable[[int], None], device: str, *, count: int, cold: bool
) -> list[float]:
    """Of each of `count` calls in a row. prepare: what comes before each, not timed. cold: caches are emptied, too."""
    found = []
    waste = torch.zeros(FLUSH, dtype=torch.uint8, device=device) if cold else None
    for i in range(count):
        prepare(i)
        if waste is not None:
            waste.add_(1)
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        found.append(time.perf_counter() - began)
    return found


def copying(size: int, device: str) -> Callable[[], Any]:
    """A call that reads and writes so many bytes, half and half: as fast as memory is."""
    source = torch.ones(max(1, size // 2), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
