"""Every net of a NumPy stack does what it does alone; a net that diverges reaches no other."""

from typing import Any

import numpy as np
import pytest

from scratchproof.experiments.batched.numpy_stack import NumpyStack
from scratchproof.experiments.batched.stack import Array


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_net_does_what_it_does_alone(lockstep: Any, survivors: list[int], dtype: Any) -> None:
    stack = lockstep.together(NumpyStack, dtype)
    assert stack.alive().tolist() == [True, True, False, True, True]
    assert lockstep.excess(stack, {k: lockstep.alone(k, dtype, dtype) for k in survivors}, dtype) <= 1


def test_a_slip_in_one_net_is_seen(lockstep: Any, survivors: list[int]) -> None:
    class Slipped(NumpyStack):
        def _update(self, a: Array, b: Array) -> None:
            b[:, 0] *= 1 + 2.0**-40  # one hidden unit of the first net learns a little faster
            super()._update(a, b)

    stack = lockstep.together(Slipped, np.float64)
    assert lockstep.excess(stack, {k: lockstep.alone(k, np.float64, np.float64) for k in survivors}, np.float64) > 1
    assert lockstep.excess(stack, {1: lockstep.alone(1, np.float64, np.float64)}, np.float64) <= 1


def test_a_stack_that_lets_a_diverged_net_go_on_is_seen(lockstep: Any, survivors: list[int]) -> None:
    class Careless(NumpyStack):
        def _update(self, a: Array, b: Array) -> None:
            b[:, ~self._alive[self.owner]] = np.nan
            self._v[:, 0] += b.sum(axis=1, where=np.isnan(b)[:1].any(axis=0)).sum()  # as a shared sum would
            super()._update(a, b)

    stack = lockstep.together(Careless, np.float64)
    others = {k: lockstep.alone(k, np.float64, np.float64) for k in survivors}
    assert not lockstep.excess(stack, others, np.float64) <= 1


def test_who_is_kept_keeps_its_parameters_and_labels(lockstep: Any) -> None:
    stack = lockstep.together(NumpyStack, np.float64)
    before, labels = [stack.params(k) for k in (1, 3)], stack.predict(lockstep.X)
    stack.keep([1, 3])
    assert len(stack) == 2
    for place, params in enumerate(before):
        for name, w in params.items():
            np.testing.assert_array_equal(stack.params(place)[name], w)
    np.testing.assert_array_equal(stack.predict(lockstep.X), labels[[1, 3]])
    expected = (labels == lockstep.y).mean(axis=1)
    np.testing.assert_array_equal(stack.accuracy(lockstep.X, lockstep.y), expected[[1, 3]])
