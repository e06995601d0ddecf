"""What the rows of the table are made of: samplers of inputs, torch expressions, slips, and spoilt inputs.

An expression takes tensors by position and options by keyword. A slip is what people write instead of one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table import nets
from scratchproof.vjp import Array, Expression, Inputs

Rng = np.random.Generator
Sampler = Callable[[Rng], Inputs]


def affine(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.linear(x.flatten(1), w.T, b)


def normal(**shapes: tuple[int, ...]) -> Sampler:
    """A sampler of standard normal inputs of the given shapes, in the given order."""
    return lambda rng: {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def scores_and_labels(rows: int, classes: int) -> Sampler:
    return lambda rng: {
        "x": 3 * rng.standard_normal((rows, classes)),
        "y": rng.integers(classes, size=rows),
    }


def sure_logits(rows: int) -> Sampler:
    """Logits far on the side of their labels: the loss is all in the digits that 1 + z loses."""

    def sample(rng: Rng) -> Inputs:
        y = rng.integers(2, size=rows)
        return {"x": (2 * y - 1) * rng.uniform(9, 13, rows), "y": y}

    return sample


def logits_and_labels(rows: int) -> Sampler:
    return lambda rng: {"x": 3 * rng.standard_normal(rows), "y": rng.integers(2, size=rows)}


def masked(shape: tuple[int, ...]) -> Sampler:
    return lambda rng: {"x": rng.standard_normal(shape), "mask": rng.random(shape) < 0.7}


def with_running(rows: int, features: int, *vectors: str) -> Sampler:
    """x (N, D), the vectors named (D,), and running statistics (D,), the variances positive."""
    shapes = {"x": (rows, features), **dict.fromkeys((*vectors, "running_mean"), (features,))}
    return lambda rng: {**normal(**shapes)(rng), "running_var": rng.uniform(0.5, 2.0, size=features)}


def before_the_first(sample: Sampler) -> Sampler:
    """The same where no batch has been seen: running statistics of zero."""
    return lambda rng: {k: 0 * v if k.startswith("running") else v for k, v in sample(rng).items()}


def three_layer_inputs(columns: int = 5, sizes: tuple[int, int, int, int] = (3, 4, 4, 1)) -> Sampler:
    """Columns wide enough apart for the sigmoids to tell: alike, their outputs could all be near zero."""
    D, H1, H2, C = sizes
    shapes = {
        "x": (D, columns),
        "W1": (H1, D),
        "b1": (H1, 1),
        "W2": (H2, H1),
        "b2": (H2, 1),
        "W3": (C, H2),
        "b3": (C, 1),
    }

    def sample(rng: Rng) -> Inputs:
        inputs = normal(**shapes)(rng)
        return {**inputs, "x": 4 * inputs["x"], "W2": 3 * inputs["W2"]}

    return sample


def initial(scale: float | None, **params: tuple[int, ...]) -> Sampler:
    """Another draw of a net's first parameters: weights normal of deviation `scale`, or Xavier uniform, biases 0."""

    def weights(shape: tuple[int, ...], rng: Rng) -> Array:
        if scale is not None:
            return scale * rng.standard_normal(shape)
        limit = (6 / sum(shape)) ** 0.5
        return rng.uniform(-limit, limit, shape)

    return lambda rng: {k: weights(s, rng) if k.startswith("W") else np.zeros(s) for k, s in params.items()}


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
    # On the CPU torch's backward reads a strided weight as if it were contiguous (a test keeps
    # watch on that); what it says of a contiguous one is right.
    return F.batch_norm(x, None, None, gamma.contiguous(), beta, training=True, eps=eps)


