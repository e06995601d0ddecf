"""Slips in the affine layer, in activations and in dropout."""

import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table.expressions import affine, dropout, with_slope
from scratchproof.table.slips.making import Slips, instead


def _relu_by(mask: Tensor, x: Tensor) -> Tensor:
    return with_slope(F.relu(x), mask.to(x.dtype), x)


def _affine_of_columns(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return affine(x.permute(0, *range(x.ndim - 1, 0, -1)), w, b)


AFFINE: Slips = {
    "the bias b is subtracted": lambda x, w, b: affine(x, w, -b),
    "the bias b is added twice": lambda x, w, b: affine(x, w, 2 * b),
    "x is flattened with its axes in reversed order (Fortran order)": _affine_of_columns,
    "dw is divided by N: a mean where a sum is due": instead(
        affine, {1: lambda dout, x, w, b: x.flatten(1).T @ dout / len(x)}
    ),
    "w is reshaped where it should be transposed": instead(
        affine, {0: lambda dout, x, w, b: (dout @ w.reshape(w.shape[::-1])).reshape(x.shape)}
    ),
    "dout.T @ x stands where x.T @ dout is due: dw is transposed, read in the shape of w": instead(
        affine, {1: lambda dout, x, w, b: (dout.T @ x.flatten(1)).reshape(w.shape)}
    ),
    "w @ dout.T, which is transposed, is reshaped to the shape of x": instead(
        affine, {0: lambda dout, x, w, b: (w @ dout.T).reshape(x.shape)}
    ),
    "the output, not dout, stands in the product for dw": instead(
        affine, {1: lambda dout, x, w, b: x.flatten(1).T @ affine(x, w, b)}
    ),
    "the sum over rows is missing: the gradient of the last row alone": instead(
        affine, {1: lambda dout, x, w, b: x.flatten(1)[-1:].T @ dout[-1:], 2: lambda dout, x, w, b: dout[-1]}
    ),
}
RELU: Slips = {
    "the mask is turned around: gradient where x is negative": lambda x: _relu_by(x < 0, x),
    "dout is passed on unmasked": lambda x: _relu_by(torch.ones_like(x), x),
    "x, not dout, is masked": instead(F.relu, {0: lambda dout, x: x * (x > 0)}),
    "a leaky ReLU: negative inputs pass a hundredth of dout": lambda x: _relu_by(0.01 + 0.99 * (x > 0).to(x.dtype), x),
    "a leaky ReLU: negative inputs pass a hundredth": lambda x: F.leaky_relu(x, 0.01),
    "the absolute value is taken": torch.abs,
    "min(0, x) stands where max(0, x) is due": lambda x: -F.relu(-x),
    "0 and 1 stand for the output: the mask itself": lambda x: (x > 0).to(x.dtype) + 0 * x,
    "the output is clipped at 1": lambda x: x.clamp(0, 1),
    "the output is clipped at 2": lambda x: x.clamp(0, 2),
    "the output is clipped at 6 (ReLU6)": F.relu6,
    "the input is passed on: there is no ReLU": lambda x: 1 * x,
    "-x is passed on where x is negative in backward": lambda x: _relu_by(torch.sign(x), x),
}
LEAKY_RELU: Slips = {
    "an ordinary ReLU: negative inputs pass nothing": lambda x, negative_slope=0.01: F.relu(x),
    "negative inputs pass no gradient, as in an ordinary ReLU": lambda x, negative_slope=0.01: with_slope(
        F.leaky_relu(x, negative_slope), (x > 0).to(x.dtype), x
    ),
    "the slope stands on the wrong side, where x is positive": lambda x, negative_slope=0.01: with_slope(
        F.leaky_relu(x, negative_slope), torch.where(x < 0, torch.ones_like(x), negative_slope * torch.ones_like(x)), x
    ),
    "dout is passed on unmasked": lambda x, negative_slope=0.01: with_slope(
        F.leaky_relu(x, negative_slope), torch.ones_like(x), x
    ),
    **{
        f"the slope is {slope:g} in backward, whatever it is": lambda x, negative_slope=0.01, slope=slope: with_slope(
            F.leaky_relu(x, negative_slope), torch.where(x > 0, 1.0, slope).to(x.dtype), x
        )
        for slope in (0.001, 0.01, 0.1, 0.2)
    },
    "the slope is subtracted: -slope * x": lambda x, negative_slope=0.01: F.leaky_relu(x, -negative_slope),
}


SIGMOID: Slips = {
    "1 - out stands where out * (1 - out) is due": lambda x: with_slope(torch.sigmoid(x), 1 - torch.sigmoid(x), x),
    "out stands where out * (1 - out) is due": lambda x: with_slope(torch.sigmoid(x), torch.sigmoid(x), x),
    "x * (1 - x) stands where out * (1 - out) is due": lambda x: with_slope(torch.sigmoid(x), x * (1 - x), x),
    "1 - out^2, the derivative of tanh, stands where out * (1 - out) is due": lambda x: with_slope(
        torch.sigmoid(x), 1 - torch.sigmoid(x) ** 2, x
    ),
    "the sigmoid is taken of the input once more in backward": lambda x: with_slope(
        torch.sigmoid(x), torch.sigmoid(torch.sigmoid(x)) * (1 - torch.sigmoid(torch.sigmoid(x))), x
    ),
    "the sigmoid is that of -x": lambda x: torch.sigmoid(-x),
    "exp overflows where x is large: exp(x) / (1 + exp(x))": lambda x: x.exp() / (1 + x.exp()),
    "1 - out loses its digits where out is near 1: out * (1 - out)": lambda x: with_slope(
        torch.sigmoid(x), torch.sigmoid(x) * (1 - torch.sigmoid(x)), x
    ),
    "1 - 1 / (1 + z) loses its digits where z = exp(-|x|) is small": lambda x: with_slope(
        torch.sigmoid(x), (1 - 1 / (1 + torch.exp(-x.abs()))) / (1 + torch.exp(-x.abs())), x
    ),
    "a square is missing: z / (1 + z) stands where z / (1 + z)^2 is due, z being exp(-|x|)": lambda x: with_slope(
        torch.sigmoid(x), torch.exp(-x.abs()) / (1 + torch.exp(-x.abs())), x
    ),
}
TANH: Slips = {
    "1 - out stands where 1 - out^2 is due: the square is forgotten": lambda x: with_slope(
        torch.tanh(x), 1 - torch.tanh(x), x
    ),
    "1 + out^2 stands where 1 - out^2 is due": lambda x: with_slope(torch.tanh(x), 1 + torch.tanh(x) ** 2, x),
    "1 - x^2 stands where 1 - out^2 is due": lambda x: with_slope(torch.tanh(x), 1 - x**2, x),
    "out * (1 - out), the derivative of the sigmoid, stands where 1 - out^2 is due": lambda x: with_slope(
        torch.tanh(x), torch.tanh(x) * (1 - torch.tanh(x)), x
    ),
    "the tanh is taken of the output once more in backward": lambda x: with_slope(
        torch.tanh(x), 1 - torch.tanh(torch.tanh(x)) ** 2, x
    ),
    "dout stands for the output in 1 - out^2": instead(torch.tanh, {0: lambda dout, x: dout * (1 - dout**2)}),
    "out^2 stands where 1 - out^2 is due": lambda x: with_slope(torch.tanh(x), torch.tanh(x) ** 2, x),
    "the tanh is that of 2 x": lambda x: torch.tanh(2 * x),
    "exp overflows where x is large: (exp(2 x) - 1) / (exp(2 x) + 1)": lambda x: (
        ((2 * x).exp() - 1) / ((2 * x).exp() + 1)
    ),
    "exp overflows where x is large: (exp(x) - exp(-x)) / (exp(x) + exp(-x))": lambda x: (
        (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())
    ),
}


def _affine_relu(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.relu(affine(x, w, b))


AFFINE_RELU: Slips = {
    "the ReLU's mask is missing in backward": instead(
        _affine_relu,
        {
            0: lambda dout, x, w, b: (dout @ w.T).reshape(x.shape),
            1: lambda dout, x, w, b: x.flatten(1).T @ dout,
            2: lambda dout, x, w, b: dout.sum(0),
        },
    ),
    "the ReLU comes before the affine layer": lambda x, w, b: affine(F.relu(x), w, b),
    "there is no ReLU": affine,
    "a ReLU is applied to the gradient dx, and the mask of the ReLU is missing": instead(
        _affine_relu,
        {
            0: lambda dout, x, w, b: F.relu(dout @ w.T).reshape(x.shape),
            1: lambda dout, x, w, b: x.flatten(1).T @ dout,
            2: lambda dout, x, w, b: dout.sum(0),
        },
    ),
    "the mask is made from dout, not from the affine layer's output": instead(
        _affine_relu,
        {
            0: lambda dout, x, w, b: (F.relu(dout) @ w.T).reshape(x.shape),
            1: lambda dout, x, w, b: x.flatten(1).T @ F.relu(dout),
            2: lambda dout, x, w, b: F.relu(dout).sum(0),
        },
    ),
}
DROPOUT: Slips = {
    "what is kept is not scaled up by 1/p: this dropout is not inverted": lambda x, mask, p=0.5: x * mask,
    "what is kept is scaled up twice, by 1/p^2": lambda x, mask, p=0.5: x * mask / p**2,
    "what is kept is scaled down by p": lambda x, mask, p=0.5: x * mask * p,
    "what is kept is scaled by 1/(1 - p), where 1/p is due: p is taken for the share that is dropped": (
        lambda x, mask, p=0.5: x * mask / (1 - p)
    ),
    "the mask is turned around: what should be dropped is kept": lambda x, mask, p=0.5: x * (1 - mask.to(x.dtype)) / p,
    "the mask is missing in backward: dout / p is passed on": instead(
        dropout, {0: lambda dout, x, mask, p=0.5: dout / p}
    ),
    "the mask is missing in backward: dout is passed on unchanged": instead(
        dropout, {0: lambda dout, x, mask, p=0.5: dout.clone()}
    ),
    "backward does not scale by 1/p": instead(dropout, {0: lambda dout, x, mask, p=0.5: dout * mask}),
    "backward scales by 1/p twice": instead(dropout, {0: lambda dout, x, mask, p=0.5: dout * mask / p**2}),
    "backward multiplies with x too": instead(dropout, {0: lambda dout, x, mask, p=0.5: dout * mask * x / p}),
}
DROPOUT_TEST: Slips = {
    "the output is scaled by p in test mode, though inverted dropout scaled in training already": lambda x, p=0.5: (
        x * p
    ),
    "the output is scaled by 1/p in test mode too": lambda x, p=0.5: x / p,
    "the output is scaled by 1 - p in test mode": lambda x, p=0.5: x * (1 - p),
    "the gradient is scaled by 1/p in test mode": instead(lambda x, p=0.5: 1 * x, {0: lambda dout, x, p=0.5: dout / p}),
    "the gradient is scaled by p in test mode": instead(lambda x, p=0.5: 1 * x, {0: lambda dout, x, p=0.5: dout * p}),
}
