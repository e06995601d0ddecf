"""Seconds that a call takes, with everything waited for that it started."""

import time
from collections.abc import Callable
from typing import Any

import torch

FLUSH = 2**26  # bytes: more than a cache holds


def seconds(call: Callable[[], Any], device: str, *, count: int = 5, cold: bool = False) -> list[float]:
    """Of each of `count` calls in a row. cold: the caches are filled with something else before each."""
    found = []
    scratch = torch.empty(FLUSH, dtype=torch.uint8, device=device) if cold else None
    for _ in range(count):
        if scratch is not None:
            scratch.fill_(1)
        _wait(device)
        began = time.perf_counter()
        with torch.no_grad():
            call()
        _wait(device)
        found.append(time.perf_counter() - began)
    return found


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
