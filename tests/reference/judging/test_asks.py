"""What is asked: fresh draws, other kinds, other sizes where the reference takes them."""

import numpy as np
import torch

from scratchproof.judging import asks
from scratchproof.kernels.draws import DISTRIBUTIONS
from scratchproof.kernels.problem import from_file, from_objects
from scratchproof.vjp import PRECISIONS

FLOAT = PRECISIONS["float32"]
TEXT = """
import torch
class Model(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.norm = torch.nn.LayerNorm(n)
    def forward(self, x):
        return self.norm(x)
rows, n = 12, 24
def get_inputs():
    return [torch.rand(rows, n)]
def get_init_inputs():
    return [n]
"""


def shipped(setting, seed=0):
    return asks.base(setting, FLOAT, seed, asks.built_state(setting), grad=True)


def test_what_has_no_meaning_is_asked_in_every_distribution():
    setting = from_objects(torch.tanh, lambda: [torch.rand(5, 6)]).at({}, 0)
    found = list(asks.variations(shipped(setting), lambda i: shipped(setting, 1 + i), FLOAT))
    assert [ask.name for ask in found] == [*(d.name for d in DISTRIBUTIONS), asks.STRIDED]
    assert not any(ask.must for ask in found)
    assert not any(ask.pulls for ask in found if ask.ties)


def test_labels_are_asked_as_they_are():
    setting = from_objects(torch.bincount, lambda: [torch.randint(0, 9, (20,))]).at({}, 0)
    assert [ask.name for ask in asks.variations(shipped(setting), lambda i: shipped(setting, 1 + i), FLOAT)] == [
        asks.STRIDED
    ]


def test_other_sizes_are_others_and_the_reference_takes_them(tmp_path):
    (tmp_path / "p.py").write_text(TEXT)
    problem = from_file(str(tmp_path / "p.py"))
    setting = problem.at({}, 0)
    batch, sizes = asks.other_sizes(problem, setting, 0)
    shapes = [found.draw(0)[0].shape for found in (setting, batch, sizes)]
    assert shapes[0] == (12, 24)
    assert shapes[1][0] > 12
    assert shapes[1][1] == 24
    assert all(a != b for a, b in zip(shapes[0], shapes[2], strict=True))
    assert sizes.init == ((shapes[2][1],), {})


def test_a_batch_that_is_fixed_is_left():
    problem = from_objects(lambda x: x.reshape(4, 3), lambda: [torch.rand(4, 3)])
    assert list(asks.other_sizes(problem, problem.at({}, 0), 0)) == []


def test_no_parameter_is_one_or_zero_by_chance(tmp_path):
    (tmp_path / "p.py").write_text(TEXT)
    setting = from_file(str(tmp_path / "p.py")).at({}, 0)
    drawn = asks.drawn_state(setting, FLOAT, 0)
    assert (drawn["norm.weight"] != 1).all()
    assert (drawn["norm.bias"] != 0).all()


def test_strided_tensors_hold_the_same_numbers():
    inputs = {"x": np.arange(6.0).reshape(2, 3), "i": np.arange(3)}
    plain, strided = (asks.tensors_of(inputs, torch.float16, strided=flag) for flag in (False, True))
    assert all(torch.equal(plain[name], strided[name]) for name in inputs)
    assert not strided["x"].is_contiguous()
    assert plain["i"].dtype == torch.int64


def test_no_size_becomes_nothing(tmp_path):
    (tmp_path / "p.py").write_text(TEXT)
    problem = from_file(str(tmp_path / "p.py"))
    setting = problem.at({12: 2, 24: 1}, 0)
    for seed in range(9):
        assert all(min(found.draw(0)[0].shape) > 0 for found in asks.other_sizes(problem, setting, seed))


def test_inputs_are_nudged_by_a_little_and_what_carries_a_meaning_is_not():
    inputs = {"x": np.linspace(1, 2, 12).reshape(3, 4), "labels": np.arange(3)}
    near = asks.nudged(inputs, FLOAT)
    moved = np.abs(near["x"] / inputs["x"] - 1)
    assert (moved > 0).all()
    assert (moved < 2 * asks.NUDGE).all()
    assert (near["labels"] == inputs["labels"]).all()


def test_small_parameters_are_small_and_buffers_are_left():
    setting = from_objects(torch.nn.BatchNorm1d(5), lambda: [torch.rand(4, 5)]).at({}, 0)
    state = asks.built_state(setting)
    small = asks.small_state(state, setting, FLOAT)
    assert (small["weight"] < state["weight"] / 50).all()
    assert (small["running_var"] == state["running_var"]).all()
