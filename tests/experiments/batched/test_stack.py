"""What a stack refuses, and how it lays its nets out."""

from typing import Any

import numpy as np
import pytest

from scratchproof.experiments.batched.numpy_stack import NumpyStack
from scratchproof.experiments.batched.stack import Member, groups_of, initial


def test_neighbours_of_one_width_form_a_group() -> None:
    groups = groups_of((3, 3, 5))
    assert [(g.nets, g.columns, g.hidden, g.count) for g in groups] == [
        (slice(0, 2), slice(0, 6), 3, 2),
        (slice(2, 3), slice(6, 11), 5, 1),
    ]


def test_the_rate_falls_from_epoch_to_epoch() -> None:
    member = Member(hidden=3, learning_rate=0.5, lr_decay=0.5)
    assert [member.rate(epoch) for epoch in range(3)] == [0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden": 0}, "hidden is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1"),
        ({"lr_decay": float("nan")}, "lr_decay is nan"),
        ({"reg": -0.1}, "reg is -0.1"),
    ],
)
def test_a_member_that_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Member(**({"hidden": 3, "learning_rate": 0.1} | options))


def test_widths_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="ascending"):
        initial([Member(hidden=5, learning_rate=0.1), Member(hidden=4, learning_rate=0.1)], 6, 3)


def small(features: int = 6, regs: int = 1, reg: float = 1.0) -> NumpyStack:
    X, y = np.ones((4, features), np.float32), np.zeros(4, int)
    return NumpyStack(initial([Member(hidden=5, learning_rate=0.1)], 6, 3), np.full(regs, reg), X, y)


@pytest.mark.parametrize(("options", "words"), [({"features": 7}, "6 features"), ({"regs": 2}, "1 nets")])
def test_data_and_vectors_must_fit(options: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small(**options)  # type: ignore[arg-type]


def test_a_decay_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="wipe"):
        small(reg=2.0).run(np.zeros((1, 4), int), np.array([0.5]))
