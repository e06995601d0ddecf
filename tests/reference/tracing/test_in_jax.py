"""Modules computed by JAX: right ones agree in each precision and layout, a slip of a port is named at its place."""

import pytest
import torch
from torch import nn

from scratchproof import trace
from scratchproof.errors import InputError
from scratchproof.tracing.in_jax import HWIO, IN_OUT, NHWC, Laid, flattened, in_jax

jax = pytest.importorskip("jax")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Linear(4 * 3 * 2, 5)

    def forward(self, x):
        return self.fc(torch.tanh(self.norm(self.conv(x))).flatten(1))


def net():
    torch.manual_seed(0)
    return Net()


def x(rows=6):
    return torch.randn(rows, 2, 6, 4, generator=torch.Generator().manual_seed(1))


def conv(p, x, padding=((1, 1), (1, 1))):
    names = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, p["k"], (2, 2), padding, dimension_numbers=names) + p["b"]


def norm(p, x, momentum=0.1):
    mean, var, n = x.mean((0, 1, 2)), x.var((0, 1, 2)), x.size // x.shape[-1]
    out = (x - mean) / jax.numpy.sqrt(var + 1e-5) * p["g"] + p["b"]
    kept = {"running_mean": (1 - momentum) * p["mean"] + momentum * mean}
    return out, kept | {"running_var": (1 - momentum) * p["var"] + momentum * var * n / (n - 1)}


def dense(p, x):
    return x @ p["w"] + p["b"]


def whole(p, x):
    x, updates = norm(p["norm"], conv(p["conv"], x))
    x = dense(p["fc"], jax.numpy.tanh(x).reshape(len(x), -1))
    return x, {f"norm.{name}": value for name, value in updates.items()}


CONV = ("conv", conv, {"k": HWIO("weight"), "b": "bias"})
NORM = ("norm", norm, {"g": "weight", "b": "bias", "mean": "running_mean", "var": "running_var"})
DENSE = ("fc", dense, {"w": IN_OUT("weight"), "b": "bias"})
OF_NORM = {"g": "norm.weight", "b": "norm.bias", "mean": "norm.running_mean", "var": "norm.running_var"}


def the_net(behind):
    params = {"conv": {"k": HWIO("conv.weight"), "b": "conv.bias"}, "norm": OF_NORM}
    return ("", whole, params | {"fc": {"w": behind, "b": "fc.bias"}})


WHOLE = the_net(flattened("fc.weight", 4, 3, 2))


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_right_port_agrees_layer_by_layer(precision):
    found = trace(in_jax(net(), [CONV, NORM, DENSE], layout=NHWC), net(), inputs=x(), precision=precision)
    assert found.passed, found.verdict
    judged = {(line.path, line.quantity) for line in found.lines if line.forced and line.free}
    assert {("conv", "out"), ("norm", "running_var"), ("fc", "out")} <= judged


def test_what_jax_rounds_and_torch_does_not_is_said():
    """A bias added behind a convolution in bfloat16 is added to what was rounded; torch rounds once."""
    found = trace(in_jax(net(), [CONV], layout=NHWC), net(), inputs=x(), precision="bfloat16")
    assert found.culprit == "conv"
    assert "as if summed in bfloat16" in found.reason


def test_within_a_whole_net_in_jax_each_layer_is_judged_by_itself():
    found = trace(in_jax(net(), [WHOLE, CONV, NORM, DENSE], layout=NHWC), net(), inputs=x())
    assert found.passed, found.verdict
    assert {line.path for line in found.lines if line.forced} == {"conv", "norm", "fc"}
    gradients = {(line.path, line.quantity) for line in found.lines if line.free}
    assert {("(model)", "out"), ("(model)", "dx"), ("conv", "dweight"), ("norm", "running_mean")} <= gradients


def test_a_wrong_padding_is_named_at_its_place():
    def same(p, x):
        return conv(p, x, "SAME")

    pairs = [("conv", same, CONV[2]), NORM, DENSE]
    for within in ([], [WHOLE]):
        assert trace(in_jax(net(), [*within, *pairs], layout=NHWC), net(), inputs=x()).culprit == "conv"


def test_where_every_layer_is_right_the_whole_is_wrong():
    found = trace(in_jax(net(), [the_net(IN_OUT("fc.weight")), CONV, NORM, DENSE], layout=NHWC), net(), inputs=x())
    assert (found.culprit, found.only_there) == ("(model)", ())


def test_running_statistics_that_a_port_forgets_are_wrong():
    forgetting = ("norm", lambda p, x: norm(p, x)[0], NORM[2])
    found = trace(in_jax(net(), [forgetting], layout=NHWC), net(), inputs=x())
    assert found.culprit == "norm"
    assert "running_mean is wrong" in found.reason


@pytest.mark.parametrize("laid", [Laid("w"), IN_OUT("w"), flattened("w", 2, 3, 4)], ids=str)
def test_a_layout_moves_every_element_once(laid):
    w = torch.arange(5.0 * 24).reshape(5, 24)
    assert torch.equal(laid.to_jax(w).flatten().sort().values, w.flatten())


def test_the_rows_behind_a_flattened_image_follow_its_layout():
    w, image = torch.randn(5, 24), torch.randn(7, 2, 3, 4)
    there = NHWC.to_jax(image).flatten(1) @ flattened("w", 2, 3, 4).to_jax(w)
    torch.testing.assert_close(there, image.flatten(1) @ w.T)
    assert torch.equal(NHWC.to_torch(NHWC.to_jax(image)), image)


@pytest.mark.parametrize(
    ("pair", "words"),
    [(("body", dense, {}), "no module 'body'"), (("fc", dense, {"w": "kernel"}), "'fc' has no parameter 'kernel'")],
)
def test_what_the_model_has_not_is_refused(pair, words):
    with pytest.raises(InputError, match=words):
        in_jax(net(), [pair])
