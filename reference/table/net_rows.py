"""Rows of the table: whole nets, as a VJP in every parameter; and what else is asked of a net."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from scratchproof.table.expressions import (
    Sampler,
    dropout_net_inputs,
    initial,
    net_inputs,
    net_labels,
    net_loss,
    net_scores,
    three_layer,
    three_layer_inputs,
    two_layer_dropout,
    without_half,
)
from scratchproof.table.layer import Case, Layer, Shapes
from scratchproof.table.slips import nets
from scratchproof.vjp import Inputs

_LINEAR = ("X", "y", "W", "b")
_TWO_LAYER = ("X", "y", "W1", "b1", "W2", "b2")
_THREE_LAYER = (*_TWO_LAYER, "W3", "b3")


def _linear_sizes(inputs: Inputs) -> tuple[Any, ...]:
    return inputs["W"].shape


def _two_layer_sizes(inputs: Inputs) -> tuple[Any, ...]:
    return (*inputs["W1"].shape, inputs["W2"].shape[1])


def _xor_sizes(inputs: Inputs) -> tuple[Any, ...]:
    return inputs["W1"].shape[1:]


def _conv_net_sizes(inputs: Inputs) -> tuple[Any, ...]:
    return (inputs["X"].shape[1:], *inputs["W1"].shape[::2], *inputs["W3"].shape)


def _linear_inputs(N: int, D: int, C: int) -> Sampler:
    return net_inputs((N, D), C, W=(D, C), b=(C,))


def _two_layer_inputs(N: int, D: int, H: int, C: int) -> Sampler:
    return net_inputs((N, D), C, W1=(D, H), b1=(H,), W2=(H, C), b2=(C,))


def _conv_net_inputs(*, N: int, C: int, H: int, W: int, F: int, K: int, hidden: int, classes: int) -> Sampler:
    pooled = F * (H // 2) * (W // 2)
    params = {"W1": (F, C, K, K), "b1": (F,), "W2": (pooled, hidden), "b2": (hidden,)}
    return net_inputs((N, C, H, W), classes, **params, W3=(hidden, classes), b3=(classes,))


_NET_UNFIT: dict[str, Callable[[Inputs], Inputs]] = {
    "X of float16": lambda inputs: {**inputs, "X": inputs["X"].astype("float16")},
    "a label too few": lambda inputs: {**inputs, "y": inputs["y"][:-1]},
    "a negative label": lambda inputs: {**inputs, "y": inputs["y"] - 1 - inputs["y"].min()},
}


def _zero_logits(rng: np.random.Generator) -> Inputs:
    inputs = net_inputs((9, 2), 2, W1=(2, 5), b1=(5,), W2=(5, 1), b2=(1,))(rng)
    return {**inputs, "W2": 0 * inputs["W2"], "b2": 0 * inputs["b2"]}


_net_row = partial(
    Layer, kind="net", data="X", constant=("X",), batched=("X", "y"), corners=("one row",), unfit=_NET_UNFIT
)
_predict = partial(Layer, kind="predict", data="X", constant=("X",), batched=("X", "y"), corners=("one row",))
_start = partial(Layer, kind="start", torch=lambda *params, **_: torch.cat([p.flatten() for p in params]))
_linear = partial(_net_row, scores=net_scores("linear", *_LINEAR), sizes=_linear_sizes)
REGS = (0.0, 0.3, 2.5)
_NET_NOTABLE: dict[str, Callable[..., bool]] = {
    "N = D": lambda N, D, **_: N == D > 1,
    "D = H": lambda D, H, **_: D == H > 1,
    "H = C": lambda H, C, **_: H == C,
    "one row": lambda N, **_: N == 1,
    "many rows": lambda N, **_: N > 256,
    "one hidden unit": lambda H, **_: H == 1,
    "more hidden units than features": lambda H, D, **_: H > D > 1,
    "ten classes": lambda C, **_: C == 10,
    "more than a thousand features": lambda D, **_: D > 1000,
}
_TWO_LAYER_SHAPES = Shapes(
    letters={"N": (1, 2, 3, 300), "D": (1, 2, 5, 7, 1030), "H": (1, 2, 5, 40), "C": (2, 3, 10, 12)},
    inputs=_two_layer_inputs,
    settings={"reg": REGS},
    legal=lambda N, D, **_: N * D <= 4000,
    notable=_NET_NOTABLE,
)
_LINEAR_SHAPES = Shapes(
    letters={"N": (1, 2, 3, 300), "D": (1, 2, 5, 7, 1030), "C": (2, 3, 10, 12)},
    inputs=_linear_inputs,
    options=lambda D, **_: {"loss": ("softmax", "svm")[D % 2]},
    settings={"reg": REGS},
    legal=lambda N, D, **_: N * D <= 4000,
    notable={
        "N = D": lambda N, D, **_: N == D > 1,
        "D = C": lambda D, C, **_: D == C,
        "one row": lambda N, **_: N == 1,
        "many rows": lambda N, **_: N > 256,
        "ten classes": lambda C, **_: C == 10,
        "more than a thousand features": lambda D, **_: D > 1000,
    },
)
_XOR_SHAPES = Shapes(
    letters={"N": (1, 2, 3, 300), "H": (1, 2, 5, 40)},
    inputs=lambda N, H: net_inputs((N, 2), 2, W1=(2, H), b1=(H,), W2=(H, 1), b2=(1,)),
    notable={
        "one row": lambda N, H: N == 1,
        "many rows": lambda N, H: N > 256,
        "one hidden unit": lambda N, H: H == 1,
        "two hidden units": lambda N, H: H == 2 != N,
    },
)
_CONV_NET_SHAPES = Shapes(
    letters={"N": (1, 2, 5), "C": (1, 2, 3), "H": (2, 3, 4, 5), "W": (2, 3, 4, 7)}
    | {"F": (1, 2, 4), "K": (1, 3, 5), "hidden": (1, 3, 6), "classes": (2, 3, 10)},
    inputs=_conv_net_inputs,
    settings={"reg": REGS},
    notable={
        "H = W": lambda H, W, **_: H == W > 2,
        "odd rows": lambda H, W, **_: H % 2 == 1 > W % 2,
        "odd columns": lambda H, W, **_: W % 2 == 1 > H % 2,
        "filters of one pixel": lambda K, **_: K == 1,
        "filters larger than the image": lambda K, H, W, **_: max(H, W) < K,
        "one channel": lambda C, **_: C == 1,
        "one filter": lambda F, **_: F == 1,
        "ten classes": lambda classes, **_: classes == 10,
        "one row": lambda N, **_: N == 1,
    },
)
_IMAGES = _conv_net_inputs(N=4, C=2, H=6, W=8, F=3, K=3, hidden=7, classes=5)


_sizes_alone = partial(replace, options=lambda **_: {}, settings={})


NETS: tuple[Layer, ...] = (
    Layer(
        name="three_layer_forward",
        kind="forward",
        unfit={
            "x of one axis": lambda inputs: {**inputs, "x": inputs["x"][:, 0]},
            "W1 of one axis": lambda inputs: {**inputs, "W1": inputs["W1"][0]},
        },
        torch=three_layer,
        slips={
            "a sigmoid is applied to the output too": lambda *inputs: torch.sigmoid(three_layer(*inputs)),
            "there is no sigmoid": lambda x, W1, b1, W2, b2, W3, b3: W3 @ (W2 @ (W1 @ x + b1) + b2) + b3,
        },
        cases=(Case(name="3-4-4-1 columns", inputs=three_layer_inputs()),),
        shapes=Shapes(
            letters={"N": (1, 2, 3, 40), "D": (1, 2, 3, 5), "H1": (1, 2, 4), "H2": (1, 2, 4, 5), "C": (1, 2, 3)},
            inputs=lambda N, D, H1, H2, C: three_layer_inputs(N, (D, H1, H2, C)),
            notable={
                "one column": lambda N, H1, **_: N == 1 < H1,
                "all alike": lambda N, D, H1, H2, C: N == D == H1 == H2 == C > 1,
                "several outputs": lambda N, C, **_: C > 1 and N not in (1, C),
                "many columns": lambda N, **_: N >= 40,
            },
        ),
    ),
    _net_row(
        name="TwoLayerNet",
        torch=net_loss("two_layer", *_TWO_LAYER),
        conventions={**without_half(net_loss("two_layer", *_TWO_LAYER)), **nets.OF_QUOTIENT},
        careless=nets.CARELESS,
        scores=net_scores("two_layer", *_TWO_LAYER),
        slips=nets.WITH_SOFTMAX,
        corners=("huge", "one huge row", "one row"),
        sizes=_two_layer_sizes,
        shapes=_TWO_LAYER_SHAPES,
        cases=(
            Case(name="reg 0.3", inputs=_two_layer_inputs(9, 11, 5, 3), options={"reg": 0.3}),
            Case(name="reg 0", inputs=_two_layer_inputs(9, 11, 5, 3)),
        ),
    ),
    _linear(
        name="LinearClassifier",
        torch=net_loss("linear", "X", "y", "W", "b"),
        conventions=without_half(net_loss("linear", "X", "y", "W", "b")),
        slips=nets.LINEAR,
        shapes=_LINEAR_SHAPES,
        cases=(
            Case(name="softmax", inputs=_linear_inputs(9, 7, 4), options={"reg": 0.3}),
            Case(name="defaults", inputs=_linear_inputs(9, 7, 4)),
            Case(name="svm", inputs=_linear_inputs(9, 7, 4), options={"reg": 0.3, "loss": "svm"}),
        ),
    ),
    _net_row(
        name="XorNet",
        torch=net_loss("xor", *_TWO_LAYER, loss="logistic"),
        scores=net_scores("xor", *_TWO_LAYER),
        slips=nets.XOR,
        sizes=_xor_sizes,
        shapes=_XOR_SHAPES,
        cases=(Case(name="two inputs", inputs=net_inputs((9, 2), 2, W1=(2, 5), b1=(5,), W2=(5, 1), b2=(1,))),),
    ),
    _net_row(
        name="ConvNet",
        torch=net_loss("convnet", *_THREE_LAYER),
        conventions=without_half(net_loss("convnet", *_THREE_LAYER)),
        slips=nets.CONVNET,
        leftovers=lambda inputs, _: any(size % 2 for size in inputs["X"].shape[2:]),
        scores=net_scores("convnet", *_THREE_LAYER),
        sizes=_conv_net_sizes,
        shapes=_CONV_NET_SHAPES,
        cases=(Case(name="reg 0.3", inputs=_IMAGES, options={"reg": 0.3}),),
    ),
    _predict(
        name="TwoLayerNet.predict",
        shapes=_sizes_alone(_TWO_LAYER_SHAPES),
        of="TwoLayerNet",
        torch=net_labels("two_layer", *_TWO_LAYER),
        slips=nets.predicted("two_layer", *_TWO_LAYER),
        sizes=_two_layer_sizes,
        cases=(Case(name="X (N, ...)", inputs=_two_layer_inputs(9, 11, 5, 4)),),
    ),
    _predict(
        name="LinearClassifier.predict",
        shapes=_sizes_alone(_LINEAR_SHAPES),
        of="LinearClassifier",
        torch=net_labels("linear", *_LINEAR),
        slips=nets.predicted("linear", *_LINEAR),
        sizes=_linear_sizes,
        cases=(Case(name="X (N, ...)", inputs=_linear_inputs(9, 7, 4)),),
    ),
    _predict(
        name="XorNet.predict",
        shapes=_sizes_alone(_XOR_SHAPES),
        of="XorNet",
        torch=net_labels("xor", *_TWO_LAYER),
        slips=nets.predicted_bit("xor", *_TWO_LAYER),
        sizes=_xor_sizes,
        cases=(
            Case(name="X (N, ...)", inputs=net_inputs((9, 2), 2, W1=(2, 5), b1=(5,), W2=(5, 1), b2=(1,))),
            Case(name="logits of zero", inputs=_zero_logits),
        ),
    ),
    _predict(
        name="ConvNet.predict",
        shapes=_sizes_alone(_CONV_NET_SHAPES),
        of="ConvNet",
        torch=net_labels("convnet", *_THREE_LAYER),
        slips=nets.predicted("convnet", *_THREE_LAYER),
        sizes=_conv_net_sizes,
        cases=(Case(name="X (N, ...)", inputs=_IMAGES),),
    ),
    _start(
        name="TwoLayerNet.start",
        of="TwoLayerNet",
        sizes=_two_layer_sizes,
        cases=(
            Case(
                name="weight_scale 0.05",
                inputs=initial(0.05, W1=(300, 70), b1=(70,), W2=(70, 130), b2=(130,)),
                options={"weight_scale": 0.05},
            ),
        ),
        unfit_options=(
            *({"weight_scale": -0.1}, {"dtype": "int64"}),
            *({"dropout": drop} for drop in ((1.0, 0.0), (0.0, 1.0), (-0.1, 0.0), (0.0, 1.5))),
        ),
    ),
    _start(
        name="TwoLayerNet.defaults",
        of="TwoLayerNet",
        sizes=lambda inputs: (),
        cases=(
            Case(name="constructor defaults", inputs=initial(1e-3, W1=(3072, 100), b1=(100,), W2=(100, 10), b2=(10,))),
        ),
    ),
    _start(
        name="LinearClassifier.start",
        unfit_options=({"weight_scale": -0.1}, {"loss": "hinge"}),
        of="LinearClassifier",
        sizes=_linear_sizes,
        cases=(
            Case(name="weight_scale 0", inputs=initial(0.0, W=(3, 2), b=(2,)), options={"weight_scale": 0.0}),
            Case(name="weight_scale 0.05", inputs=initial(0.05, W=(300, 70), b=(70,)), options={"weight_scale": 0.05}),
        ),
    ),
    _start(
        name="LinearClassifier.defaults",
        of="LinearClassifier",
        sizes=lambda inputs: (),
        cases=(Case(name="constructor defaults", inputs=initial(1e-3, W=(3072, 10), b=(10,))),),
    ),
    _start(
        name="XorNet.start",
        unfit={
            "no hidden units": lambda inputs: (
                inputs | {"W1": inputs["W1"][:, :0], "b1": inputs["b1"][:0], "W2": inputs["W2"][:0]}
            )
        },
        of="XorNet",
        sizes=_xor_sizes,
        cases=(Case(name="hidden 3000", inputs=initial(None, W1=(2, 3000), b1=(3000,), W2=(3000, 1), b2=(1,))),),
    ),
    _start(
        name="XorNet.defaults",
        of="XorNet",
        sizes=lambda inputs: (),
        cases=(Case(name="constructor defaults", inputs=initial(None, W1=(2, 8), b1=(8,), W2=(8, 1), b2=(1,))),),
    ),
    _start(
        name="ConvNet.start",
        of="ConvNet",
        unfit_options=({"weight_scale": -0.1},),
        sizes=lambda inputs: ((3, 8, 10), 12, 5, 60, 30),
        cases=(
            Case(
                name="weight_scale 0.05",
                inputs=initial(0.05, W1=(12, 3, 5, 5), b1=(12,), W2=(240, 60), b2=(60,), W3=(60, 30), b3=(30,)),
                options={"weight_scale": 0.05},
            ),
        ),
    ),
    _start(
        name="ConvNet.defaults",
        of="ConvNet",
        sizes=lambda inputs: (),
        cases=(
            Case(
                name="constructor defaults",
                inputs=initial(1e-3, W1=(32, 3, 7, 7), b1=(32,), W2=(8192, 100), b2=(100,), W3=(100, 10), b3=(10,)),
            ),
        ),
    ),
    _net_row(
        name="TwoLayerNet.dropout",
        of="TwoLayerNet",
        kind="dropout",
        torch=two_layer_dropout,
        scores=net_scores("two_layer", *_TWO_LAYER),
        sizes=_two_layer_sizes,
        corners=(),
        cases=(Case(name="drop 0.2 and 0.4", inputs=dropout_net_inputs, options={"dropout": (0.2, 0.4), "reg": 0.3}),),
    ),
)
