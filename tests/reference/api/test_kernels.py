"""What kernel authors write, in a few lines each: right, it passes; with one planted bug, it does not."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchproof import assert_passes, examine


def both(right, wrong, precisions=("float32",), **told):
    """The right one passes; the wrong one is caught by value, in the first precision."""
    assert_passes(examine(right, precisions=precisions, **told))
    report = examine(wrong, precisions=precisions[:1], effort="quick", **told)
    assert not report.passed
    assert report.findings[0].severity == "value", report.findings[0].message
    with pytest.raises(AssertionError, match=r"\(float"):
        assert_passes(report)


def test_gelu_as_a_torch_function():
    def gelu(x, root=2**0.5):
        return 0.5 * x * (1 + torch.erf(x / root))

    both(gelu, lambda x: gelu(x, 1.4), truth=F.gelu, inputs={"x": (6, 7)})


def test_gated_silu_as_an_autograd_function():
    class Gated(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, gate):
            ctx.save_for_backward(x, gate)
            return x * gate * torch.sigmoid(gate)

        @staticmethod
        def backward(ctx, dout):
            x, gate = ctx.saved_tensors
            s = torch.sigmoid(gate)
            return dout * gate * s, dout * x * s * (1 + gate * (1 - s))

    class Wrong(Gated):
        @staticmethod
        def backward(ctx, dout):
            x, gate = ctx.saved_tensors
            s = torch.sigmoid(gate)
            return dout * gate * s, dout * x * s * (1 - s)

    told = {"truth": lambda x, gate: x * F.silu(gate), "inputs": {"x": (5, 6), "gate": (5, 6)}}
    both(Gated.apply, Wrong.apply, **told)


class LayerNorm(nn.Module):
    """As nn.LayerNorm over the last axis. correction: 1 is the planted bug."""

    def __init__(self, features, correction=0):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
        self.correction = correction

    def forward(self, x):
        variance, mean = torch.var_mean(x, -1, correction=self.correction, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.weight + self.bias


def test_layernorm_as_a_module():
    both(LayerNorm(7), LayerNorm(7, correction=1), truth=nn.LayerNorm(7), inputs={"x": (2, 5, 7)})


def test_silu_compiled_by_inductor():
    compiled = torch.compile(lambda x: x * torch.sigmoid(x))
    assert_passes(examine(compiled, truth=F.silu, inputs={"x": (5, 7)}, precisions=("float32",), corners=()))


def test_rmsnorm_compiled():
    def rmsnorm(x, weight, count):
        return x * torch.rsqrt((x * x).sum(-1, keepdim=True) / count + 1e-6) * weight

    right = torch.compile(lambda x, weight: rmsnorm(x, weight, 7), backend="aot_eager")
    wrong = torch.compile(lambda x, weight: rmsnorm(x, weight, 8), backend="aot_eager")
    truth = lambda x, weight: F.rms_norm(x, (7,), weight, 1e-6)  # noqa: E731
    both(right, wrong, truth=truth, inputs={"x": (5, 7), "weight": (7,)})


def test_groupnorm_as_a_torch_function():
    def groupnorm(x, weight, bias, groups=2):
        rows = x.reshape(len(x), groups, -1)
        variance, mean = torch.var_mean(rows, -1, correction=0, keepdim=True)
        shape = (1, -1, 1, 1)
        return ((rows - mean) / torch.sqrt(variance + 1e-5)).reshape(x.shape) * weight.view(shape) + bias.view(shape)

    inputs = {"x": (3, 6, 4, 5), "weight": (6,), "bias": (6,)}
    wrong = lambda x, weight, bias: groupnorm(x, weight, bias, 3)  # noqa: E731
    both(groupnorm, wrong, truth=lambda x, w, b: F.group_norm(x, 2, w, b), inputs=inputs)


def test_batchnorm_on_images_as_a_pair():
    def forward(x, gamma, beta):
        mean, std = x.mean((0, 2, 3), keepdims=True), np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)
        normal, scale = (x - mean) / std, gamma[:, None, None]
        return normal * scale + beta[:, None, None], (normal, std, scale)

    def backward(dout, cache, axes=(0, 2, 3)):
        normal, std, scale = cache
        dnormal = dout * scale
        along = normal * (dnormal * normal).mean(axes, keepdims=True)
        dx = (dnormal - dnormal.mean(axes, keepdims=True) - along) / std
        return dx, (dout * normal).sum((0, 2, 3)), dout.sum((0, 2, 3))

    def wrong(dout, cache):
        return backward(dout, cache, axes=0)

    truth = lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True)  # noqa: E731
    inputs = {"x": (4, 3, 5, 6), "gamma": (3,), "beta": (3,)}
    both((forward, backward), (forward, wrong), truth=truth, inputs=inputs, corners=())


def test_causal_attention_as_a_torch_function():
    def attention(q, k, v, diagonal=1):
        mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(diagonal)
        return torch.softmax((q @ k.mT / q.shape[-1] ** 0.5).masked_fill(mask, -torch.inf), -1) @ v

    inputs = {"q": (2, 5, 4), "k": (2, 5, 4), "v": (2, 5, 3)}
    truth = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)  # noqa: E731
    both(attention, lambda q, k, v: attention(q, k, v, 2), truth=truth, inputs=inputs)


def test_embedding_as_a_pair():
    def forward(index, weight):
        return weight[index], (index, weight)

    def backward(dout, cache):
        index, weight = cache
        dw = np.zeros_like(weight)
        np.add.at(dw, index, dout)
        return dw

    def last_only(dout, cache):
        index, weight = cache
        dw = np.zeros_like(weight)
        dw[index] += dout
        return dw

    inputs = {"index": lambda rng: rng.integers(5, size=(6, 3)), "weight": (5, 4)}
    both((forward, backward), (forward, last_only), truth=F.embedding, inputs=inputs)


def test_conv1d_as_a_torch_function():
    def conv1d(x, w, b):
        return torch.einsum("nclk,fck->nfl", x.unfold(2, w.shape[2], 2), w) + b[:, None]

    inputs = {"x": (2, 3, 9), "w": (4, 3, 5), "b": (4,)}
    truth = lambda x, w, b: F.conv1d(x, w, b, stride=2)  # noqa: E731
    both(conv1d, lambda x, w, b: conv1d(x, w.flip(2), b), truth=truth, inputs=inputs)


def test_conv3d_as_a_torch_function():
    def conv3d(x, w):
        windows = x.unfold(2, w.shape[2], 1).unfold(3, w.shape[3], 1).unfold(4, w.shape[4], 1)
        return torch.einsum("ncdhwijk,fcijk->nfdhw", windows, w)

    inputs = {"x": (2, 3, 4, 5, 6), "w": (4, 3, 2, 2, 3)}
    both(conv3d, lambda x, w: conv3d(x, w.transpose(2, 3)), truth=F.conv3d, inputs=inputs)


def test_depthwise_conv2d_as_a_module():
    class Depthwise(nn.Module):
        def __init__(self, height, width):
            super().__init__()
            self.weight, self.order = nn.Parameter(torch.ones(3, 1, height, width)), (height, width)

        def forward(self, x):
            windows = x.unfold(2, self.weight.shape[2], 1).unfold(3, self.weight.shape[3], 1)
            return torch.einsum("nchwij,cij->nchw", windows, self.weight[:, 0])

    class Wrong(Depthwise):
        def forward(self, x):
            return super().forward(x.flip(1)).flip(1)

    both(Depthwise(2, 3), Wrong(2, 3), truth=lambda x, w: F.conv2d(x, w, groups=3), inputs={"x": (2, 3, 6, 7)})


def test_transposed_conv2d_as_a_torch_function():
    def scattered(x, w, step=2):
        out = x.new_zeros(len(x), w.shape[1], step * (x.shape[2] - 1) + w.shape[2], 2 * (x.shape[3] - 1) + w.shape[3])
        for i, j in np.ndindex(*x.shape[2:]):
            window = torch.einsum("nc,cfij->nfij", x[:, :, i, j], w)
            out[:, :, step * i : step * i + w.shape[2], 2 * j : 2 * j + w.shape[3]] += window
        return out

    inputs = {"x": (2, 3, 3, 4), "w": (3, 5, 3, 2)}
    wrong = lambda x, w: scattered(x, w.flip(2))  # noqa: E731
    both(scattered, wrong, truth=lambda x, w: F.conv_transpose2d(x, w, stride=2), inputs=inputs, corners=("zeros",))


def test_label_smoothing_with_a_pullback():
    def smoothed(x, y, spread=0.1):
        z = x - x.max(1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(1, keepdims=True))
        due = (np.eye(x.shape[1])[y] * (1 - 0.1) + spread / x.shape[1]).astype(x.dtype)
        dx = (np.exp(logp) * due.sum(1, keepdims=True) - due) / len(x)
        return -(due * logp).sum() / len(x), lambda dout: dout * dx

    truth = lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1)  # noqa: E731
    inputs = {"x": (6, 5), "y": lambda rng: rng.integers(5, size=6)}
    both(smoothed, lambda x, y: smoothed(x, y, 0.11), truth=truth, inputs=inputs)


def test_an_lstm_cell_with_nested_state():
    class Cell(nn.LSTMCell):
        order = (0, 1, 2, 3)

        def forward(self, x, state):
            gates = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(state[0], self.weight_hh, self.bias_hh)
            i, f, g, o = (gates.chunk(4, 1)[place] for place in self.order)
            c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

    class Wrong(Cell):
        order = (1, 0, 2, 3)

    inputs = {"x": (5, 3), "state": ((5, 4), (5, 4))}
    both(Cell(3, 4), Wrong(3, 4), truth=nn.LSTMCell(3, 4), inputs=inputs)


def test_a_net_of_three_modules():
    def net(activation):
        return nn.Sequential(nn.Linear(6, 5), activation, nn.Linear(5, 3))

    both(net(nn.Tanh()), net(nn.Softsign()), truth=net(nn.Tanh()), inputs={"x": (4, 6)})