def batchnorm_by_steps(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    """The same as one writes it oneself: every step rounds, the mean's error goes through all of them."""
    return _standardised(x.T, eps).T * gamma + beta


def batchnorm_inference(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, *, eps: float = 1e-5
) -> Tensor:
    mean, var, gamma = mean.contiguous(), var.contiguous(), gamma.contiguous()  # see batchnorm
    return F.batch_norm(x, mean, var, gamma, beta, training=False, eps=eps)


def batchnorm_running(x: Tensor, mean: Tensor, var: Tensor, *, momentum: float = 0.9) -> Tensor:
    # CS231n's momentum is the share of the old average; torch's is that of the new batch. The variance that
    # nn.BatchNorm1d averages is the unbiased one.
    return torch.stack([mean, var]) * momentum + torch.stack([x.mean(0), x.var(0)]) * (1 - momentum)


def batchnorm_running_biased(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, *, momentum: float = 0.9
) -> Tensor:
    # What CS231n keeps in bn_param: the variance over N that normalised the batch.
    return torch.stack([mean, var]) * momentum + torch.stack([x.mean(0), x.var(0, correction=0)]) * (1 - momentum)


def batchnorm_running_over_N(x: Tensor, mean: Tensor, var: Tensor, *, momentum: float = 0.9) -> Tensor:
    return batchnorm_running_biased(x, mean, var, mean, var, momentum=momentum)


def layernorm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return _standardised(x, eps) * gamma + beta


def spatial_batchnorm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return _images(batchnorm(pixels(x), gamma, beta, eps=eps), x)


def spatial_groupnorm(x: Tensor, gamma: Tensor, beta: Tensor, *, groups: int, eps: float = 1e-5) -> Tensor:
    rows = x.reshape(len(x) * groups, math.prod(x.shape[1:]) // groups)
    return _standardised(rows, eps).reshape(x.shape) * gamma[:, None, None] + beta[:, None, None]


def pixels_of(expression: Expression) -> Expression:
    """The same of images (N, C, H, W): every pixel is a row."""
    return lambda x, *others, **options: _images(expression(pixels(x), *others, **options), x)


def batchnorm_running_over_pixels(
    x: Tensor, gamma: Tensor, beta: Tensor, *kept: Tensor, momentum: float = 0.9
) -> Tensor:
    return batchnorm_running_over_N(pixels(x), *kept, momentum=momentum)


def _standardised(rows: Tensor, eps: float) -> Tensor:
    return (rows - rows.mean(1, keepdim=True)) / torch.sqrt(rows.var(1, correction=0, keepdim=True) + eps)


def pixels(x: Tensor) -> Tensor:
    """Images (N, C, H, W) as rows (N * H * W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _images(pixels: Tensor, like: Tensor) -> Tensor:
    return pixels.reshape(like.shape[0], *like.shape[2:], like.shape[1]).permute(0, 3, 1, 2)


def pooling(kernel: Callable[..., Tensor]) -> Expression:
    def pool(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        return kernel(x, (pool_height, pool_width), stride)

    return pool


def avg_pool_by_integral(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
    """Average pooling as differences of an integral image: as right, but digits cancel."""
    integral = F.pad(x.cumsum(2).cumsum(3), (1, 0, 1, 0))
    strips = integral[:, :, pool_height:] - integral[:, :, :-pool_height]
    windows = strips[..., pool_width:] - strips[..., :-pool_width]
    return windows[:, :, ::stride, ::stride] / (pool_height * pool_width)


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


def net_labels(
    name: str, *keys: str, sign: int = 1, threshold: float = 0.0, of_score: bool = False, axis: int = 1
) -> Expression:
    """The label that the net predicts for each row: the highest score's, or whether a lone logit is positive.

    As a slip may have it: sign -1 for the lowest score's; what a logit is compared with; the score, not its place;
    another axis.
    """

    def expression(*tensors: Tensor, **_: Any) -> Tensor:
        scores = _scores(name, dict(zip(keys, tensors, strict=True)))
        if of_score:
            return scores.amax(1) if scores.ndim > 1 else scores
        return (sign * scores).argmax(axis) if scores.ndim > 1 else (sign * scores > threshold).long()

    return expression


def net_loss(name: str, *keys: str, loss: str = "softmax") -> Expression:
    def expression(*tensors: Tensor, reg: float = 0.0, loss: str = loss) -> Tensor:
        inputs = dict(zip(keys, tensors, strict=True))
        data_loss = nets.LOSSES[loss](_scores(name, inputs), inputs["y"])
        params = [value for key, value in inputs.items() if key not in ("X", "y")]
        return nets.regularised(data_loss, params, reg)

    return expression


@dataclass(frozen=True, slots=True)
class WithoutHalf:
    """An expression that regularises by reg * sum(W^2), from one that takes half of that."""

    expression: Expression

    def __call__(self, *tensors: Tensor, reg: float = 0.0, **options: Any) -> Tensor:
        found: Tensor = self.expression(*tensors, reg=2 * reg, **options)
        return found


def without_half(expression: Expression) -> Mapping[str, Expression]:
    """The convention, official in some years of CS231n, that regularises by reg * sum(W^2)."""
    return {"regularised by reg * sum(W^2), without the 1/2": WithoutHalf(expression)}


def windows_leave(kernel: Callable[[Inputs, Mapping[str, Any]], tuple[int, int]]) -> Callable[..., bool]:
    """Whether windows of the size that `kernel` tells leave rows or columns over; some authors assert that none do."""

    def leave(inputs: Inputs, options: Mapping[str, Any]) -> bool:
        stride, pad = options.get("stride", 1 if "w" in inputs else 2), options.get("pad", 0)
        sizes = zip(inputs["x"].shape[2:], kernel(inputs, options), strict=True)
        return any((size + 2 * pad - window) % stride for size, window in sizes)

    return leave


def dropout_net_inputs(rng: Rng) -> Inputs:
    """One row whose hidden units are all awake: what dropout silenced shows in the gradients."""
    inputs = net_inputs((1, 60), 3, W1=(60, 50), b1=(50,), W2=(50, 3), b2=(3,))(rng)
    return {**inputs, "b1": 12 + inputs["b1"]}


def two_layer_dropout(
    X: Tensor,
    y: Tensor,
    W1: Tensor,
    b1: Tensor,
    W2: Tensor,
    b2: Tensor,
    kept: Tensor | float = 1.0,
    awake: Tensor | float = 1.0,
    **options: Any,
) -> Tensor:
    """The loss of a two-layer net that keeps the inputs `kept` and the hidden units `awake`, both scaled up."""
    drop_input, drop_hidden = options["dropout"]
    hidden = F.relu(F.linear(X * kept / (1 - drop_input), W1.T, b1)) * awake / (1 - drop_hidden)
    data_loss = F.cross_entropy(F.linear(hidden, W2.T, b2), y)
    return nets.regularised(data_loss, (W1, W2), options["reg"])


def no_last_feature(inputs: Inputs) -> Inputs:
    return {**inputs, "w": inputs["w"][:-1]}


def label_too_large(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"] + inputs["x"].shape[-1]}


def label_negative(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"] - inputs["x"].shape[-1]}


def label_missing(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"][:-1]}
