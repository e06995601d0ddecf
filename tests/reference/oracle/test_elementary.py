"""What is written out is the same function, and is differentiated step by step."""

import pytest
import torch
from torch.nn import functional as F

from scratchproof.oracle.elementary import TABLE, Elementary, fused

X = torch.linspace(-3, 4, 48, dtype=torch.float64).sin().reshape(2, 4, 6)
W, B = torch.linspace(0.5, 2, 4).double(), torch.linspace(-1, 1, 4).double()
LAST, CHANNELS = (torch.linspace(0.5, 2, 6).double(), torch.linspace(-1, 1, 6).double()), (W, B)
CALLS = {
    "softmax": lambda x: F.softmax(x, 1),
    "Tensor.softmax": lambda x: x.softmax(dim=-1),
    "log_softmax": lambda x: F.log_softmax(x, 2),
    "logsumexp": lambda x: torch.logsumexp(x, dim=[1], keepdim=True),
    "sigmoid": torch.sigmoid,
    "cross_entropy": lambda x: F.cross_entropy(x, torch.tensor([[0, 3, 1, 2, 2, 0], [1, 1, 0, 3, 2, 2]])),
    "layer_norm": lambda x: F.layer_norm(x, (6,), *LAST),
    "group_norm": lambda x: F.group_norm(x, 2, *CHANNELS),
    "batch_norm": lambda x: F.batch_norm(x, None, None, *CHANNELS, training=True),
    "batch_norm, as it predicts": lambda x: F.batch_norm(x, B, W, *CHANNELS),
    "instance_norm": lambda x: F.instance_norm(x, weight=W, bias=B),
    "rms_norm": lambda x: F.rms_norm(x, (6,), LAST[0], 1e-6),
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "elu": lambda x: F.elu(x, 0.7),
    "selu": torch.selu,
    "attention": lambda x: F.scaled_dot_product_attention(x, x.flip(1), 2 * x, is_causal=True),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_it_is_the_same_and_so_is_its_gradient(call):
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    expected = call(x)
    with (mode := Elementary()):
        found = call(y)
    assert mode.used
    torch.testing.assert_close(found, expected)
    dout = torch.linspace(-1, 1, expected.numel(), dtype=torch.float64).reshape(expected.shape)
    torch.testing.assert_close(*(torch.autograd.grad(out, at, dout)[0] for out, at in ((found, y), (expected, x))))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.cross_entropy(x, x.softmax(1)),
        lambda x: F.cross_entropy(x, torch.zeros(2, 6, dtype=torch.long), reduction="sum"),
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.ones(4, 4, dtype=torch.bool)),
        torch.relu,
    ],
    ids=["probabilities", "a sum", "a mask", "another function"],
)
def test_what_is_not_written_out_is_left_to_torch(call):
    with Elementary():
        found = call(X)
    torch.testing.assert_close(found, call(X))


def test_every_way_to_call_a_function_is_in_the_table():
    assert {F.softmax, torch.softmax, torch.Tensor.softmax} <= set(TABLE)


@pytest.mark.parametrize("causal", [False, True])
def test_what_a_fused_kernel_computes_anew_is_the_same(causal):
    def called(*qkv):
        return F.scaled_dot_product_attention(*qkv, is_causal=causal)

    expected, found = ([one.clone().requires_grad_() for one in (X, X.flip(1), X[:1])] for _ in range(2))
    due = called(*expected)
    with (mode := Elementary(fused())):
        out = called(*found)
    assert mode.used
    dout = X.cos()
    for pair in zip(torch.autograd.grad(out, found, dout), torch.autograd.grad(due, expected, dout), strict=True):
        torch.testing.assert_close(*pair)
    torch.testing.assert_close(out, due)
