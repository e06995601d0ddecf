"""Products take one thread while anyone asks for it, and as many as before when nobody does any more."""

import os
import threading

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from scratchproof import scratch
from scratchproof.scratch import _blas, _threads
from scratchproof.scratch._threads import own_threads, products_in_parts


def blas_threads() -> set[int]:
    """Of NumPy's BLAS; torch may have brought another."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}


pytestmark = pytest.mark.skipif(not blas_threads(), reason="NumPy has no OpenBLAS here")


def fail_inside() -> None:
    with _blas.one_thread():
        with _blas.one_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
        assert _blas.held() == 3
        raise KeyError


def test_inside_it_is_one_thread_and_afterwards_what_it_was() -> None:
    with threadpool_limits(3):
        assert _blas.held() == 0
        with pytest.raises(KeyError):
            fail_inside()
        assert blas_threads() == {3}


def test_the_last_of_several_callers_puts_it_back() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with _blas.one_thread():
            inside.set()
            leave.wait()

    with threadpool_limits(2):
        with _blas.one_thread():
            thread = threading.Thread(target=other)
            thread.start()
            inside.wait()
        assert blas_threads() == {1}
        leave.set()
        thread.join()
        assert blas_threads() == {2}


def test_a_child_forked_meanwhile_is_not_held_to_one_thread() -> None:
    with threadpool_limits(2), _blas.one_thread():
        if (child := os.fork()) == 0:
            os._exit(0 if _blas.held() == 0 and blas_threads() == {2} else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def parts() -> list[set[int]]:
    return products_in_parts(lambda _: blas_threads(), 6, 10**6)


def test_products_are_shared_out_only_while_blas_is_held_and_as_far_as_it_had_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_threads, "LEAST", 1)
    scratch.set_threads(3)
    try:
        for count, expected in ((1, 1), (2, 2), (5, 3)):
            with threadpool_limits(count):
                assert parts() == [{count}]
                with own_threads():
                    assert parts() == [{1}] * expected
        scratch.set_threads(1)
        with threadpool_limits(2), own_threads():
            assert parts() == [{2}]
    finally:
        scratch.set_threads(None)


def test_where_blas_cannot_be_told_all_is_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "LEAST", 1)
    monkeypatch.setattr(_blas, "_control", lambda: None)
    scratch.set_threads(3)
    try:
        with own_threads():
            assert products_in_parts(lambda rows: rows, 6, 10**6) == [slice(0, 6)]
    finally:
        scratch.set_threads(None)
