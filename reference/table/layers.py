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
from torch.nn import functional as F

from scratchproof.errors import InputError
from scratchproof.table import nets
from scratchproof.table.expressions import (
    Sampler,
    batchnorm,
    batchnorm_constants,
    batchnorm_eps_outside,
    batchnorm_inference,
    batchnorm_inference_inputs,
    batchnorm_no_variance_path,
    batchnorm_running,
    batchnorm_unbiased,
    dropout,
    dropout_inputs,
    label_missing,
    label_negative,
    label_too_large,
    logits_and_labels,
    max_pool_all_ties,
    max_pool_shared,
    net_inputs,
    net_loss,
    net_scores,
    no_last_feature,
    normal,
    pooling,
    running_inputs,
    scores_and_labels,
    svm_margins,
    svm_no_right_class,
    three_layer,
    three_layer_inputs,
    with_slope,
)
from scratchproof.vjp import Expression, Inputs


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
    torch: the expression that it equals; tensors by position, options by keyword. alternatives: expressions as right
        as that one; what any of them may stray is allowed.
    data: the input that corner cases change, the first unless said. batched: inputs whose first axis is the row, the
        data unless said. constant: floating inputs that are not differentiated.
    convolution: whether the output is made of windows of the data, weighted by an input `w`.
    kink: what the declared subgradient is where the layer is not differentiable.
    analytic: whether complex step can differentiate the forward pass.
    scores: a net's expression in test mode. sizes: a net's positional constructor arguments, from its inputs.
    corners: the corner cases that apply (see corners.py).
    slips: torch expressions of what people write instead, by the sentence that names the mistake: a wrong result
        that one of them reproduces is explained (see diagnose.py).
    errors: inputs that must be refused with a ValueError, by a subject that documents this.
    Raises: ValueError for a row that makes no sense.
    """

    name: str
    kind: str
    torch: Expression
    cases: tuple[Case, ...]
    alternatives: tuple[Expression, ...] = ()
    data: str = ""
    batched: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    kink: str = ""
    analytic: bool = False
    convolution: bool = False
    scores: Expression | None = None
    sizes: Callable[[Inputs], tuple[Any, ...]] | None = None
    corners: tuple[str, ...] = ()
    slips: Mapping[str, Expression] = field(default_factory=dict)
    errors: Mapping[str, Callable[[Inputs], Inputs]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: kind is {self.kind!r}, but should be one of {', '.join(KINDS)}")
        if not self.cases:
            raise ValueError(f"{self.name} has no cases: it needs at least one, with its inputs")
        names = [tuple(case.inputs(np.random.default_rng(0))) for case in self.cases]
        if len(set(names)) > 1 or not names[0]:
            raise ValueError(f"{self.name} has cases with other inputs, or none: all need the same, in one order")
        object.__setattr__(self, "data", self.data or names[0][0])
        object.__setattr__(self, "batched", self.batched or (self.data,))
        for role, named in {"data": (self.data,), "batched": self.batched, "constant": self.constant}.items():
            if unknown := sorted(set(named) - set(names[0])):
                raise ValueError(f"{self.name}: {role} says {', '.join(unknown)}, but inputs are {', '.join(names[0])}")
        if self.kind == "net" and self.sizes is None:
            raise ValueError(f"{self.name} is a net and needs `sizes`, its constructor's arguments")


KINDS = ("pair", "loss", "forward", "net")

_LABELS = {
    "a label as large as the number of classes": label_too_large,
    "a negative label": label_negative,
    "a label too few": label_missing,
}
_LAYOUT = ("strided", "read-only")
_ELEMENTWISE = ("zeros", "integers", "huge", "tiny", "one row", "empty", "nonfinite", *_LAYOUT)
_LOSS = ("zeros", "integers", "huge", "one row", "nonfinite", *_LAYOUT)
_TWO_LAYER = ("X", "y", "W1", "b1", "W2", "b2")
_THREE_LAYER = (*_TWO_LAYER, "W3", "b3")

_POOL_CASES = (
    Case(name="2x2", inputs=normal(x=(2, 3, 6, 8))),
    Case(
        name="overlapping 3x2",
        inputs=normal(x=(2, 3, 7, 5)),
        options={"pool_height": 3, "pool_width": 2, "stride": 1},
    ),
)

_elementwise = partial(Layer, kind="pair", corners=_ELEMENTWISE)
_loss = partial(Layer, kind="loss", corners=_LOSS)
_net_row = partial(Layer, kind="net", constant=("X",), batched=("X", "y"), corners=("one row", *_LAYOUT))
_linear = partial(
    _net_row,
    scores=net_scores("linear", "X", "y", "W", "b"),
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
        errors={"w with a row too few": no_last_feature},
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
        name="sigmoid",
        torch=torch.sigmoid,
        cases=(Case(name="x (N, D)", inputs=normal(x=(6, 7))),),
        analytic=True,
        slips={
            "1 - out stands where out * (1 - out) is due": lambda x: with_slope(
                torch.sigmoid(x), 1 - torch.sigmoid(x), x
            )
        },
    ),
    _elementwise(
        name="tanh",
        torch=torch.tanh,
        cases=(Case(name="x (N, D)", inputs=normal(x=(6, 7))),),
        analytic=True,
        slips={"1 - out stands where 1 - out^2 is due": lambda x: with_slope(torch.tanh(x), 1 - torch.tanh(x), x)},
    ),
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
        errors={"w with a row too few": no_last_feature},
    ),
    _elementwise(
        name="dropout",
        torch=dropout,
        cases=(
            Case(name="keep 0.7", inputs=dropout_inputs, options={"p": 0.7}),
            Case(name="keep 0.5", inputs=dropout_inputs),
        ),
        batched=("x", "mask"),
        analytic=True,
        corners=("zeros", "huge", "tiny", "one row", "empty", *_LAYOUT),
    ),
    Layer(
        name="batchnorm",
        kind="pair",
        torch=batchnorm,
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(9, 5), gamma=(5,), beta=(5,))),
            Case(name="eps 0.1", inputs=normal(x=(9, 5), gamma=(5,), beta=(5,)), options={"eps": 0.1}),
        ),
        analytic=True,
        corners=("zeros", "integers", "offset", "tiny", *_LAYOUT),
        slips={
            "the mean and the variance are treated as constants in backward": batchnorm_constants,
            "the gradient's way through the variance is missing": batchnorm_no_variance_path,
            "the variance is divided by N - 1: the biased one normalises": batchnorm_unbiased,
            "eps is added outside the root": batchnorm_eps_outside,
        },
    ),
    Layer(
        name="batchnorm_inference",
        kind="pair",
        torch=batchnorm_inference,
        cases=(Case(name="x (N, D)", inputs=batchnorm_inference_inputs),),
        constant=("running_mean", "running_var"),
        analytic=True,
        corners=("zeros", "one row", "empty", *_LAYOUT),
    ),
    Layer(
        name="batchnorm_running",
        kind="forward",
        torch=batchnorm_running,
        cases=(
            Case(name="x (N, D)", inputs=running_inputs),
            Case(name="momentum 0.6", inputs=running_inputs, options={"momentum": 0.6}),
        ),
        corners=_LAYOUT,
    ),
    Layer(
        name="conv",
        kind="pair",
        convolution=True,
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
        torch=pooling(F.max_pool2d),
        cases=(
            *_POOL_CASES,
            Case(
                name="leftover rows",
                inputs=normal(x=(2, 3, 8, 7)),
                options={"pool_height": 2, "pool_width": 3, "stride": 3},
            ),
        ),
        kink="of equal maxima the first in the window gets the gradient, as torch has it",
        corners=("zeros", "integers", "huge", "tiny", "one row", "empty", "nonfinite", *_LAYOUT),
        slips={
            "every one of several equal maxima gets the whole gradient": max_pool_all_ties,
            "the gradient is shared over the window, as average pooling does": max_pool_shared,
        },
    ),
    Layer(
        name="avg_pool",
        kind="pair",
        torch=pooling(F.avg_pool2d),
        cases=_POOL_CASES,
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
            "the right class counts its own margin of 1": lambda x, y: svm_margins(x, y).sum() / len(y),
            "the right class gets no gradient": svm_no_right_class,
            "divided by the number of classes too": lambda x, y: nets.svm(x, y) / x.shape[1],
        },
        errors=_LABELS,
    ),
    _loss(
        name="logistic_loss",
        torch=nets.logistic,
        cases=(Case(name="logits (N,)", inputs=logits_and_labels),),
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
        torch=three_layer,
        cases=(
            Case(
                name="3-4-4-1 columns",
                inputs=three_layer_inputs,
            ),
        ),
        corners=_LAYOUT,
    ),
    _net_row(
        name="TwoLayerNet",
        torch=net_loss("two_layer", *_TWO_LAYER),
        scores=net_scores("two_layer", *_TWO_LAYER),
        sizes=lambda inputs: (*inputs["W1"].shape, inputs["W2"].shape[1]),
        cases=(
            Case(
                name="reg 0.3",
                inputs=net_inputs((9, 11), 3, W1=(11, 5), b1=(5,), W2=(5, 3), b2=(3,)),
                options={"reg": 0.3},
            ),
            Case(name="reg 0", inputs=net_inputs((9, 11), 3, W1=(11, 5), b1=(5,), W2=(5, 3), b2=(3,))),
        ),
    ),
    _linear(
        name="LinearClassifier",
        torch=net_loss("linear", "X", "y", "W", "b"),
        cases=(
            Case(name="softmax", inputs=net_inputs((9, 7), 4, W=(7, 4), b=(4,)), options={"reg": 0.3}),
            Case(
                name="svm",
                inputs=net_inputs((9, 7), 4, W=(7, 4), b=(4,)),
                options={"reg": 0.3, "loss": "svm"},
            ),
        ),
    ),
    _net_row(
        name="XorNet",
        torch=net_loss("xor", *_TWO_LAYER, loss="logistic"),
        scores=net_scores("xor", *_TWO_LAYER),
        sizes=lambda inputs: (inputs["W1"].shape[1],),
        cases=(Case(name="two inputs", inputs=net_inputs((9, 2), 2, W1=(2, 5), b1=(5,), W2=(5, 1), b2=(1,))),),
    ),
    _net_row(
        name="ConvNet",
        torch=net_loss("convnet", *_THREE_LAYER),
        scores=net_scores("convnet", *_THREE_LAYER),
        sizes=lambda inputs: (inputs["X"].shape[1:], *inputs["W1"].shape[::2], *inputs["W3"].shape),
        cases=(
            Case(
                name="reg 0.3",
                inputs=net_inputs((4, 2, 6, 8), 5, W1=(3, 2, 3, 3), b1=(3,), W2=(36, 7), b2=(7,), W3=(7, 5), b3=(5,)),
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
