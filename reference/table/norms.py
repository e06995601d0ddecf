"""Rows of the table: normalisation over the batch, a row, channels and groups of channels."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from scratchproof.table.expressions import (
    Sampler,
    batchnorm,
    batchnorm_by_steps,
    batchnorm_inference,
    batchnorm_running,
    batchnorm_running_biased,
    batchnorm_running_over_N,
    before_the_first,
    layernorm,
    normal,
    pixels_of,
    spatial_batchnorm,
    spatial_groupnorm,
    with_running,
)
from scratchproof.table.layer import Case, Layer, Shapes
from scratchproof.table.slips import images, modes, norms
from scratchproof.vjp import Expression


def _affine(*, x: tuple[int, ...]) -> Sampler:
    """x and, for each of its features or channels, a gamma and a beta."""
    return normal(x=x, gamma=x[1:2], beta=x[1:2])


def _rows(
    inputs: Callable[[int, int], Sampler],
    rows: Sequence[int] = (2, 3, 7, 300),
    features: Sequence[int] = (1, 2, 3, 5, 7, 1100),
    **settings: tuple[float, ...],
) -> Shapes:
    """Shapes of x (N, D)."""
    return Shapes(
        letters={"N": rows, "D": features},
        inputs=inputs,
        settings=settings,
        legal=lambda N, D: N * D <= 4000,
        notable={
            "N = D": lambda N, D: N == D,
            "two rows": lambda N, D: N == 2 and D > 2,
            "one feature": lambda N, D: D == 1,
            "more features than rows": lambda N, D: D > N > 2,
            "more rows than features": lambda N, D: N > D > 2,
            "many rows": lambda N, D: N > 256,
            "more than a thousand features": lambda N, D: D > 1000,
        },
    )


_EPSILONS = (1e-5, 1e-8, 1e-2)
_BY_ROWS = ("zeros", "integers", "sparse", "offset", "tiny", "one row", "empty", "nonfinite", "nan and infinities")
MOMENTA = (0.9, 0.0, 0.5, 0.99)
_EPS = ({"eps": 0.0}, {"eps": -1.0}, {"eps": float("nan")})
_IMAGES: dict[str, Callable[..., bool]] = {
    "H = W": lambda H, W, **_: H == W > 1,
    "N = C": lambda N, C, **_: N == C > 1,
    "C = H": lambda C, H, W, **_: C == H != W,
    "C = W": lambda C, H, W, **_: C == W != H,
    "one channel": lambda C, **_: C == 1,
    "one pixel": lambda H, W, **_: H == W == 1,
    "one row of pixels": lambda H, W, **_: H == 1 < W,
    "one image": lambda N, C, **_: N == 1 < C,
    "many images": lambda N, **_: N >= 40,
}


def running_conventions(rows: Callable[[Tensor], Tensor], eps: float = 1e-5) -> Mapping[str, Expression]:
    """Running variances that authors keep beside the biased one. rows: the batch as (N, D)."""

    def averaging(correction: int, more: float) -> Expression:
        def running(x: Tensor, gamma: Tensor, beta: Tensor, *kept: Tensor, momentum: float = 0.9) -> Tensor:
            new = torch.stack([rows(x).mean(0), rows(x).var(0, correction=correction) + more])
            return torch.stack(kept) * momentum + new * (1 - momentum)

        return running

    unbiased = "the running variance is the unbiased one, over N - 1, as torch keeps it"
    return {
        unbiased: averaging(1, 0.0),
        "the running variance holds eps, which is added once more in test mode": averaging(0, eps),
        f"{unbiased}, and holds eps": averaging(1, eps),
    }


NORMS: tuple[Layer, ...] = (
    Layer(
        name="batchnorm",
        kind="pair",
        unfit_options=_EPS,
        mode="train",
        torch=batchnorm,
        alternatives=(batchnorm_by_steps,),
        cases=(
            Case(name="x (N, D)", inputs=normal(x=(9, 5), gamma=(5,), beta=(5,))),
            Case(name="eps 0.1", inputs=normal(x=(9, 5), gamma=(5,), beta=(5,)), options={"eps": 0.1}),
        ),
        analytic=True,
        corners=("zeros", "integers", "sparse", "offset", "tiny"),
        shapes=_rows(lambda N, D: _affine(x=(N, D)), eps=_EPSILONS),
        careless=norms.one_pass(norms.BATCH),
        slips=norms.BATCHNORM,
    ),
    Layer(
        name="batchnorm_inference",
        kind="pair",
        unfit_options=_EPS,
        torch=batchnorm_inference,
        cases=(Case(name="x (N, D)", inputs=with_running(9, 5, "gamma", "beta")),),
        constant=("running_mean", "running_var"),
        analytic=True,
        corners=("zeros", "sparse", "one row", "empty"),
        shapes=_rows(lambda N, D: with_running(N, D, "gamma", "beta"), eps=_EPSILONS),
        slips={**modes.INFERENCE, **modes.INFERENCE_BACKWARD},
    ),
    Layer(
        name="batchnorm_running",
        kind="forward",
        unfit={"one row, whose unbiased variance is 0 / 0": lambda inputs: {**inputs, "x": inputs["x"][:1]}},
        torch=batchnorm_running,
        conventions={"the running variance is the biased one, over N, as CS231n keeps it": batchnorm_running_over_N},
        cases=(
            Case(name="x (N, D)", inputs=with_running(9, 5)),
            Case(name="momentum 0.6", inputs=with_running(9, 5), options={"momentum": 0.6}),
            Case(name="the first batch", inputs=before_the_first(with_running(9, 5))),
        ),
        shapes=_rows(lambda N, D: with_running(N, D), momentum=MOMENTA),
        slips=modes.RUNNING,
    ),
    Layer(
        name="batchnorm.training_mode",
        of="batchnorm",
        kind="running",
        dictionary=True,
        torch=batchnorm_running_biased,
        conventions=running_conventions(lambda x: x),
        cases=(
            Case(name="x (N, D)", inputs=with_running(9, 5, "gamma", "beta")),
            Case(name="momentum 0.6", inputs=with_running(9, 5, "gamma", "beta"), options={"momentum": 0.6}),
            Case(name="the first batch", inputs=before_the_first(with_running(9, 5, "gamma", "beta"))),
        ),
        shapes=_rows(lambda N, D: with_running(N, D, "gamma", "beta"), momentum=MOMENTA),
        slips=modes.RUNNING,
    ),
    Layer(
        name="batchnorm.test_mode",
        of="batchnorm",
        kind="inference",
        dictionary=True,
        torch=batchnorm_inference,
        cases=(Case(name="x (N, D)", inputs=with_running(9, 5, "gamma", "beta")),),
        constant=("running_mean", "running_var"),
        corners=("sparse", "one row"),
        shapes=_rows(lambda N, D: with_running(N, D, "gamma", "beta"), rows=(1, 2, 3, 7, 300), eps=_EPSILONS),
        slips=modes.INFERENCE,
    ),
    Layer(
        name="layernorm",
        kind="pair",
        unfit_options=_EPS,
        torch=layernorm,
        cases=(
            Case(name="x (N, D)", inputs=_affine(x=(6, 9))),
            Case(name="eps 0.1", inputs=_affine(x=(6, 9)), options={"eps": 0.1}),
        ),
        analytic=True,
        corners=_BY_ROWS,
        shapes=_rows(lambda N, D: _affine(x=(N, D)), rows=(1, 2, 3, 7, 300), eps=_EPSILONS),
        careless=norms.one_pass(norms.ROW),
        slips=norms.LAYERNORM,
    ),
    Layer(
        name="spatial_batchnorm",
        kind="pair",
        unfit_options=_EPS,
        mode="train",
        torch=spatial_batchnorm,
        alternatives=(pixels_of(batchnorm_by_steps),),
        cases=(
            Case(name="images", inputs=_affine(x=(3, 4, 2, 5))),
            Case(name="eps 0.1", inputs=_affine(x=(3, 4, 2, 5)), options={"eps": 0.1}),
        ),
        analytic=True,
        corners=("zeros", "integers", "sparse", "offset", "tiny"),
        shapes=Shapes(
            letters={"N": (1, 2, 3, 7, 40), "C": (1, 2, 3, 7), "H": (1, 2, 3, 5), "W": (1, 2, 3, 5)},
            inputs=lambda N, C, H, W: _affine(x=(N, C, H, W)),
            settings={"eps": _EPSILONS},
            legal=lambda N, C, H, W: N * H * W > 1 and N * C * H * W <= 2000,
            notable=_IMAGES,
        ),
        careless={told: pixels_of(formula) for told, formula in norms.one_pass(norms.BATCH).items()},
        slips=images.SPATIAL_BATCHNORM,
    ),
    Layer(
        name="spatial_groupnorm",
        kind="pair",
        unfit={"an image of three axes": lambda inputs: {**inputs, "x": inputs["x"][:1, :, 0]}},
        unfit_options=(*_EPS, {"groups": 0}, {"groups": -1}, {"groups": 4}, {"groups": 7}),
        dictionary=False,
        torch=spatial_groupnorm,
        cases=(
            Case(name="2 groups of 3", inputs=_affine(x=(3, 6, 4, 5)), options={"groups": 2}),
            Case(name="one group", inputs=_affine(x=(3, 4, 2, 5)), options={"groups": 1}),
            Case(name="eps 0.1", inputs=_affine(x=(3, 6, 4, 5)), options={"groups": 3, "eps": 0.1}),
        ),
        analytic=True,
        corners=_BY_ROWS,
        shapes=Shapes(
            letters={"N": (1, 2, 3, 7), "G": (1, 2, 3, 4), "per": (1, 2, 3, 4), "H": (1, 2, 3, 5), "W": (1, 2, 3, 5)},
            inputs=lambda N, G, per, H, W: _affine(x=(N, G * per, H, W)),
            options=lambda G, **_: {"groups": G},
            settings={"eps": _EPSILONS},
            legal=lambda N, G, per, H, W: per * H * W > 1 and N * G * per * H * W <= 2000,
            notable={
                "as many groups as channels": lambda G, per, **_: G > 1 and per == 1,
                "as many groups as channels in each": lambda G, per, **_: G == per > 1,
                "one group": lambda G, per, **_: G == 1 and per > 1,
                "more rows than groups": lambda N, G, **_: N > G > 1,
                "N = G": lambda N, G, **_: N == G > 1,
                "H = W": lambda H, W, **_: H == W > 1,
                "one pixel": lambda H, W, **_: H == W == 1,
            },
        ),
        slips=images.GROUPNORM,
    ),
)
