"""What the rows of the table are made of: samplers of inputs, torch expressions, slips, and spoilt inputs.

An expression takes tensors by position and options by keyword. A slip is what people write instead of one.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table import nets
from scratchproof.vjp import Expression, Inputs

Rng = np.random.Generator
Sampler = Callable[[Rng], Inputs]


def normal(**shapes: tuple[int, ...]) -> Sampler:
    """A sampler of standard normal inputs of the given shapes, in the given order."""
    return lambda rng: {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def scores_and_labels(rows: int, classes: int) -> Sampler:
    return lambda rng: {
        "x": 3 * rng.standard_normal((rows, classes)),
        "y": rng.integers(classes, size=rows),
    }


def logits_and_labels(rng: Rng) -> Inputs:
    return {"x": 3 * rng.standard_normal(11), "y": rng.integers(2, size=11)}


def dropout_inputs(rng: Rng) -> Inputs:
    return {"x": rng.standard_normal((6, 7)), "mask": rng.random((6, 7)) < 0.7}


def batchnorm_inference_inputs(rng: Rng) -> Inputs:
    shapes = {"x": (9, 5), "gamma": (5,), "beta": (5,), "running_mean": (5,)}
    return {**normal(**shapes)(rng), "running_var": rng.uniform(0.5, 2.0, size=5)}


def running_inputs(rng: Rng) -> Inputs:
    return {**normal(x=(9, 5), running_mean=(5,))(rng), "running_var": rng.uniform(0.5, 2.0, size=5)}


def three_layer_inputs(rng: Rng) -> Inputs:
    """Columns wide enough apart for the sigmoids to tell: alike, their outputs could all be near zero."""
    inputs = normal(x=(3, 5), W1=(4, 3), b1=(4, 1), W2=(4, 4), b2=(4, 1), W3=(1, 4), b3=(1, 1))(rng)
    return {**inputs, "x": 4 * inputs["x"], "W2": 3 * inputs["W2"]}


def net_inputs(X: tuple[int, ...], classes: int, **params: tuple[int, ...]) -> Sampler:
    """Images X, labels y, and parameters scaled so that every layer's values are of order one."""

    def sample(rng: Rng) -> Inputs:
        scaled = {name: rng.standard_normal(shape) / _fan_in(shape) ** 0.5 for name, shape in params.items()}
        return {"X": rng.standard_normal(X), "y": rng.integers(classes, size=X[0]), **scaled}

    return sample


def _fan_in(shape: tuple[int, ...]) -> int:
    if len(shape) < 2:
        return 4
    return shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))


def with_slope(value: Tensor, slope: Tensor, x: Tensor) -> Tensor:
    """`value` with the derivative `slope` in place of its own."""
    return value.detach() + slope.detach() * (x - x.detach())


def batchnorm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


def batchnorm_constants(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    mean, var = x.mean(0).detach(), x.var(0, correction=0).detach()
    return (x - mean) / torch.sqrt(var + eps) * gamma + beta


def batchnorm_no_variance_path(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0).detach() + eps) * gamma + beta


def batchnorm_unbiased(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return (x - x.mean(0)) / torch.sqrt(x.var(0) + eps) * gamma + beta


def batchnorm_eps_outside(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return (x - x.mean(0)) / (torch.sqrt(x.var(0, correction=0)) + eps) * gamma + beta


def batchnorm_inference(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, *, eps: float = 1e-5
) -> Tensor:
    return F.batch_norm(x, mean, var, gamma, beta, training=False, eps=eps)


def batchnorm_running(x: Tensor, mean: Tensor, var: Tensor, *, momentum: float = 0.9) -> Tensor:
    # CS231n's momentum is the share of the old average; torch's is that of the new batch. The variance that
    # nn.BatchNorm1d averages is the unbiased one.
    return torch.stack([mean, var]) * momentum + torch.stack([x.mean(0), x.var(0)]) * (1 - momentum)


def pooling(kernel: Callable[..., Tensor]) -> Expression:
    def pool(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        return kernel(x, (pool_height, pool_width), stride)

    return pool


def max_pool_all_ties(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
    windows = x.unfold(2, pool_height, stride).unfold(3, pool_width, stride)
    largest = windows.amax((-2, -1), keepdim=True).detach()
    passed = windows * (windows == largest)
    return (largest + passed - passed.detach()).sum((-2, -1)) - largest[..., 0, 0] * (pool_height * pool_width - 1)


def max_pool_shared(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
    mean = F.avg_pool2d(x, (pool_height, pool_width), stride)
    return F.max_pool2d(x, (pool_height, pool_width), stride).detach() + mean - mean.detach()


def svm_margins(x: Tensor, y: Tensor, *, detach: bool = False) -> Tensor:
    right = x.gather(1, y[:, None])
    return F.relu(x - (right.detach() if detach else right) + 1)


def svm_no_right_class(x: Tensor, y: Tensor) -> Tensor:
    others = y[:, None] != torch.arange(x.shape[1])
    return (svm_margins(x, y, detach=True) * others).sum() / len(y)


def dropout(x: Tensor, mask: Tensor, *, p: float = 0.5) -> Tensor:
    return x * mask / p


def three_layer(x: Tensor, *params: Tensor) -> Tensor:
    W1, b1, W2, b2, W3, b3 = params
    hidden = torch.sigmoid(W2 @ torch.sigmoid(W1 @ x + b1) + b2)
    return W3 @ hidden + b3


def _scores(name: str, inputs: Mapping[str, Tensor]) -> Tensor:
    params = {key: value for key, value in inputs.items() if key not in ("X", "y")}
    X = inputs["X"]
    with torch.device("meta"):  # sizes only: the values come with the inputs
        twin = nets.build(name, {key: tuple(value.shape) for key, value in params.items()}, tuple(X.shape[1:]))
    return nets.scores(twin, X, *params.values())


def net_scores(name: str, *keys: str) -> Expression:
    """The scores of a net's twin as an expression of (X, y, W1, b1, ...); the labels are not used."""
    return lambda *tensors, **_: _scores(name, dict(zip(keys, tensors, strict=True)))


def net_loss(name: str, *keys: str, loss: str = "softmax") -> Expression:
    def expression(*tensors: Tensor, reg: float = 0.0, loss: str = loss) -> Tensor:
        inputs = dict(zip(keys, tensors, strict=True))
        data_loss = nets.LOSSES[loss](_scores(name, inputs), inputs["y"])
        params = [value for key, value in inputs.items() if key not in ("X", "y")]
        return nets.regularised(data_loss, params, reg)

    return expression


def no_last_feature(inputs: Inputs) -> Inputs:
    return {**inputs, "w": inputs["w"][:-1]}


def label_too_large(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"] + inputs["x"].shape[-1]}


def label_negative(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"] - inputs["x"].shape[-1]}


def label_missing(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"][:-1]}
