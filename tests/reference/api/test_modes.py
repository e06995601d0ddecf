"""Forward mode, second order and other layouts: right passes, one planted bug each is caught."""

import pytest
import torch
from torch.nn import functional as F

from scratchproof import assert_passes, channels_last, examine, transposed
from scratchproof.errors import InputError

ONE = ("float32",)


def cubed(tangent=3.0, second=6.0):
    """x^3 with its derivatives of three kinds written by hand."""

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, dout):
            ctx.save_for_backward(x, dout)
            return 3 * x * x * dout

        @staticmethod
        def backward(ctx, d):
            x, dout = ctx.saved_tensors
            return second * x * dout * d, 3 * x * x * d

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, dout):
            return Slope.apply(*ctx.saved_tensors, dout)

        @staticmethod
        def jvp(ctx, dx):
            (x,) = ctx.saved_tensors
            return tangent * x * x * dx

    return Cube.apply


TOLD = {"truth": lambda x: x**3, "inputs": {"x": (4, 5)}, "precisions": ONE, "corners": ()}


def failed(report):
    return {sitting.layer for sitting in report.sittings if sitting.verdict != "PASS"}


def test_forward_mode_and_second_order_of_torch():
    modes = {"modes": ("forward", "second"), "name": "cube", **TOLD}
    assert_passes(examine(cubed(), **modes))
    assert failed(examine(cubed(tangent=2.0), **modes)) == {"cube (forward mode)"}
    assert failed(examine(cubed(second=3.0), **modes)) == {"cube (second order)"}


def test_forward_mode_and_second_order_of_jax():
    jax = pytest.importorskip("jax")
    told = {
        "truth": lambda x, w: torch.tanh(x @ w),
        "inputs": {"x": (4, 5), "w": (5, 3)},
        "precisions": ONE,
        "corners": (),
    }
    assert_passes(examine(lambda x, w: jax.numpy.tanh(x @ w), modes=("forward", "second"), **told))

    @jax.custom_jvp
    def tanh(x):
        return jax.numpy.tanh(x)

    tanh.defjvp(lambda primals, tangents: (tanh(primals[0]), tangents[0] * (1 - jax.numpy.tanh(primals[0]))))
    report = examine(lambda x, w: tanh(x @ w), modes=("forward",), name="layer", **told)
    assert failed(report) == {"layer", "layer (forward mode)"}


def test_code_that_brings_its_own_gradient_has_no_other_modes():
    with pytest.raises(InputError, match="has no forward mode to examine"):
        examine((lambda x: (x**3, x), lambda dout, x: 3 * x * x * dout), modes=("forward",), **TOLD)
    with pytest.raises(InputError, match="'reverse' is no mode: choose from forward, second"):
        examine(cubed(), modes=("reverse",), **TOLD)


def test_images_with_channels_last_and_weights_in_out():
    told = {"inputs": {"x": (2, 5, 4, 3), "w": (2, 3, 3, 2)}, "precisions": ONE, "corners": ()}
    windows = lambda x, w: torch.einsum("nhwcij,fcij->nhwf", x.unfold(1, 3, 1).unfold(2, 2, 1), w)  # noqa: E731
    assert_passes(examine(windows, truth=channels_last(F.conv2d), **told))
    assert not examine(lambda x, w: windows(x, w.flip(2)), truth=channels_last(F.conv2d), **told).passed
    matrix = {"inputs": {"x": (4, 5), "w": (5, 3)}, "precisions": ONE, "corners": ()}
    assert_passes(examine(torch.matmul, truth=transposed(F.linear), **matrix))
