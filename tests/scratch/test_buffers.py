"""What is asked for by the same name is the same memory."""

import numpy as np

from scratchproof.scratch._buffers import Room


def test_a_room_gives_the_same_memory_for_a_name_and_other_memory_for_another() -> None:
    room = Room()
    first = room("a", (3, 4), np.dtype(np.float32))
    assert np.shares_memory(first, room("a", (2, 5), np.dtype(np.float32)))
    assert not np.shares_memory(first, room("b", (3, 4), np.dtype(np.float32)))
    assert room("a", (5, 5), np.dtype(np.float32)).shape == (5, 5)
    assert room("a", (3, 4), np.dtype(np.float64)).dtype == np.float64
