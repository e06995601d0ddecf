"""Rows that only code written for CS231n has: its classifiers, its modes and dictionaries, its deeper nets."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from scratchproof.table.course import recurrent
from scratchproof.table.dense import DENSE
from scratchproof.table.expressions import (
    Rng,
    Sampler,
    batchnorm_inference,
    batchnorm_running_over_pixels,
    dropout,
    net_inputs,
    normal,
    pixels,
    pixels_of,
    spatial_groupnorm,
    without_half,
)
from scratchproof.table.layer import Case, Layer
from scratchproof.table.norms import NORMS, running_conventions
from scratchproof.table.slips import dense, images, losses, modes, nets
from scratchproof.table.slips import recurrent as steps
from scratchproof.vjp import Inputs

_ROWS = {layer.name: layer for layer in (*DENSE, *NORMS)}


def _classifier_inputs(rng: Rng) -> Inputs:
    return {"W": rng.standard_normal((7, 4)), "X": rng.standard_normal((9, 7)), "y": rng.integers(4, size=9)}


def _images_with_running(rng: Rng) -> Inputs:
    inputs = normal(x=(3, 4, 2, 5), gamma=(4,), beta=(4,), running_mean=(4,))(rng)
    return {**inputs, "running_var": rng.uniform(0.5, 2.0, size=4)}


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


def _words(rng: Rng) -> Inputs:
    return {"x": rng.integers(5, size=(2, 6)), "W": rng.standard_normal((5, 3))}


def _captions(rng: Rng) -> Inputs:
    labels = {"y": rng.integers(5, size=(3, 4)), "mask": rng.random((3, 4)) < 0.7}
    return {"x": rng.standard_normal((3, 4, 5)), **labels}


_classifier = partial(
    Layer,
    kind="loss",
    data="X",
    constant=("X",),
    batched=("X", "y"),
    corners=("zeros", "huge", "one row"),
    cases=(
        Case(name="reg 0.3", inputs=_classifier_inputs, options={"reg": 0.3}),
        Case(name="reg 0", inputs=_classifier_inputs, options={"reg": 0.0}),
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
    sizes=lambda inputs: ([5, 6], 11, 3),
    corners=(),
)


def _deep_cases(inputs: Sampler, **options: Any) -> tuple[Case, ...]:
    return tuple(Case(name=f"reg {reg}", inputs=inputs, options={"reg": reg, **options}) for reg in (0.3, 0.0))


_PLAIN = net_inputs((9, 11), 3, **_HIDDEN[0], **_HIDDEN[1], **_HIDDEN[2])
_NORMALISED = net_inputs((9, 11), 3, **_HIDDEN[0], **_NORMED[0], **_HIDDEN[1], **_NORMED[1], **_HIDDEN[2])
_recurrent = partial(Layer, kind="pair", analytic=True, corners=("one row",))
_GATES = {"Wx": (4, 12), "Wh": (3, 12), "b": (12,)}
_PLAIN_STEP = {"Wx": (4, 3), "Wh": (3, 3), "b": (3,)}

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
        cases=(Case(name="images", inputs=_images_with_running, options={"momentum": 0.6}),),
        slips=modes.SPATIAL_RUNNING,
    ),
    Layer(
        name="spatial_batchnorm.test_mode",
        of="spatial_batchnorm",
        kind="inference",
        dictionary=True,
        torch=pixels_of(batchnorm_inference),
        constant=("running_mean", "running_var"),
        cases=(Case(name="images", inputs=_images_with_running),),
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
    _deep(name="FullyConnectedNet", of="", cases=_deep_cases(_PLAIN), scores=recurrent.deep_scores, slips=nets.SHARED),
    _deep(
        name="FullyConnectedNet.batchnorm",
        cases=_deep_cases(_NORMALISED, normalization="batchnorm"),
        slips=nets.NORMED,
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
    _recurrent(
        name="rnn_step",
        torch=recurrent.rnn_step,
        slips=steps.RNN_STEP,
        cases=(Case(name="N 2, D 4, H 3", inputs=normal(x=(2, 4), prev_h=(2, 3), **_PLAIN_STEP)),),
        batched=("x", "prev_h"),
    ),
    _recurrent(
        name="rnn",
        torch=recurrent.rnn,
        slips=steps.RNN,
        cases=(Case(name="N 2, T 5, D 4, H 3", inputs=normal(x=(2, 5, 4), h0=(2, 3), **_PLAIN_STEP)),),
        batched=("x", "h0"),
    ),
    _recurrent(
        name="lstm_step",
        torch=recurrent.lstm_step,
        slips=steps.LSTM_STEP,
        outputs=("next_h", "next_c"),
        cases=(Case(name="N 2, D 4, H 3", inputs=normal(x=(2, 4), prev_h=(2, 3), prev_c=(2, 3), **_GATES)),),
        batched=("x", "prev_h", "prev_c"),
    ),
    _recurrent(
        name="lstm",
        torch=recurrent.lstm,
        slips=steps.LSTM,
        cases=(Case(name="N 2, T 5, D 4, H 3", inputs=normal(x=(2, 5, 4), h0=(2, 3), **_GATES)),),
        batched=("x", "h0"),
    ),
    _recurrent(
        name="temporal_affine",
        torch=lambda x, w, b: x @ w + b,
        cases=(Case(name="N 2, T 5, D 4, M 3", inputs=normal(x=(2, 5, 4), w=(4, 3), b=(3,))),),
    ),
    Layer(
        name="word_embedding",
        kind="pair",
        torch=lambda x, W: W[x],
        slips=steps.WORD_EMBEDDING,
        cases=(Case(name="N 2, T 6, V 5, D 3", inputs=_words),),
    ),
    Layer(
        name="temporal_softmax_loss",
        kind="loss",
        torch=recurrent.temporal_softmax,
        slips=steps.TEMPORAL_SOFTMAX,
        batched=("x", "y", "mask"),
        cases=(Case(name="N 3, T 4, V 5", inputs=_captions),),
    ),
)
