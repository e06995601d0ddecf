"""Rows of the table: the affine layer, activations and dropout."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table.expressions import Sampler, dropout, masked, no_last_feature, normal
from scratchproof.table.layer import ELEMENTWISE, Case, Layer, Shapes
from scratchproof.table.slips import dense


def _any_rank(sampler: Callable[[tuple[int, ...]], Sampler], **settings: tuple[float, ...]) -> Shapes:
    """Shapes for what works element by element, from one axis to five."""
    return Shapes(
        letters={
            "rank": (1, 2, 3, 4, 5),
            "N": (1, 2, 3, 17),
            "a": (1, 2, 5, 1100),
            "b": (1, 2, 3),
            "c": (1, 2),
            "d": (2, 3),
        },
        inputs=lambda rank, **sizes: sampler(tuple(sizes.values())[:rank]),
        settings=settings,
        legal=lambda rank, **sizes: math.prod(tuple(sizes.values())[:rank]) <= 4000,
        notable={
            "one axis": lambda rank, **_: rank == 1,
            "five axes": lambda rank, **_: rank == 5,
            "one of everything": lambda N, a, rank, **_: rank == 2 and N == a == 1,
            "a square": lambda N, a, rank, **_: rank == 2 and N == a == 2,
            "a thousand features": lambda a, rank, **_: rank == 2 and a > 1000,
        },
    )


AFFINE_SHAPES = Shapes(
    letters={
        "rank": (1, 2, 3, 4),
        "N": (1, 2, 3, 7, 300),
        "a": (1, 2, 5, 7, 1100),
        "b": (1, 2, 3),
        "c": (1, 2),
        "d": (2, 3),
        "M": (1, 2, 7, 12, 300),
    },
    inputs=lambda rank, N, M, **sizes: _affine_inputs(N, tuple(sizes.values())[:rank], M),
    legal=lambda rank, N, M, **sizes: math.prod(tuple(sizes.values())[:rank]) * max(N, M) <= 14000 and N * M <= 4000,
    notable={
        "N = D = M": lambda rank, N, a, M, **_: rank == 1 and N == a == M > 1,
        "N = M, D another": lambda rank, N, a, M, **_: rank == 1 and N == M > 1 and a > 2,
        "one of everything": lambda rank, N, a, M, **_: rank == 1 and N == a == M == 1,
        "one output": lambda N, M, **_: N > 1 and M == 1,
        "one row": lambda N, M, **_: N == 1 and M > 1,
        "more outputs than features": lambda rank, a, M, **_: rank == 1 and M > a > 1,
        "many rows": lambda N, **_: N > 256,
        "many outputs": lambda M, **_: M > 256,
        "more than a thousand features": lambda a, **_: a > 1000,
        "x of two axes": lambda rank, **_: rank == 1,
        "x of three axes": lambda rank, a, b, **_: rank == 2 and a > 1 < b,
        "x of four axes": lambda rank, a, b, c, **_: rank == 3 and min(a, b, c) > 1,
        "x of five axes": lambda rank, a, b, c, **_: rank == 4 and min(a, b, c) > 1,
    },
)


def _affine(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.linear(x.flatten(1), w.T, b)


def _affine_inputs(N: int, features: tuple[int, ...], M: int) -> Sampler:
    return normal(x=(N, *features), w=(math.prod(features), M), b=(M,))


_elementwise = partial(Layer, kind="pair", corners=ELEMENTWISE, shapes=_any_rank(lambda shape: normal(x=shape)))

_without_dx = partial(
    Layer,
    kind="partial",
    constant=("x",),
    cases=(Case(name="x (N, d1, d2)", inputs=normal(x=(5, 2, 3), w=(6, 7), b=(7,))),),
)

DENSE: tuple[Layer, ...] = (
    Layer(
        name="affine",
        kind="pair",
        torch=_affine,
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(5, 6), w=(6, 7), b=(7,))),
            Case(name="x (N, d1, d2, d3)", inputs=normal(x=(5, 2, 3, 4), w=(24, 7), b=(7,))),
            Case(name="long sums", inputs=normal(x=(3, 600), w=(600, 4), b=(4,))),
        ),
        analytic=True,
        corners=("zeros", "no bias", *ELEMENTWISE[2:]),
        shapes=AFFINE_SHAPES,
        slips=dense.AFFINE,
        errors={"w with a row too few": no_last_feature},
        unfit={"x without axes": lambda inputs: {**inputs, "x": inputs["x"].ravel()[0], "w": inputs["w"][:1]}},
    ),
    _elementwise(
        name="relu",
        torch=F.relu,
        cases=(Case(name="x (N, D)", inputs=normal(x=(6, 7))), Case(name="images", inputs=normal(x=(2, 3, 4, 5)))),
        kink="relu'(0) = 0, as torch.relu has it",
        slips=dense.RELU,
    ),
    _elementwise(
        name="leaky_relu",
        torch=lambda x, *, negative_slope=0.01: F.leaky_relu(x, negative_slope),
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(6, 7))),
            Case(name="slope 0.2", inputs=normal(x=(6, 7)), options={"negative_slope": 0.2}),
        ),
        kink="leaky_relu'(0) = the negative slope, as torch has it",
        shapes=_any_rank(lambda shape: normal(x=shape), negative_slope=(0.01, 0.0, 0.3, 0.9)),
        slips=dense.LEAKY_RELU,
    ),
    _elementwise(
        name="sigmoid",
        torch=torch.sigmoid,
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(6, 7))),
            Case(name="the left tail", inputs=lambda rng: {"x": rng.uniform(-18, -12, (6, 7))}),
        ),
        careless={
            "(1 + tanh(x / 2)) / 2 loses its digits where x is far below 0": lambda x: 0.5 * (1 + torch.tanh(0.5 * x)),
        },
        analytic=True,
        slips=dense.SIGMOID,
    ),
    _elementwise(
        name="tanh",
        torch=torch.tanh,
        cases=(Case(name="x (N, D)", inputs=normal(x=(6, 7))),),
        analytic=True,
        slips=dense.TANH,
    ),
    Layer(
        name="affine_relu",
        kind="pair",
        torch=lambda x, w, b: F.relu(_affine(x, w, b)),
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(5, 6), w=(6, 7), b=(7,))),
            Case(name="x (N, d1, d2)", inputs=normal(x=(5, 2, 3), w=(6, 7), b=(7,))),
        ),
        kink="relu'(0) = 0, as torch.relu has it",
        corners=("zeros", "one row", "empty"),
        shapes=AFFINE_SHAPES,
        slips=dense.AFFINE_RELU,
        errors={"w with a row too few": no_last_feature},
        unfit={"x without axes": lambda inputs: {**inputs, "x": inputs["x"].ravel()[0], "w": inputs["w"][:1]}},
    ),
    _elementwise(
        name="dropout",
        dictionary=False,
        unfit_options=({"p": 0.0}, {"p": -0.5}, {"p": 1.5}, {"p": float("nan")}),
        torch=dropout,
        cases=(
            Case(name="keep 0.7", inputs=masked((6, 7)), options={"p": 0.7}),
            Case(name="keep 0.5", inputs=masked((6, 7))),
        ),
        batched=("x", "mask"),
        shapes=_any_rank(masked, p=(0.5, 0.1, 0.9, 1.0)),
        slips=dense.DROPOUT,
        analytic=True,
        corners=("zeros", "sparse", "huge", "tiny", "one row", "empty"),
    ),
    _without_dx(name="affine.need_dx", of="affine", torch=_affine),
    _without_dx(name="affine_relu.need_dx", of="affine_relu", torch=lambda x, w, b: F.relu(_affine(x, w, b))),
)
