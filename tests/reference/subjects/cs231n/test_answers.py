"""What comes back is an array, or is told in words; what says that nothing is written yet is believed."""

import numpy as np
import pytest

from scratchproof.finding.python2 import Source
from scratchproof.subjects.cs231n.answers import array, scalar, scaled, told
from scratchproof.subjects.protocol import ContractError, Unimplemented
from scratchproof.vjp import PRECISIONS


@pytest.mark.parametrize("value", [None, "text", [[1], [1, 2]], object(), True, {}])
def test_what_is_no_array_of_numbers_is_told(value):
    with pytest.raises(ContractError, match=r"dx is a .*, but should be an array of numbers"):
        array(value, "dx")


def test_a_python_float_has_no_precision_to_lose_and_numpys_has():
    assert scalar(1.5, PRECISIONS["float32"]).dtype == np.float32
    assert scalar(np.float64(1.5), PRECISIONS["float32"]).dtype == np.float64
    assert scaled(np.ones(2, np.float32), np.asarray(2.0)).dtype == np.float32


@pytest.mark.parametrize(
    "line",
    [
        "raise NotImplementedError",
        "assert False",
        "assert False, 'write me'",
        "assert(0)",
        "raise Exception('not implemented yet')",
        "raise ValueError('TODO')",
        "out = None; out = out.astype(float)",
    ],
)
def test_what_says_that_nothing_is_written_is_believed(line):
    namespace = {}
    Source(f"def f():\n    {line}\n", "layers.py").run(namespace)
    with pytest.raises(Unimplemented, match="it is not written yet"), told("forward"):
        namespace["f"]()


def test_a_none_that_was_handed_in_is_no_sign_of_a_stub():
    namespace = {}
    Source("def f(cache):\n    return cache.shape\n", "layers.py").run(namespace)
    with pytest.raises(AttributeError), told("backward"):
        namespace["f"](None)


@pytest.mark.parametrize("line", ["assert 1 == 2", "raise ValueError('shapes')", "raise KeyError('todo')", "1 / 0"])
def test_other_errors_are_errors(line):
    namespace = {}
    Source(f"def f():\n    {line}\n", "layers.py").run(namespace)
    with pytest.raises((AssertionError, ValueError, KeyError, ZeroDivisionError)), told("forward"):
        namespace["f"]()
