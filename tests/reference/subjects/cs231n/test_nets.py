"""A net's parameters are found whatever they are called, and a stub is told from a wrong net."""

import numpy as np
import pytest

from scratchproof.subjects.cs231n.nets import matched
from scratchproof.subjects.protocol import ContractError, Unimplemented

WANTED = ["W1", "b1", "W2", "b2"]


@pytest.mark.parametrize(
    "params",
    [
        ["W1", "b1", "W2", "b2"],
        ["W0", "b0", "W1", "b1"],
        [("W", 0), ("b", 0), ("W", 1), ("b", 1)],
        [("W", 1), ("b", 1), ("W", 2), ("b", 2)],
        ["w_1", "b_1", "w_2", "b_2"],
        ["b2", "W2", "b1", "W1"],
        ["W1", "b1", "W2", "b2", "mean"],
    ],
)
def test_the_order_of_the_numbers_says_which_is_meant(params):
    found = matched(WANTED, {name: np.zeros(1) for name in params})
    ordered = sorted((p for p in params if p != "mean"), key=lambda p: (str(p[-1]), str(p[0]).lower() == "b"))
    assert [found[name] for name in WANTED] == ordered


def test_no_parameters_and_no_normalisation_are_not_written_yet():
    with pytest.raises(Unimplemented, match="params is empty"):
        matched(WANTED, {})
    with pytest.raises(Unimplemented, match="holds no gamma1, beta1"):
        matched([*WANTED, "gamma1", "beta1"], dict.fromkeys(WANTED, 0))


def test_other_parameters_are_told():
    with pytest.raises(ContractError, match=r"params holds \['U', 'V'\]"):
        matched(WANTED, {"U": 0, "V": 0})
