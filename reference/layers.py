"""The table: one row a layer, loss or net. A new layer is a function pair in the subject and a row here.

A row says what the thing is called, what torch expression it equals, and on which random inputs it is examined.
All sizes in a case are distinct, so that a transposed or mis-summed axis cannot go unseen. Axis letters: N rows,
D features, M outputs, H hidden units, C classes or channels, F filters; images are (N, C, H, W).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reference import nets
from reference.errors import InputError
from reference.vjp import Expression, Inputs

Rng = np.random.Generator
Sampler = Callable[[Rng], Inputs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Random inputs, in the order of the function's arguments, and its keyword options."""

    name: str
    inputs: Sampler
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A row of the table.

    name: `affine` stands for `affine_forward` and `affine_backward`; a loss or a net is named as it is called.
    kind: how the subject offers it.
        "pair" name_forward(*inputs) -> (out, cache) and name_backward(dout, cache) -> gradients;
        "loss" name(x, y) -> (loss, dx); "forward" name(*inputs) -> out, nothing to differentiate;
        "net" a class: net.params, net.loss(X) -> scores, net.loss(X, y) -> (loss, gradients).
    torch: the expression that it equals; tensors by position, options by keyword.
    batched: inputs whose first axis is the row. constant: floating inputs that are not differentiated.
    kink: what the declared subgradient is where the layer is not differentiable.
    analytic: whether complex step can differentiate the forward pass.
    scores: a net's expression in test mode. sizes: a net's positional constructor arguments, from its inputs.
    corners: the corner cases that apply (see corners.py).
    slips: torch expressions of what people write instead, by the sentence that names the mistake: a wrong result
        that one of them reproduces is explained (see diagnose.py).
    errors: inputs that must be refused with a ValueError, by a subject that documents this.
    """

    name: str
    kind: str
    torch: Expression
    cases: tuple[Case, ...]
    batched: tuple[str, ...] = ("x",)
    constant: tuple[str, ...] = ()
    kink: str = ""
    analytic: bool = False
    scores: Expression | None = None
    sizes: Callable[[Inputs], tuple[Any, ...]] | None = None
    corners: tuple[str, ...] = ()
    slips: Mapping[str, Expression] = field(default_factory=dict)
    errors: Mapping[str, Callable[[Inputs], Inputs]] = field(default_factory=dict)


def normal(**shapes: tuple[int, ...]) -> Sampler:
    """A sampler of standard normal inputs of the given shapes, in the given order."""
    return lambda rng: {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def scores_and_labels(rows: int, classes: int) -> Sampler:
    return lambda rng: {
        "x": 3 * rng.standard_normal((rows, classes)),
        "y": rng.integers(classes, size=rows),
    }


def _logits_and_labels(rng: Rng) -> Inputs:
    return {"x": 3 * rng.standard_normal(11), "y": rng.integers(2, size=11)}


def _dropout_inputs(rng: Rng) -> Inputs:
    return {"x": rng.standard_normal((6, 7)), "mask": rng.random((6, 7)) < 0.7}


def _batchnorm_inference_inputs(rng: Rng) -> Inputs:
    shapes = {"x": (9, 5), "gamma": (5,), "beta": (5,), "running_mean": (5,)}
    return {**normal(**shapes)(rng), "running_var": rng.uniform(0.5, 2.0, size=5)}


def _running_inputs(rng: Rng) -> Inputs:
    return {**normal(x=(9, 5), running_mean=(5,))(rng), "running_var": rng.uniform(0.5, 2.0, size=5)}


def _net_inputs(X: tuple[int, ...], classes: int, **params: tuple[int, ...]) -> Sampler:
    """Images X, labels y, and parameters scaled so that every layer's values are of order one."""

    def sample(rng: Rng) -> Inputs:
        scaled = {name: rng.standard_normal(shape) / _fan_in(shape) ** 0.5 for name, shape in params.items()}
        return {"X": rng.standard_normal(X), "y": rng.integers(classes, size=X[0]), **scaled}

    return sample


def _fan_in(shape: tuple[int, ...]) -> int:
    if len(shape) < 2:
        return 4
    return shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))


