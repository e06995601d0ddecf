"""Rows that only code written for CS231n has: its classifiers, its modes and dictionaries, its deeper nets."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from scratchproof.table.course import recurrent
from scratchproof.table.course.sequence_rows import SEQUENCES
from scratchproof.table.dense import DENSE
from scratchproof.table.expressions import (
    Rng,
    Sampler,
    batchnorm_inference,
    batchnorm_running_over_pixels,
    before_the_first,
    dropout,
    net_inputs,
    normal,
    pixels,
    pixels_of,
    spatial_groupnorm,
    without_half,
)
from scratchproof.table.layer import Case, Layer, Shapes
from scratchproof.table.net_rows import REGS
from scratchproof.table.norms import MOMENTA, NORMS, running_conventions
from scratchproof.table.slips import dense, images, losses, modes, nets
from scratchproof.vjp import Inputs

_ROWS = {layer.name: layer for layer in (*DENSE, *NORMS)}


def _classifier_inputs(N: int, D: int, C: int) -> Sampler:
    shapes = {"W": (D, C), "X": (N, D)}
    return lambda rng: {**normal(**shapes)(rng), "y": rng.integers(C, size=N)}


def _images_with_running(N: int, C: int, H: int, W: int) -> Sampler:
    inputs = normal(x=(N, C, H, W), gamma=(C,), beta=(C,), running_mean=(C,))
    return lambda rng: {**inputs(rng), "running_var": rng.uniform(0.5, 2.0, size=C)}


def _not_zero(rng: Rng) -> Inputs:
    """No element so near zero that one that was kept could be taken for one that was dropped."""
    x = rng.standard_normal((6, 7))
    return {"x": x + 0.1 * (x >= 0) - 0.1 * (x < 0)}


def _with_mask(rng: Rng) -> Inputs:
    return {**_not_zero(rng), "mask": rng.random((6, 7)) < 0.7}


def _kept(inputs: Inputs, outs: Mapping[str, Any]) -> Inputs:
    (out,) = outs.values()
    return {**inputs, "mask": out != 0} if out.shape == inputs["x"].shape else inputs


def _same(x: Tensor, *, p: float = 0.5) -> Tensor:
    return 1 * x


_classifier = partial(
    Layer,
    kind="loss",
    data="X",
    constant=("X",),
    turned=("W", "X"),
    batched=("X", "y"),
    corners=("zeros", "huge", "one row"),
    cases=(
        Case(name="reg 0.3", inputs=_classifier_inputs(9, 7, 4), options={"reg": 0.3}),
        Case(name="reg 0", inputs=_classifier_inputs(9, 7, 4), options={"reg": 0.0}),
    ),
    shapes=Shapes(
        letters={"N": (1, 2, 3, 40), "D": (1, 2, 5, 7, 300), "C": (2, 3, 10, 12)},
        inputs=_classifier_inputs,
        settings={"reg": REGS},
        legal=lambda N, D, C: N * D <= 1200,
        notable={
            "N = D": lambda N, D, C: N == D > 1,
            "D = C": lambda N, D, C: D == C,
            "one row": lambda N, D, C: N == 1,
            "many rows": lambda N, D, C: N == 40,
            "many features": lambda N, D, C: D == 300,
            "ten classes": lambda N, D, C: C == 10,
        },
    ),
)
_QUOTIENT = losses.linear(losses.log_of_quotient)
_softmax = partial(
    _classifier,
    corners=("zeros", "huge", "one huge row", "one row"),
    torch=recurrent.softmax_linear_loss,
    conventions={
        **without_half(recurrent.softmax_linear_loss),
        losses.LOG_OF_QUOTIENT: _QUOTIENT,
        **{f"{told}; {losses.LOG_OF_QUOTIENT}": loss for told, loss in without_half(_QUOTIENT).items()},
    },
    careless={sentence: losses.linear(loss) for sentence, loss in losses.SHIFTED_ALIKE.items()},
    slips=losses.of_classifier("softmax"),
)
_svm = partial(
    _classifier,
    torch=recurrent.svm_linear_loss,
    conventions=without_half(recurrent.svm_linear_loss),
    kink="a margin of exactly 0 passes no gradient, as torch.relu has it",
    slips=losses.of_classifier("svm"),
)
_HIDDEN = {"W1": (11, 5), "b1": (5,)}, {"W2": (5, 6), "b2": (6,)}, {"W3": (6, 3), "b3": (3,)}
_NORMED = {"gamma1": (5,), "beta1": (5,)}, {"gamma2": (6,), "beta2": (6,)}
_deep = partial(
    Layer,
    kind="net",
    of="FullyConnectedNet",
    data="X",
    constant=("X",),
    batched=("X", "y"),
    torch=recurrent.deep_loss,
    conventions=without_half(recurrent.deep_loss),
    sizes=lambda inputs: ([inputs["W1"].shape[1], inputs["W2"].shape[1]], *inputs["W1"].shape[:1], *inputs["b3"].shape),
    corners=(),
)


def _deep_cases(inputs: Sampler, **options: Any) -> tuple[Case, ...]:
    return tuple(Case(name=f"reg {reg}", inputs=inputs, options={"reg": reg, **options}) for reg in (0.3, 0.0))


def _shapes_of(name: str, **changes: Any) -> Shapes | None:
    shapes = _ROWS[name].shapes
    return shapes and replace(shapes, **changes)


def _groups_of_images(N: int, G: int, per: int, H: int, W: int) -> Sampler:
    one_a_channel = (1, G * per, 1, 1)
    return normal(x=(N, G * per, H, W), gamma=one_a_channel, beta=one_a_channel)


def _deep_inputs(N: int, D: int, H1: int, H2: int, C: int) -> Sampler:
    return net_inputs((N, D), C, W1=(D, H1), b1=(H1,), W2=(H1, H2), b2=(H2,), W3=(H2, C), b3=(C,))


_DEEP_SHAPES = Shapes(
    letters={"N": (1, 2, 3, 40), "D": (1, 2, 5, 7, 300), "H1": (1, 2, 5, 7), "H2": (1, 2, 5, 6), "C": (2, 3, 10, 12)},
    inputs=_deep_inputs,
    settings={"reg": REGS},
    legal=lambda N, D, **_: N * D <= 1200,
    notable={
        "all widths alike": lambda D, H1, H2, **_: D == H1 == H2 > 1,
        "hidden widths alike": lambda D, H1, H2, **_: H1 == H2 > 1 and D != H1,
        "one row": lambda N, **_: N == 1,
        "many rows": lambda N, **_: N == 40,
        "one unit": lambda H1, H2, **_: 1 in (H1, H2),
        "ten classes": lambda C, **_: C == 10,
    },
)

_PLAIN = _deep_inputs(9, 11, 5, 6, 3)
_NORMALISED = net_inputs((9, 11), 3, **_HIDDEN[0], **_NORMED[0], **_HIDDEN[1], **_NORMED[1], **_HIDDEN[2])


def _tested(rng: Rng) -> Inputs:
    """Images X, labels y to train on, other images Z to score, and parameters."""
    found = _NORMALISED(rng)
    return {"X": found.pop("X"), "y": found.pop("y"), "Z": rng.standard_normal((7, 11)), **found}


CS231N: tuple[Layer, ...] = (
    _softmax(name="softmax_loss_naive"),
    _softmax(name="softmax_loss_vectorized"),
    _svm(name="svm_loss_naive"),
    _svm(name="svm_loss_vectorized"),
    replace(_ROWS["batchnorm"], name="batchnorm.alt", of="batchnorm", backward="batchnorm_backward_alt"),
    Layer(
        name="spatial_batchnorm.training_mode",
        of="spatial_batchnorm",
        kind="running",
        dictionary=True,
        torch=batchnorm_running_over_pixels,
        conventions=running_conventions(pixels),
        cases=(
            Case(name="images", inputs=_images_with_running(3, 4, 2, 5), options={"momentum": 0.6}),
            Case(name="the first batch", inputs=before_the_first(_images_with_running(3, 4, 2, 5))),
        ),
        shapes=_shapes_of("spatial_batchnorm", inputs=_images_with_running, settings={"momentum": MOMENTA}),
        slips=modes.SPATIAL_RUNNING,
    ),
    Layer(
        name="spatial_batchnorm.test_mode",
        of="spatial_batchnorm",
        kind="inference",
        dictionary=True,
        torch=pixels_of(batchnorm_inference),
        constant=("running_mean", "running_var"),
        cases=(Case(name="images", inputs=_images_with_running(3, 4, 2, 5)),),
        shapes=_shapes_of("spatial_batchnorm", inputs=_images_with_running),
        slips=modes.SPATIAL_INFERENCE,
    ),
    Layer(
        name="spatial_groupnorm.of_images",
        of="spatial_groupnorm",
        kind="pair",
        dictionary=True,
        torch=lambda x, gamma, beta, *, groups, eps=1e-5: spatial_groupnorm(
            x, gamma.flatten(), beta.flatten(), groups=groups, eps=eps
        ),
        cases=(
            Case(
                name="2 groups of 3, gamma (1, C, 1, 1)",
                inputs=normal(x=(3, 6, 4, 5), gamma=(1, 6, 1, 1), beta=(1, 6, 1, 1)),
                options={"groups": 2},
            ),
        ),
        analytic=True,
        shapes=_shapes_of("spatial_groupnorm", inputs=_groups_of_images),
        slips=images.GROUPNORM,
    ),
    Layer(
        name="dropout.training_mode",
        of="dropout",
        kind="drawn",
        dictionary=True,
        mode="train",
        drawn=("mask",),
        observed=_kept,
        torch=dropout,
        cases=tuple(Case(name=f"keep {p}", inputs=_with_mask, options={"p": p}) for p in (0.7, 0.4)),
        batched=("x", "mask"),
        slips=dense.DROPOUT,
    ),
    Layer(
        name="dropout.test_mode",
        of="dropout",
        kind="drawn",
        dictionary=True,
        mode="test",
        torch=_same,
        cases=(Case(name="the identity", inputs=_not_zero, options={"p": 0.7}),),
        slips=dense.DROPOUT_TEST,
    ),
    _deep(
        name="FullyConnectedNet",
        of="",
        cases=_deep_cases(_PLAIN),
        scores=recurrent.deep_scores,
        shapes=_DEEP_SHAPES,
        slips=nets.SHARED,
    ),
    _deep(
        name="FullyConnectedNet.batchnorm",
        cases=_deep_cases(_NORMALISED, normalization="batchnorm"),
        slips=nets.NORMED,
    ),
    _deep(
        name="FullyConnectedNet.test_mode",
        kind="tested",
        constant=("X", "Z"),
        torch=recurrent.deep_tested,
        conventions=recurrent.TESTED_OTHERWISE,
        cases=(Case(name="after 2 steps", inputs=_tested, options={"normalization": "batchnorm"}),),
        slips=nets.TESTED,
    ),
    _deep(
        name="FullyConnectedNet.layernorm",
        cases=_deep_cases(_NORMALISED, normalization="layernorm"),
        scores=partial(recurrent.deep_scores, normalization="layernorm"),
        slips=nets.NORMED,
    ),
    _deep(
        name="FullyConnectedNet.dropout",
        kind="seeded",
        cases=(Case(name="half", inputs=_PLAIN, options={"dropout": 0.5, "seed": 231}),),
        scores=recurrent.deep_scores,
    ),
    *SEQUENCES,
)
