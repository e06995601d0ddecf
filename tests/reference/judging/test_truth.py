"""The right answer to an ask, and what follows from it."""

import numpy as np
import pytest
import torch

from scratchproof.judging.truth import Ask, Truth, coarse, quantities
from scratchproof.kernels.problem import from_objects
from scratchproof.vjp import PRECISIONS

FLOAT, BRAIN = PRECISIONS["float32"], PRECISIONS["bfloat16"]


def truth_of(reference, *inputs, draw=None, allow=FLOAT, **how):
    tensors = [torch.as_tensor(value, dtype=torch.float64) for value in inputs]
    setting = from_objects(reference, draw or (lambda: tensors)).at({}, 0)
    names = ["a", "b"][: len(inputs)]
    arrays = {name: np.asarray(value, float) for name, value in zip(names, inputs, strict=True)}
    ask = Ask(name="asked", setting=setting, args=tuple(tensors), inputs=arrays, state={}, **how)
    return Truth(ask=ask, precision=FLOAT, allow=allow, grid=FLOAT, seed=0)


def times(a, b):
    return a @ b


def test_outputs_and_gradients_are_those_of_float64():
    a, b = np.eye(3) / 3, np.arange(6.0).reshape(3, 2)
    truth = truth_of(times, a, b)
    np.testing.assert_array_equal(truth.expected["out"], a @ b)
    (dout,) = truth.cotangents
    np.testing.assert_array_equal(truth.expected["da"], dout["out"] @ b.T)
    assert set(truth.allowed) == {"out", "da", "db"}
    assert not truth_of(times, a, b, pulls=False).cotangents


def test_cotangents_are_changed_as_is_asked():
    plain, negated = (truth_of(torch.tanh, np.ones(5), change=change).cotangents[0] for change in (None, np.negative))
    np.testing.assert_array_equal(-plain["out"], negated["out"])


def test_coarser_arithmetic_is_allowed_more():
    a, b = np.random.default_rng(0).standard_normal((2, 9, 9))
    fine, rough = (truth_of(times, a, b, allow=coarse(FLOAT, name)).allowed["out"] for name in (None, "bfloat16"))
    assert (rough.allowed > fine.allowed).all()
    assert coarse(FLOAT, None) is FLOAT
    assert coarse(BRAIN, "tf32").unit == BRAIN.unit


def test_whole_numbers_are_undecided_where_a_rounding_decides():
    near = np.array([[1.0, 1.0 + FLOAT.unit / 4, 0.0], [1.0, 2.0, 3.0]])
    assert truth_of(lambda a: a.argmax(1), near).undecided["out"].tolist() == [True, False]


def test_zeros_in_every_draw_are_nobodys():
    truth = truth_of(lambda a: a.tanh(), np.tril(np.ones((3, 3))), draw=lambda: [torch.tril(torch.randn(3, 3))])
    np.testing.assert_array_equal(truth.always_zero("a"), np.triu(np.ones((3, 3)), 1) > 0)


@pytest.mark.parametrize(("reference", "sound"), [(torch.log, False), (torch.square, True)])
def test_where_the_reference_fails_nothing_can_be_asked(reference, sound):
    assert truth_of(reference, np.array([-1.0, 2.0])).sound is sound


def test_what_the_reference_writes_and_shares():
    written = truth_of(lambda a: a.mul_(2).sum(), np.ones(3))
    shared = truth_of(lambda a: a[1:], np.ones(3))
    assert (written.written, written.shared) == (("a",), ())
    assert (shared.written, shared.shared) == ((), ("a",))


def test_quantities_go_by_name():
    truth = truth_of(times, np.ones((2, 2)), np.ones((2, 2)))
    assert list(quantities(truth.plain)) == ["out"]
    assert list(quantities(truth.answer)) == ["out", "da", "db"]