def _with_slope(value: Tensor, slope: Tensor, x: Tensor) -> Tensor:
    """`value` with the derivative `slope` in place of its own."""
    return value.detach() + slope.detach() * (x - x.detach())


def _batchnorm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


def _batchnorm_constants(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    mean, var = x.mean(0).detach(), x.var(0, correction=0).detach()
    return (x - mean) / torch.sqrt(var + eps) * gamma + beta


def _batchnorm_no_variance_path(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0).detach() + eps) * gamma + beta


def _batchnorm_unbiased(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return (x - x.mean(0)) / torch.sqrt(x.var(0) + eps) * gamma + beta


def _batchnorm_eps_outside(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return (x - x.mean(0)) / (torch.sqrt(x.var(0, correction=0)) + eps) * gamma + beta


def _batchnorm_inference(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, *, eps: float = 1e-5
) -> Tensor:
    return F.batch_norm(x, mean, var, gamma, beta, training=False, eps=eps)


def _batchnorm_running(x: Tensor, mean: Tensor, var: Tensor, *, momentum: float = 0.9) -> Tensor:
    # CS231n's momentum is the share of the old average; torch's is that of the new batch. The variance that
    # nn.BatchNorm1d averages is the unbiased one.
    return torch.stack([mean, var]) * momentum + torch.stack([x.mean(0), x.var(0)]) * (1 - momentum)


def _pool(kernel: Callable[..., Tensor]) -> Expression:
    def pool(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        return kernel(x, (pool_height, pool_width), stride)

    return pool


def _max_pool_all_ties(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
    windows = x.unfold(2, pool_height, stride).unfold(3, pool_width, stride)
    largest = windows.amax((-2, -1), keepdim=True).detach()
    passed = windows * (windows == largest)
    return (largest + passed - passed.detach()).sum((-2, -1)) - largest[..., 0, 0] * (pool_height * pool_width - 1)


def _max_pool_shared(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
    mean = F.avg_pool2d(x, (pool_height, pool_width), stride)
    return F.max_pool2d(x, (pool_height, pool_width), stride).detach() + mean - mean.detach()


def _svm_margins(x: Tensor, y: Tensor, *, detach: bool = False) -> Tensor:
    right = x.gather(1, y[:, None])
    return F.relu(x - (right.detach() if detach else right) + 1)


def _svm_no_right_class(x: Tensor, y: Tensor) -> Tensor:
    others = y[:, None] != torch.arange(x.shape[1])
    return (_svm_margins(x, y, detach=True) * others).sum() / len(y)


def _dropout(x: Tensor, mask: Tensor, *, p: float = 0.5) -> Tensor:
    return x * mask / p


def _three_layer(x: Tensor, *params: Tensor) -> Tensor:
    W1, b1, W2, b2, W3, b3 = params
    hidden = torch.sigmoid(W2 @ torch.sigmoid(W1 @ x + b1) + b2)
    return W3 @ hidden + b3


def _scores(name: str, inputs: Mapping[str, Tensor]) -> Tensor:
    params = {key: value for key, value in inputs.items() if key not in ("X", "y")}
    X = inputs["X"]
    with torch.device("meta"):  # sizes only: the values come with the inputs
        twin = nets.build(name, {key: tuple(value.shape) for key, value in params.items()}, tuple(X.shape[1:]))
    return nets.scores(twin, X, *params.values())


def _net(name: str, *keys: str) -> Expression:
    """The scores of a net's twin as an expression of (X, y, W1, b1, ...); the labels are not used."""
    return lambda *tensors, **_: _scores(name, dict(zip(keys, tensors, strict=True)))


def _net_loss(name: str, *keys: str, loss: str = "softmax") -> Expression:
    def expression(*tensors: Tensor, reg: float = 0.0, loss: str = loss) -> Tensor:
        inputs = dict(zip(keys, tensors, strict=True))
        data_loss = nets.LOSSES[loss](_scores(name, inputs), inputs["y"])
        params = [value for key, value in inputs.items() if key not in ("X", "y")]
        return nets.regularised(data_loss, params, reg)

    return expression


def _no_last_feature(inputs: Inputs) -> Inputs:
    return {**inputs, "w": inputs["w"][:-1]}


def _label_too_large(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"] + inputs["x"].shape[-1]}


def _label_negative(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"] - inputs["x"].shape[-1]}


def _label_missing(inputs: Inputs) -> Inputs:
    return {**inputs, "y": inputs["y"][:-1]}


_LABELS = {
    "a label as large as the number of classes": _label_too_large,
    "a negative label": _label_negative,
    "a label too few": _label_missing,
}
_LAYOUT = ("strided", "read-only")
_ELEMENTWISE = ("zeros", "integers", "huge", "tiny", "one row", "empty", "nonfinite", *_LAYOUT)
_LOSS = ("zeros", "integers", "huge", "one row", "nonfinite", *_LAYOUT)
_TWO_LAYER = ("X", "y", "W1", "b1", "W2", "b2")
_THREE_LAYER = (*_TWO_LAYER, "W3", "b3")

_elementwise = partial(Layer, kind="pair", corners=_ELEMENTWISE)
_loss = partial(Layer, kind="loss", corners=_LOSS)
_net_row = partial(Layer, kind="net", constant=("X",), batched=("X", "y"), corners=("one row", *_LAYOUT))
_linear = partial(
    _net_row,
    scores=_net("linear", "X", "y", "W", "b"),
    sizes=lambda inputs: inputs["W"].shape,
)

LAYERS: tuple[Layer, ...] = (
    Layer(
        name="affine",
        kind="pair",
        torch=lambda x, w, b: F.linear(x.flatten(1), w.T, b),
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(5, 6), w=(6, 7), b=(7,))),
            Case(name="x (N, d1, d2, d3)", inputs=normal(x=(5, 2, 3, 4), w=(24, 7), b=(7,))),
            Case(name="long sums", inputs=normal(x=(3, 600), w=(600, 4), b=(4,))),
        ),
        analytic=True,
        corners=("zeros", "huge", "tiny", "one row", "empty", "nonfinite", *_LAYOUT),
        errors={"w with a row too few": _no_last_feature},
    ),
    _elementwise(
        name="relu",
        torch=F.relu,
        cases=(Case(name="x (N, D)", inputs=normal(x=(6, 7))), Case(name="images", inputs=normal(x=(2, 3, 4, 5)))),
        kink="relu'(0) = 0, as torch.relu has it",
        slips={
            "the mask is turned around: gradient where x is negative": lambda x: F.relu(x).detach() - F.relu(-x),
            "dout is passed on unmasked": lambda x: F.relu(x).detach() + x - x.detach(),
        },
    ),
    _elementwise(
        name="leaky_relu",
        torch=lambda x, *, negative_slope=0.01: F.leaky_relu(x, negative_slope),
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(6, 7))),
            Case(name="slope 0.2", inputs=normal(x=(6, 7)), options={"negative_slope": 0.2}),
        ),
        kink="leaky_relu'(0) = the negative slope, as torch has it",
    ),
    _elementwise(
        name="sigmoid", torch=torch.sigmoid, cases=(Case(name="x (N, D)", inputs=normal(x=(6, 7))),), analytic=True
    ),
    _elementwise(name="tanh", torch=torch.tanh, cases=(Case(name="x (N, D)", inputs=normal(x=(6, 7))),), analytic=True),
    Layer(
        name="affine_relu",
        kind="pair",
        torch=lambda x, w, b: F.relu(F.linear(x.flatten(1), w.T, b)),
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(5, 6), w=(6, 7), b=(7,))),
            Case(name="x (N, d1, d2)", inputs=normal(x=(5, 2, 3), w=(6, 7), b=(7,))),
        ),
        kink="relu'(0) = 0, as torch.relu has it",
        corners=("zeros", "one row", "empty", *_LAYOUT),
        errors={"w with a row too few": _no_last_feature},
    ),
    _elementwise(
        name="dropout",
        torch=_dropout,
        cases=(
            Case(name="keep 0.7", inputs=_dropout_inputs, options={"p": 0.7}),
            Case(name="keep 0.5", inputs=_dropout_inputs),
        ),
        batched=("x", "mask"),
        analytic=True,
        corners=("zeros", "huge", "tiny", "one row", "empty", *_LAYOUT),
    ),
    Layer(
        name="batchnorm",
        kind="pair",
        torch=_batchnorm,
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(9, 5), gamma=(5,), beta=(5,))),
            Case(name="eps 0.1", inputs=normal(x=(9, 5), gamma=(5,), beta=(5,)), options={"eps": 0.1}),
        ),
        analytic=True,
        corners=("zeros", "integers", "offset", "tiny", *_LAYOUT),
        slips={
            "the mean and the variance are treated as constants in backward": _batchnorm_constants,
            "the gradient's way through the variance is missing": _batchnorm_no_variance_path,
            "the variance is divided by N - 1: the biased one normalises": _batchnorm_unbiased,
            "eps is added outside the root": _batchnorm_eps_outside,
        },
    ),
    Layer(
        name="batchnorm_inference",
        kind="pair",
        torch=_batchnorm_inference,
        cases=(Case(name="x (N, D)", inputs=_batchnorm_inference_inputs),),
        constant=("running_mean", "running_var"),
        analytic=True,
        corners=("zeros", "one row", "empty", *_LAYOUT),
    ),
    Layer(
        name="batchnorm_running",
        kind="forward",
        torch=_batchnorm_running,
        cases=(
            Case(name="x (N, D)", inputs=_running_inputs),
            Case(name="momentum 0.6", inputs=_running_inputs, options={"momentum": 0.6}),
        ),
        corners=_LAYOUT,
    ),
    Layer(
        name="conv",
        kind="pair",
        torch=lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w, b, stride, pad),
        cases=(
            Case(name="valid", inputs=normal(x=(2, 3, 7, 6), w=(4, 3, 3, 2), b=(4,))),
            Case(
                name="stride 2, pad 1",
                inputs=normal(x=(2, 3, 8, 7), w=(4, 3, 3, 5), b=(4,)),
                options={"stride": 2, "pad": 1},
            ),
            Case(
                name="leftover columns",
                inputs=normal(x=(3, 2, 9, 8), w=(5, 2, 4, 3), b=(5,)),
                options={"stride": 3, "pad": 2},
            ),
        ),
        analytic=True,
        corners=("zeros", "huge", "tiny", "one row", "empty", "nonfinite", *_LAYOUT),
        slips={
            "the kernel is flipped: a true convolution where cross-correlation is due": (
                lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w.flip(2, 3), b, stride, pad)
            ),
        },
        errors={"w for another number of channels": lambda inputs: {**inputs, "w": inputs["w"][:, :-1]}},
    ),
    Layer(
        name="max_pool",
        kind="pair",
        torch=_pool(F.max_pool2d),
        cases=(
            Case(name="2x2", inputs=normal(x=(2, 3, 6, 8))),
            Case(
                name="overlapping 3x2",
                inputs=normal(x=(2, 3, 7, 5)),
                options={"pool_height": 3, "pool_width": 2, "stride": 1},
            ),
            Case(
                name="leftover rows",
                inputs=normal(x=(2, 3, 8, 7)),
                options={"pool_height": 2, "pool_width": 3, "stride": 3},
            ),
        ),
        kink="of equal maxima the first in the window gets the gradient, as torch has it",
        corners=("zeros", "integers", "huge", "tiny", "one row", "empty", "nonfinite", *_LAYOUT),
        slips={
            "every one of several equal maxima gets the whole gradient": _max_pool_all_ties,
            "the gradient is shared over the window, as average pooling does": _max_pool_shared,
        },
    ),
    Layer(
        name="avg_pool",
        kind="pair",
        torch=_pool(F.avg_pool2d),
        cases=(
            Case(name="2x2", inputs=normal(x=(2, 3, 6, 8))),
            Case(
                name="overlapping 3x2",
                inputs=normal(x=(2, 3, 7, 5)),
                options={"pool_height": 3, "pool_width": 2, "stride": 1},
            ),
        ),
        analytic=True,
        corners=("zeros", "huge", "tiny", "one row", "empty", "nonfinite", *_LAYOUT),
    ),
    _loss(
        name="softmax_loss",
        torch=F.cross_entropy,
        slips={
            "the gradient lacks the -1 of the right class": lambda x, y: (
                (x.logsumexp(1).sum() - x.gather(1, y[:, None]).sum().detach()) / len(y)
            ),
            "divided by the number of classes too": lambda x, y: F.cross_entropy(x, y) / x.shape[1],
        },
        cases=(Case(name="x (N, C)", inputs=scores_and_labels(7, 5)),),
        batched=("x", "y"),
        errors=_LABELS,
    ),
    _loss(
        name="svm_loss",
        torch=nets.svm,
        cases=(Case(name="x (N, C)", inputs=scores_and_labels(7, 5)),),
        batched=("x", "y"),
        kink="a margin of exactly 0 passes no gradient, as torch.relu has it",
        slips={
            "the right class counts its own margin of 1": lambda x, y: _svm_margins(x, y).sum() / len(y),
            "the right class gets no gradient": _svm_no_right_class,
            "divided by the number of classes too": lambda x, y: nets.svm(x, y) / x.shape[1],
        },
        errors=_LABELS,
    ),
    _loss(
        name="logistic_loss",
        torch=nets.logistic,
        cases=(Case(name="logits (N,)", inputs=_logits_and_labels),),
        batched=("x", "y"),
    ),
    _loss(
        name="squared_loss",
        torch=lambda x, y: F.mse_loss(x, y, reduction="sum") / (2 * len(x)),
        cases=(Case(name="x (N, D)", inputs=normal(x=(6, 5), y=(6, 5))),),
        batched=("x", "y"),
        constant=("y",),
        analytic=True,
        corners=("zeros", "one row", *_LAYOUT),
    ),
    Layer(
        name="three_layer_forward",
        kind="forward",
        torch=_three_layer,
        cases=(
            Case(
                name="3-4-4-1 columns",
                inputs=normal(x=(3, 5), W1=(4, 3), b1=(4, 1), W2=(4, 4), b2=(4, 1), W3=(1, 4), b3=(1, 1)),
            ),
        ),
        corners=_LAYOUT,
    ),
    _net_row(
        name="TwoLayerNet",
        torch=_net_loss("two_layer", *_TWO_LAYER),
        scores=_net("two_layer", *_TWO_LAYER),
        sizes=lambda inputs: (*inputs["W1"].shape, inputs["W2"].shape[1]),
        cases=(
            Case(
                name="reg 0.3",
                inputs=_net_inputs((9, 11), 3, W1=(11, 5), b1=(5,), W2=(5, 3), b2=(3,)),
                options={"reg": 0.3},
            ),
            Case(name="reg 0", inputs=_net_inputs((9, 11), 3, W1=(11, 5), b1=(5,), W2=(5, 3), b2=(3,))),
        ),
    ),
    _linear(
        name="LinearClassifier",
        torch=_net_loss("linear", "X", "y", "W", "b"),
        cases=(
            Case(name="softmax", inputs=_net_inputs((9, 7), 4, W=(7, 4), b=(4,)), options={"reg": 0.3}),
            Case(
                name="svm",
                inputs=_net_inputs((9, 7), 4, W=(7, 4), b=(4,)),
                options={"reg": 0.3, "loss": "svm"},
            ),
        ),
    ),
    _net_row(
        name="XorNet",
        torch=_net_loss("xor", *_TWO_LAYER, loss="logistic"),
        scores=_net("xor", *_TWO_LAYER),
        sizes=lambda inputs: (inputs["W1"].shape[1],),
        cases=(Case(name="two inputs", inputs=_net_inputs((9, 2), 2, W1=(2, 5), b1=(5,), W2=(5, 1), b2=(1,))),),
    ),
    _net_row(
        name="ConvNet",
        torch=_net_loss("convnet", *_THREE_LAYER),
        scores=_net("convnet", *_THREE_LAYER),
        sizes=lambda inputs: (inputs["X"].shape[1:], *inputs["W1"].shape[::2], *inputs["W3"].shape),
        cases=(
            Case(
                name="reg 0.3",
                inputs=_net_inputs((4, 2, 6, 8), 5, W1=(3, 2, 3, 3), b1=(3,), W2=(36, 7), b2=(7,), W3=(7, 5), b3=(5,)),
                options={"reg": 0.3},
            ),
        ),
    ),
)


def row(name: str) -> Layer:
    """The row of that name. Raises: InputError that lists the names."""
    for layer in LAYERS:
        if layer.name == name:
            return layer
    raise InputError(f"no layer is called {name!r}: choose from {', '.join(layer.name for layer in LAYERS)}")
