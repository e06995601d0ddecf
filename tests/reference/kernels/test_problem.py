"""A problem is read from each of its forms, and from objects."""

import pytest
import torch
from torch import nn

from scratchproof.errors import InputError
from scratchproof.kernels.problem import (
    expression,
    from_file,
    from_objects,
    functional,
    functionally,
    named_arguments,
    written_buffers,
)

KERNELBENCH = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, n, bias=True):
        super().__init__()
        self.linear = nn.Linear(n, 3, bias=bias)
    def forward(self, x, scale):
        return self.linear(x.float()) * scale

n = 20
def get_inputs():
    return [torch.rand(4, n, device="cuda"), 2.5]
def get_init_inputs():
    return [n]
"""
ROBUST = """
import torch
from torch import nn

def forward_fn(x, weight):
    return x @ weight

class Model(nn.Module):
    def __init__(self, n=5):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, 3))
    def forward(self, x, fn=forward_fn):
        return fn(x, self.weight)

def get_inputs():
    return [torch.randn(4, 5)]
"""


def read(tmp_path, text, spec=""):
    (tmp_path / "p.py").write_text(text)
    return from_file(f"{tmp_path / 'p.py'}{spec}")


def test_kernelbenchs_form_runs_on_the_cpu_in_float64(tmp_path):
    setting = read(tmp_path, KERNELBENCH).at({20: 6}, 0)
    args = setting.draw(0)
    leaves, filled = named_arguments(setting.model, args)
    assert list(leaves) == ["x"]
    assert args[0].shape == (4, 6)
    assert not torch.equal(args[0], setting.draw(1)[0])
    assert torch.equal(args[0], setting.draw(0)[0])
    assert setting.parameters == ("linear.weight", "linear.bias")
    tensors = [t.double() for t in (*leaves.values(), *setting.state.values())]
    out = expression(setting, filled, torch.float64)(*tensors)
    assert out.dtype == torch.float64
    assert torch.equal(out, torch.nn.functional.linear(*tensors) * 2.5)
    assert torch.get_default_dtype() == torch.float32


def test_robust_kbenchs_form_is_one_of_a_function(tmp_path):
    setting = functional(read(tmp_path, ROBUST).at({}, 0))
    assert setting.model.__name__ == "forward_fn"
    leaves, _ = named_arguments(setting.model, setting.draw(0))
    assert {name: t.shape for name, t in leaves.items()} == {"x": (4, 5), "weight": (5, 3)}
    assert functional(read(tmp_path, KERNELBENCH).at({}, 0)) is None


def test_a_plain_function_is_one(tmp_path):
    text = "import torch\ndef double(x):\n    return 2 * x\ndef get_inputs():\n    return torch.rand(3)\n"
    for spec in ("", ":double"):
        problem = read(tmp_path, text, spec)
        assert problem.at({}, 0).model(1) == 2
    assert "double" in problem.wanted


def test_objects_draw_like_what_was_given():
    given = [torch.rand(50), torch.arange(7)]
    setting = from_objects(nn.Linear(2, 2), given).at({}, 0)
    x, labels = setting.draw(3)
    assert x.min() >= given[0].min()
    assert x.max() <= given[0].max()
    assert not torch.equal(x, given[0])
    assert sorted(labels.tolist()) == list(range(7))


def test_what_is_no_problem_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        from_file(str(tmp_path / "nothing.py"))
    with pytest.raises(InputError, match="is no problem: it needs"):
        read(tmp_path, "x = 1").at({}, 0)
    with pytest.raises(InputError, match="cannot be used as a reference: NameError"):
        read(tmp_path, "nothing()").at({}, 0)


def test_a_class_without_arguments_is_built_at_the_sizes_that_its_defaults_get(tmp_path):
    text = ROBUST.replace("n=5", "n=40").replace("torch.randn(4, 5)", "torch.randn(4, 40)")
    setting = read(tmp_path, text).at({40: 6}, 0)
    assert setting.init == ((), {"n": 6})
    assert setting.state["weight"].shape == (6, 3)


def test_the_buffers_that_a_call_writes_are_told(tmp_path):
    layer = nn.BatchNorm1d(3)
    x = torch.randn(5, 3)
    setting = from_objects(layer, lambda: [x]).at({}, 0)
    leaves, filled = named_arguments(layer, (x,))
    held = written_buffers(setting, filled, torch.float32)(*leaves.values(), *setting.state.values())
    assert list(held) == ["running_mean", "running_var"]
    assert torch.equal(layer.running_mean, torch.zeros(3))
    layer(x)
    assert torch.equal(held["running_mean"], layer.running_mean)
    assert torch.equal(held["running_var"], layer.running_var)


def test_what_a_module_holds_is_told_where_it_is_an_argument(tmp_path):
    text = ROBUST.replace("x @ weight", "x @ weight + shift").replace("(x, weight)", "(x, weight, shift)")
    text = text.replace("fn(x, self.weight)", "fn(x, self.weight, self.shift)").replace(
        "    def forward(self", '        self.register_buffer("shift", torch.ones(3))\n    def forward(self', 1
    )
    problem = functionally(read(tmp_path, text))
    setting = problem.at({}, 0)
    assert (setting.held, setting.constant) == (("weight", "shift"), ("shift",))
    assert problem.at({}, 1).model.__name__ == "forward_fn"
