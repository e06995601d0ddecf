"""Functions written in torch are examined by autograd's gradients of them; NumPy's are told apart from them."""

from types import ModuleType

import pytest

from scratchproof import scratch
from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row

FILE = """
import torch


def affine_forward(x, w, b):
    return x.reshape(x.shape[0], -1) @ w + b{slip}


def word_embedding_forward(x, W):
    return W[x]


def temporal_softmax_loss(x, y, mask, verbose=False):
    losses = torch.nn.functional.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="none")
    return (losses * mask.flatten()).sum() / len(x)


def rnn_forward(x, h0, Wx, Wh, b):
    pass
"""


def verdict(name, slip="", **more):
    module = ModuleType("course")
    exec(FILE.format(slip=slip), vars(module))
    vars(module).update(more)
    return examine(ModuleSubject(name="course", module=module), row(name), "float64", effort="quick").verdict


@pytest.mark.parametrize("name", ["affine", "word_embedding", "temporal_softmax_loss"])
def test_what_is_right_passes(name):
    assert verdict(name) is Verdict.PASS


def test_what_is_wrong_fails_and_what_is_not_written_is_told():
    assert verdict("affine", slip=" * 2") is Verdict.FAIL
    assert verdict("rnn") is Verdict.UNIMPLEMENTED


def test_a_backward_pass_makes_it_numpy_even_where_torch_is_at_hand():
    pair = {"affine_forward": scratch.affine_forward, "affine_backward": scratch.affine_backward}
    assert verdict("affine", **pair) is Verdict.PASS


def test_a_forward_pass_alone_is_nothing_to_examine_where_there_is_no_torch():
    assert verdict("affine", torch=None) is Verdict.MISSING
