"""Patches and threads of a candidate's own are seen; those of libraries are not its doing."""

import subprocess
import sys
import threading
import time

import torch

from scratchproof.kernels import surroundings


def test_a_replaced_function_is_named(monkeypatch):
    before = surroundings.seen()
    assert surroundings.patched(before) == []
    monkeypatch.setattr(torch, "allclose", lambda *a, **k: True)
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    assert set(surroundings.patched(before)) == {"torch.allclose", "time.perf_counter"}


def test_a_thread_that_runs_on_is_named():
    before, go = surroundings.seen(), threading.Event()
    thread = threading.Thread(target=lambda: go.wait(), name="secret")
    thread.start()
    try:
        assert surroundings.threads(before) == ["secret"]
    finally:
        go.set()
        thread.join()
    assert surroundings.threads(before) == []


def test_fresh_memory_is_full_of_poison():
    code = (
        "import torch; from scratchproof.kernels.surroundings import poison, POISON; poison()\n"
        "for n in (24, 3000, 10**6): print(set(torch.empty(n, dtype=torch.uint8).tolist()) == {POISON})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["True"] * 3


def test_operations_are_listed_by_name():
    with surroundings.Listed() as listed:
        torch.ones(3).softmax(0)
    assert "_softmax" in listed.names
