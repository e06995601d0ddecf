"""Normalisation beyond the batch: over the features of a row, over each channel of images, over groups of channels.

Everywhere xhat = (x - μ) / √(σ² + eps) with the biased variance σ², out = gamma · xhat + beta; they differ in which
values share a mean μ. Batch norm itself stands in `layers`. Axis letters are those of `layers`; G groups.

Source: CS231n, assignment 2 (`layernorm_*`, `spatial_batchnorm_*`, `spatial_groupnorm_*`).
"""

import math
from typing import TypeAlias

import numpy as np

from ._types import Array
from ._validate import quiet_nonfinite, require_cotangent, require_one_dtype, require_shape
from ._windows import require_images
from .layers import BatchnormCache, batchnorm_backward, batchnorm_forward

NormCache: TypeAlias = tuple[Array, Array, Array, int]  # xhat and rstd as rows (N·G, ...), gamma, groups
SpatialCache: TypeAlias = tuple[BatchnormCache, tuple[int, ...]]


@quiet_nonfinite
def layernorm_forward(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, NormCache]:
    """Layer normalisation: each row loses its own mean and is divided by its own deviation, in training and after.

    x (N, D), gamma (D,), beta (D,), one floating dtype. Returns out (N, D) and a cache. A row of one feature, or of
    equal ones, gives out = beta.
    Raises ValueError if dtypes or shapes do not fit, or if eps is not positive.
    Source: Ba, Kiros, Hinton, "Layer normalization" (2016).
    """
    _require_norm(eps, x, gamma, beta)
    if x.ndim != 2:
        raise ValueError(f"x has shape {x.shape} but needs axes (N, D)")
    xhat, rstd = _normalise(x, eps)
    return gamma * xhat + beta, (xhat, rstd, gamma, 1)


@quiet_nonfinite
def layernorm_backward(dout: Array, cache: NormCache) -> tuple[Array, Array, Array]:
    """Gradients of layer normalisation.

    dout (N, D). Returns dx (N, D), dgamma (D,) = Σ_n dout · xhat, dbeta (D,) = Σ_n dout. dx is batch norm's with
    means over features, since a row's features share its mean and deviation: with g = dout · gamma
        dx = rstd · (g - mean(g) - xhat · mean(g · xhat)), means over the row.
    Raises ValueError if dout does not look like the output.
    """
    xhat, rstd, gamma, _ = cache
    require_cotangent(dout, xhat.shape, xhat.dtype)
    return _normalise_backward(dout * gamma, xhat, rstd), (dout * xhat).sum(axis=0), dout.sum(axis=0)


def spatial_batchnorm_forward(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, SpatialCache]:
    """Batch normalisation of images: every pixel of every image is a row, a channel is a feature.

    x (N, C, H, W), gamma (C,), beta (C,), one floating dtype. Returns out (N, C, H, W) and a cache.
    Raises ValueError if dtypes or shapes do not fit, or if eps is not positive.
    """
    require_images(x)
    out, cache = batchnorm_forward(_pixels(x), gamma, beta, eps=eps)
    return _images(out, x.shape), (cache, x.shape)


def spatial_batchnorm_backward(dout: Array, cache: SpatialCache) -> tuple[Array, Array, Array]:
    """Gradients of batch normalisation of images: those of batch norm over the pixels (N·H·W, C).

    dout (N, C, H, W). Returns dx (N, C, H, W), dgamma (C,), dbeta (C,).
    Raises ValueError if dout does not look like the output.
    """
    pixels, shape = cache
    require_cotangent(dout, shape, pixels[0].dtype)
    dx, dgamma, dbeta = batchnorm_backward(_pixels(dout), pixels)
    return _images(dx, shape), dgamma, dbeta


@quiet_nonfinite
def spatial_groupnorm_forward(
    x: Array, gamma: Array, beta: Array, *, groups: int, eps: float = 1e-5
) -> tuple[Array, NormCache]:
    """Group normalisation: the pixels of C / G neighbouring channels of one image share a mean and a deviation.

    x (N, C, H, W), gamma (C,), beta (C,), one floating dtype; `groups`, G, divides C. Of one group it is layer
    norm of an image, of C groups instance norm. Returns out (N, C, H, W) and a cache.
    Raises ValueError if dtypes or shapes do not fit, groups does not divide C, or eps is not positive.
    Source: Wu, He, "Group normalization" (2018).
    """
    require_images(x)
    _require_norm(eps, x, gamma, beta)
    if groups < 1 or x.shape[1] % groups:
        raise ValueError(f"groups is {groups} but must divide the {x.shape[1]} channels of x")
    rows, rstd = _normalise(_grouped(x, groups), eps)
    xhat = rows.reshape(x.shape)
    return gamma[:, None, None] * xhat + beta[:, None, None], (xhat, rstd, gamma, groups)


@quiet_nonfinite
def spatial_groupnorm_backward(dout: Array, cache: NormCache) -> tuple[Array, Array, Array]:
    """Gradients of group normalisation: those of layer norm, a group of an image being a row.

    dout (N, C, H, W). Returns dx (N, C, H, W), dgamma (C,) = Σ dout · xhat and dbeta (C,) = Σ dout, over n, h, w.
    Raises ValueError if dout does not look like the output.
    """
    xhat, rstd, gamma, groups = cache
    require_cotangent(dout, xhat.shape, xhat.dtype)
    dxhat = _grouped(dout * gamma[:, None, None], groups)
    dx = _normalise_backward(dxhat, _grouped(xhat, groups), rstd).reshape(xhat.shape)
    return dx, (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


def _require_norm(eps: float, x: Array, gamma: Array, beta: Array) -> None:
    require_one_dtype(x=x, gamma=gamma, beta=beta)
    for name, vector in (("gamma", gamma), ("beta", beta)):
        require_shape(name, vector, x.shape[1:2], "one value for each feature or channel of x")
    if not eps > 0:
        raise ValueError(f"eps is {eps} but must be positive")


def _normalise(rows: Array, eps: float) -> tuple[Array, Array]:
    """Every row (R, D) without its mean, divided by its deviation; and 1 / deviation, (R, 1)."""
    centred = rows - _mean(rows)
    centred = centred - _mean(centred)  # what the first mean was off by: not small beside a small deviation
    rstd = 1 / np.sqrt(_mean(centred * centred) + float(eps))
    return centred * rstd, rstd


def _normalise_backward(dxhat: Array, xhat: Array, rstd: Array) -> Array:
    dx: Array = rstd * (dxhat - _mean(dxhat) - xhat * _mean(dxhat * xhat))
    return dx


def _mean(rows: Array) -> Array:
    """Mean of every row, (R, 1); NaN where rows are empty, where nobody meets it."""
    mean: Array = rows.sum(axis=1, keepdims=True) / rows.shape[1]
    return mean


def _grouped(x: Array, groups: int) -> Array:
    """Images as rows (N·G, C/G·H·W), spelled out because -1 cannot be solved for N = 0."""
    return x.reshape(x.shape[0] * groups, math.prod(x.shape[1:]) // groups)


def _pixels(x: Array) -> Array:
    """Images (N, C, H, W) as rows (N·H·W, C)."""
    return x.transpose(0, 2, 3, 1).reshape(x.shape[0] * math.prod(x.shape[2:]), x.shape[1])


def _images(pixels: Array, shape: tuple[int, ...]) -> Array:
    """Rows (N·H·W, C) as the images of that shape."""
    images = pixels.reshape(shape[0], *shape[2:], shape[1]).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images)
