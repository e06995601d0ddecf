"""Every net of a torch stack does what it does alone, in every precision that the CPU has."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from scratchproof.experiments.batched.stack import Member, initial
from scratchproof.experiments.batched.torch_stack import TorchStack


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_net_does_what_it_does_alone(lockstep: Any, survivors: list[int], precision: str) -> None:
    dtype = {"float32": np.float32, "float64": np.float64}[precision]
    stack = lockstep.together(partial(TorchStack, precision=precision), dtype)
    assert stack.alive().tolist() == [True, True, False, True, True]
    assert lockstep.excess(stack, {k: lockstep.alone(k, dtype, dtype) for k in survivors}, dtype) <= 1


def test_bfloat16_products_leave_every_net_as_near_as_it_is_alone(lockstep: Any, survivors: list[int]) -> None:
    make = partial(TorchStack, precision="bfloat16")
    stack = lockstep.together(make, np.float32)
    others = {k: lockstep.together(make, np.float32, (k,)).params(0) for k in survivors}
    assert lockstep.excess(stack, others, np.float32) <= 1
    plain = {k: lockstep.alone(k, np.float32, np.float32) for k in survivors}
    assert lockstep.excess(stack, plain, np.float32) > 1  # it is another arithmetic


def test_keeping_and_predicting_agree_with_the_parameters(lockstep: Any) -> None:
    stack = lockstep.together(partial(TorchStack, precision="float64"), np.float64)
    whole = stack.predict(lockstep.X)
    stack.keep([0, 4])
    np.testing.assert_array_equal(stack.predict(lockstep.X), whole[[0, 4]])


@pytest.mark.parametrize("precision", ["float8", "tf32"])
def test_a_precision_that_is_not_there_is_refused(precision: str) -> None:
    weights = initial([Member(hidden=5, learning_rate=0.1)], 6, 3)
    with pytest.raises(ValueError, match=precision):
        TorchStack(weights, np.zeros(1), np.ones((4, 6), np.float32), np.zeros(4, int), precision=precision)
