"""Each call is timed by itself, after what prepares it."""

import time

import pytest

from scratchproof.kernels.clock import copying, seconds


@pytest.mark.parametrize("cold", [False, True])
def test_what_prepares_a_call_is_not_timed(cold):
    turns = []

    def prepare(turn):
        turns.append(turn)
        time.sleep(0.02)

    taken = seconds(lambda: None, prepare, "cpu", count=3, cold=cold)
    assert turns == [0, 1, 2]
    assert len(taken) == 3
    assert min(taken) < 0.02


def test_a_copy_moves_half_of_what_it_reads_and_writes():
    assert copying(10, "cpu")().numel() == 5
