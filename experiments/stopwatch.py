"""Time rivals fairly: one process, interleaved round by round in random order, judged by the ratios of each round.

One thread is timed by the CPU time of the process, which other processes on the machine hardly touch. More threads
have to be timed by the wall clock, after a pause before every switch (BLAS workers spin on after use and would
take the next rival's processor), and rounds in which other processes were busy are thrown out.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PAUSE = 0.06  # seconds before a switch of rivals, with several threads: workers have gone to sleep by then
LEAST = 0.02  # seconds that one timing takes at least: a rival is called as often as that needs
BUSY = 0.03  # the share of the machine that others may use in a round that counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How one rival did: milliseconds a call, and its time relative to the baseline's in the same round."""

    milliseconds: float
    ratio: float
    low: float
    high: float
    rounds: int
    thrown_out: int

    @property
    def spread(self) -> str:
        """Between the quartiles of the ratios."""
        return f"{self.low:.2f}-{self.high:.2f}"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Give torch, BLAS and the sweeps of scratch this many threads."""
    import torch
    from threadpoolctl import threadpool_limits

    from scratchproof import scratch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    scratch.set_threads(count)
    try:
        with threadpool_limits(count, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
        scratch.set_threads(None)


def measure(
    rivals: Mapping[str, Callable[[], object]], baseline: str, *, count: int, rounds: int, rng: np.random.Generator
) -> dict[str, Timing]:
    """Time every rival once a round, `count` threads having been given.

    Raises: ValueError if no round is asked for.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds} but at least one is needed")
    clock = time.process_time if count == 1 else time.perf_counter
    calls = {name: _calls(rival, clock) for name, rival in rivals.items()}
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    quiet: list[bool] = []
    for _ in range(rounds):
        with _watch_others(quiet):
            for name in rng.permutation(list(rivals)).tolist():
                if count > 1:
                    time.sleep(PAUSE)
                    rivals[name]()
                start = clock()
                for _ in range(calls[name]):
                    rivals[name]()
                seconds[name].append((clock() - start) / calls[name])
    kept = np.array(quiet) if count > 1 and any(quiet) else np.ones(rounds, bool)
    times = {name: np.array(values)[kept] for name, values in seconds.items()}
    return {name: _timing(values, times[baseline], rounds) for name, values in times.items()}


def _calls(rival: Callable[[], object], clock: Callable[[], float]) -> int:
    """How often to call a rival in one timing; it is warm afterwards."""
    rival()
    start = clock()
    rival()
    return max(1, round(LEAST / max(clock() - start, 1e-6)))


def _timing(seconds: NDArray[np.float64], base: NDArray[np.float64], rounds: int) -> Timing:
    low, ratio, high = np.percentile(seconds / base, [25, 50, 75]).tolist()
    return Timing(
        milliseconds=1e3 * float(np.median(seconds)),
        ratio=ratio,
        low=low,
        high=high,
        rounds=len(seconds),
        thrown_out=rounds - len(seconds),
    )


@contextmanager
def _watch_others(quiet: list[bool]) -> Iterator[None]:
    """Note whether other processes left the machine to us meanwhile; where the system cannot say, that they did."""
    wall, own, all_busy = time.perf_counter(), time.process_time(), _busy()
    yield
    wall, own = time.perf_counter() - wall, time.process_time() - own
    others = _busy() - all_busy - own
    quiet.append(others <= BUSY * wall * (os.cpu_count() or 1))


def _busy() -> float:
    """Seconds that all processors together have worked since the machine was started (Linux; else 0)."""
    statistics = Path("/proc/stat")
    if not statistics.exists():
        return 0.0
    user, nice, system, *_ = (int(ticks) for ticks in statistics.read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system) / float(os.sysconf("SC_CLK_TCK"))
