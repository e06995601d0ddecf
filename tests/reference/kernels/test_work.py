"""A problem of any size is brought to one that can be judged."""

import pytest

from scratchproof.errors import InputError
from scratchproof.kernels.problem import from_file
from scratchproof.kernels.work import BUDGET, scaled, work_of

TEXT = """
import torch
class Model(torch.nn.Module):
    def forward(self, a, b):
        return torch.relu(a @ b)
M, K, N = {}
def get_inputs():
    return [torch.rand(M, K), torch.rand(K, N)]
"""


def problem(tmp_path, sizes):
    (tmp_path / "p.py").write_text(TEXT.format(sizes))
    return from_file(str(tmp_path / "p.py"))


def test_what_is_small_is_left_and_what_is_huge_is_divided(tmp_path):
    small, scale = scaled(problem(tmp_path, "7, 30, 19"), "auto", 0)
    assert scale == 1
    assert small.draw(0)[0].shape == (7, 30)
    huge, scale = scaled(problem(tmp_path, "2**17, 2**19 + 1, 2**16"), "auto", 0)
    assert scale > 1
    assert BUDGET / 16 < work_of(huge) <= BUDGET


def test_work_grows_with_the_products(tmp_path):
    works = [work_of(problem(tmp_path, f"20, {k}, 30").at({}, 0)) for k in (256, 512)]
    products = 20 * 30 / 256
    assert works[1] - works[0] >= products * 256


def test_a_scale_is_what_sizes_are_divided_by(tmp_path):
    setting, scale = scaled(problem(tmp_path, "64, 128, 256"), 2, 0)
    assert scale == 2
    assert setting.draw(0)[0].shape == (32, 64)


def test_a_reference_that_does_not_run_is_told(tmp_path):
    (tmp_path / "p.py").write_text(TEXT.format("3, 4, 5").replace("a @ b", "b @ a"))
    with pytest.raises(InputError, match="does not run: RuntimeError"):
        scaled(from_file(str(tmp_path / "p.py")), "auto", 0)


def test_where_many_sizes_multiply_each_becomes_smaller(tmp_path):
    text = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.group_norm(x, 8)
rows, channels, height, width = 112, 64, 512, 256
def get_inputs():
    return [torch.rand(rows, channels, height, width)]
"""
    (tmp_path / "p.py").write_text(text)
    setting, _ = scaled(from_file(str(tmp_path / "p.py")), "auto", 0)
    assert work_of(setting) <= BUDGET
    assert min(setting.draw(0)[0].shape) > 1


def test_inputs_that_are_too_many_alone_are_not_tried(tmp_path):
    setting = problem(tmp_path, "40, 50, 60").at({}, 0)
    held = 40 * 50 + 50 * 60
    assert work_of(setting, 0, held - 1) == held
    assert work_of(setting, 0, held) == work_of(setting) > held
