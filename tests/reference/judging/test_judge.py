"""The judge by its public door: right candidates pass, planted hacks do not, each by name."""

import pytest
import torch
from torch.nn import functional as F

from scratchproof import judge
from scratchproof.errors import InputError
from scratchproof.exam.compare import Verdict

REFERENCE = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.linear = nn.Linear(features, hidden)

    def forward(self, x):
        return torch.relu(self.linear(x))

batch, features, hidden = 6, 24, 40

def get_inputs():
    return [torch.rand(batch, features)]

def get_init_inputs():
    return [features, hidden]
"""
CANDIDATE = """
import torch
from torch import nn

class ModelNew(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.linear = nn.Linear(features, hidden)

    def forward(self, x):
        {}
"""
RIGHT = "return (x @ self.linear.weight.t() + self.linear.bias).clamp(min=0)"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problem")
    (folder / "reference.py").write_text(REFERENCE)

    def judged(body, **options):
        (folder / "candidate.py").write_text(CANDIDATE.format(body))
        return judge(folder / "candidate.py", folder / "reference.py", seed=1, **options)

    return judged


def test_a_right_candidate_passes(judged):
    found = judged(RIGHT)
    assert found.passed, found
    assert found.score == 1.0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return torch.zeros(len(x), 40)", "zeros"),
        ("return torch.relu(self.linear(x.bfloat16().float()))", "downgrade"),
        ("return torch.empty(len(x), 40)", "reads unwritten memory"),
        ("return self.linear(x.abs()).relu().flip(1)", "permutation"),
        ("return torch.relu(self.linear(x.abs()))", "fits one distribution"),
        ("return torch.relu(self.linear(x)).detach()", "no gradient"),
        ("return torch.relu(self.linear(x)).double()", "wrong dtype"),
        ("out = torch.relu(self.linear(x)); x.data.zero_(); return out", "writes an input"),
    ],
)
def test_a_hack_is_caught_and_named(judged, body, kind):
    found = judged(body)
    assert not found.passed
    assert kind in found.kinds, found
    assert found.score == 0.0


def test_what_raises_and_what_is_not_there(judged, tmp_path):
    assert judged("raise ValueError('no')").verdict is Verdict.CRASH
    assert judged("import os; os._exit(3)").verdict is Verdict.CRASH
    (tmp_path / "reference.py").write_text(REFERENCE)
    (tmp_path / "empty.py").write_text("")
    assert judge(tmp_path / "empty.py", tmp_path / "reference.py").verdict is Verdict.MISSING


def test_a_problem_whose_truth_is_zero_is_vacuous():
    found = judge(torch.zeros_like, lambda x: x - x, inputs=[torch.rand(4, 5)])
    assert found.verdict is Verdict.VACUOUS


def test_bad_arguments_are_told():
    with pytest.raises(InputError, match="cannot be allowed"):
        judge(F.relu, F.relu, inputs=[torch.rand(3)], allow="float8")
    with pytest.raises(InputError, match="needs inputs"):
        judge(F.relu, F.relu)
