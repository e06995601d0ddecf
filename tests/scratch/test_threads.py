"""Sharing out is not seen in the results: the same bits on any number of threads, whatever a part does."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from scratchproof import scratch
from scratchproof.scratch import _threads
from scratchproof.scratch._threads import in_parts

COUNTS = (1, 2, 3, 5)


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_threads, "LEAST", 1)
    with threadpool_limits(max(COUNTS)):
        yield
    scratch.set_threads(None)


def convolution(rng: np.random.Generator) -> list[Any]:
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((3, 2, 9, 8), (4, 2, 3, 3), (4,)))
    out, cache = scratch.conv_forward(x, w, b, stride=2, pad=1)
    return [out, *scratch.conv_backward(rng.standard_normal(out.shape).astype(np.float32), cache)]


def pooling(stride: int, bad: float = 0.0) -> Callable[[np.random.Generator], list[Any]]:
    def run(rng: np.random.Generator) -> list[Any]:
        x = np.maximum(rng.standard_normal((3, 2, 9, 7)), 0)
        x[1, 1, 4, 4] += bad
        out, cache = scratch.max_pool_forward(x, pool_height=3, pool_width=2, stride=stride)
        return [out, scratch.max_pool_backward(rng.standard_normal(out.shape), cache)]

    return run


def softmax(order: str) -> Callable[[np.random.Generator], list[Any]]:
    def run(rng: np.random.Generator) -> list[Any]:
        x = np.asarray(1e3 * rng.standard_normal((11, 6)), np.float32, order)
        return list(scratch.softmax_loss(x, rng.integers(0, 6, 11)))

    return run


def images(rng: np.random.Generator) -> list[Any]:
    net = scratch.ConvNet((2, 8, 6), 3, 3, 5, 4, reg=0.1, dtype=np.float32, rng=rng)
    step = scratch.FusedConvNet(net)
    X, y = rng.standard_normal((7, 2, 8, 6)).astype(np.float32), rng.integers(0, 4, 7)
    losses = [step.step(X, y, 0.1) for _ in range(3)]
    return [*losses, *step.settle().values()]


SWEEPS = {
    "convolution": convolution,
    "steps of a convolutional net": images,
    "pooling, windows apart": pooling(3),
    "pooling, windows that overlap": pooling(1),
    "pooling, a nan": pooling(3, np.nan),
    "softmax": softmax("C"),
    "softmax, classes first": softmax("F"),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_the_bits_are_the_same_on_any_number_of_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    start = _threads.start_new_thread
    monkeypatch.setattr(_threads, "start_new_thread", lambda *work: (started.append(work), start(*work)))
    found = []
    for count in COUNTS:
        scratch.set_threads(count)
        found.append([np.asarray(a).tobytes() for a in SWEEPS[name](np.random.default_rng(0))])
        assert bool(started) == (count > 1)
    assert found == found[:1] * len(COUNTS)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("length", [0, 1, 4, 7])
def test_parts_are_everything_once_and_in_order(length: int, count: int) -> None:
    scratch.set_threads(count)
    parts = in_parts(lambda rows: range(rows.start, rows.stop), length, 1000)
    assert len(parts) == max(1, min(count, length))
    assert [row for part in parts for row in part] == list(range(length))


def test_what_is_small_stays_on_the_callers_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "LEAST", 10)
    scratch.set_threads(4)
    for size, parts in ((9, 1), (19, 1), (20, 2), (1000, 4)):
        assert len(in_parts(lambda _: threading.get_ident(), 8, size)) == parts
    assert in_parts(lambda _: threading.get_ident(), 8, 19) == [threading.get_ident()]


@pytest.mark.parametrize("where", [0, 1, 2])
def test_what_a_part_raises_is_raised_when_all_have_ended(where: int) -> None:
    scratch.set_threads(3)
    ended = []

    def work(rows: slice) -> None:
        if rows.start == where:
            raise KeyError(f"row {where}")
        ended.append(rows.start)

    with pytest.raises(KeyError, match=f"row {where}"):
        in_parts(work, 3, 1000)
    assert sorted([*ended, where]) == [0, 1, 2]


def test_the_callers_errstate_holds_in_every_part() -> None:
    scratch.set_threads(3)
    with np.errstate(over="ignore"):
        in_parts(lambda _: np.exp(np.float32(1e4)), 3, 1000)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        in_parts(lambda _: np.exp(np.float32(1e4)), 3, 1000)


def test_where_no_thread_may_start_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_threads, "start_new_thread", refuse)
    scratch.set_threads(3)
    assert in_parts(lambda rows: (rows.start, threading.get_ident()), 3, 1000) == [
        (row, threading.get_ident()) for row in range(3)
    ]


FORKING = """
import os, numpy as np
from scratchproof import scratch
scratch.set_threads(2)
x, y = np.random.default_rng(0).standard_normal((1024, 1024)), np.arange(1024)
before = scratch.softmax_loss(x, y)
child = os.fork()
after = scratch.softmax_loss(x, y)
assert before[0] == after[0] and (before[1] == after[1]).all()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_a_process_may_fork_between_sweeps() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


def test_how_many_is_chosen_or_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert scratch.threads() == 3
    scratch.set_threads(2)
    assert scratch.threads() == 2
    scratch.set_threads(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert scratch.threads() >= 1
    with pytest.raises(ValueError, match="count is 0 but at least 1 thread is needed"):
        scratch.set_threads(0)
