"""Layers as pairs of functions: `*_forward(...) -> (out, cache)`, `*_backward(dout, cache) -> gradients`.

Axis letters, here and in every room of the package: N rows of a minibatch, D features that go
in, M features that come out, H hidden units (a net spells its own width `hidden`), C classes;
F filters over images (N, C, H, W), where C are channels and H, W pixels.

All layers keep these promises. The dtype that goes in comes out (float16, 32, 64; complex where
the formula is analytic, so that complex-step differentiation works). Arguments, caches and
cotangents are only read; no output shares memory with them or with another output. A batch may
be empty, one row, strided or read-only. NaN and infinity pass through without a warning. Arrays
of the wrong kind raise a ValueError that states fact and need.

Source: CS231n, assignments 1 and 2 (names, signatures and conventions).
"""

import math
from typing import Any, TypeAlias

import numpy as np

from ._types import Array
from ._validate import (
    quiet_nonfinite,
    require_affine,
    require_batchnorm,
    require_cotangent,
    require_features,
    require_floating,
    require_one_dtype,
    require_shape,
)

AffineCache: TypeAlias = tuple[Array, Array]
AffineGradients: TypeAlias = tuple[Any, Array, Array]  # dx is None where it was not asked for
ReluCache: TypeAlias = tuple[Array]
DropoutCache: TypeAlias = tuple[Array, float, np.dtype[Any]]
BatchnormCache: TypeAlias = tuple[Array, Array, Array]


# ---------------------------------------------------------------- affine


@quiet_nonfinite
def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, AffineCache]:
    """Fully connected layer: out = x w + b, after flattening each row of x.

    x (N, d1, ..., dk) of any rank, D = d1·...·dk; w (D, M); b (M,); one floating dtype.
    Returns out (N, M) and cache (x, w).
    Raises ValueError if dtypes differ or are not floating, or if shapes do not fit together.
    Source: CS231n assignment 1, `affine_forward`.
    """
    require_affine(x, w, b)
    out = _rows(x) @ w
    out += b
    return out, (x, w)


@quiet_nonfinite
def affine_backward(dout: Array, cache: AffineCache, *, need_dx: bool = True) -> AffineGradients:
    """Gradients of the affine layer.

    dout (N, M). Returns dx of x's shape (None unless `need_dx`: the first layer of a net has no
    use for it, and it is a third of the work), dw (D, M), db (M,).

    With out[n, m] = Σ_d x[n, d] w[d, m] + b[m]:
        dx[n, d] = Σ_m dout[n, m] w[d, m]   dx = dout wᵀ, folded back to x's shape
        dw[d, m] = Σ_n x[n, d] dout[n, m]   dw = xᵀ dout, summed over N
        db[m]    = Σ_n dout[n, m]           db = dout, summed over N
    Raises ValueError if dout does not look like the output.
    """
    x, w = cache
    require_cotangent(dout, (x.shape[0], w.shape[1]), x.dtype)
    dx = (dout @ w.T).reshape(x.shape) if need_dx else None
    return dx, _rows(x).T @ dout, dout.sum(axis=0)


def _rows(x: Array) -> Array:
    """x (N, d1, ..., dk) as (N, D); the product is spelled out because -1 cannot be solved for N = 0."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


# ---------------------------------------------------------------- activations, elementwise on any shape


def relu_forward(x: Array) -> tuple[Array, ReluCache]:
    """Rectifier: out = max(x, 0), elementwise; NaN stays NaN.

    x of any shape, floating. Returns out of x's shape and cache (x,).
    Raises ValueError if x is not floating.
    """
    require_floating("x", x)
    return np.maximum(x, 0), (x,)


@quiet_nonfinite
def relu_backward(dout: Array, cache: ReluCache) -> Array:
    """Gradient of the rectifier: dx = dout where x > 0, else 0.

    The slope is 1 right of the kink and 0 left of it. At x = 0 any value between is a
    subgradient; 0 is chosen, as torch.relu does.
    Raises ValueError if dout does not look like the output.
    """
    (x,) = cache
    require_cotangent(dout, x.shape, x.dtype)
    return dout * (x > 0)


@quiet_nonfinite
def leaky_relu_forward(x: Array, *, negative_slope: float = 0.01) -> tuple[Array, tuple[Array, float]]:
    """Leaky rectifier: out = x where x > 0, else negative_slope · x.

    x of any shape, floating. Returns out of x's shape and cache (x, negative_slope).
    Raises ValueError if x is not floating.
    Source: Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013).
    """
    require_floating("x", x)
    slope = float(negative_slope)  # a float64 scalar of NumPy's would promote float32
    return np.where(x > 0, x, slope * x), (x, slope)


@quiet_nonfinite
def leaky_relu_backward(dout: Array, cache: tuple[Array, float]) -> Array:
    """Gradient of the leaky rectifier: dx = dout where x > 0, else negative_slope · dout.

    At the kink x = 0 the left slope is taken, as torch does.
    Raises ValueError if dout does not look like the output.
    """
    x, slope = cache
    require_cotangent(dout, x.shape, x.dtype)
    return np.where(x > 0, dout, slope * dout)


def sigmoid_forward(x: Array) -> tuple[Array, tuple[Array]]:
    """Logistic function: out = 1 / (1 + exp(-x)), elementwise.

    x of any shape, floating. Returns out of x's shape and cache (z,) with z = exp(-|x|).

    z lies in (0, 1], so nothing overflows, and both tails keep their relative accuracy:
        x >= 0: 1 / (1 + exp(-x)) = 1 / (1 + z)
        x <  0: exp(x) / (exp(x) + 1) = z / (1 + z)
    Raises ValueError if x is not floating.
    """
    require_floating("x", x)
    z = np.exp(np.where(x >= 0, -x, x))
    return np.where(x >= 0, 1, z) / (1 + z), (z,)


@quiet_nonfinite
def sigmoid_backward(dout: Array, cache: tuple[Array]) -> Array:
    """Gradient of the logistic function: dx = dout · s (1 - s), s the output.

    s (1 - s) is the same for x and -x; with z = exp(-|x|) it is z / (1 + z)², which does not
    cancel where s is close to 1.
    Raises ValueError if dout does not look like the output.
    """
    (z,) = cache
    require_cotangent(dout, z.shape, z.dtype)
    return dout * (z / (1 + z) ** 2)  # type: ignore[no-any-return]


def tanh_forward(x: Array) -> tuple[Array, tuple[Array]]:
    """Hyperbolic tangent, elementwise.

    x of any shape, floating. Returns out = tanh(x) and cache (t,), t the output itself.
    Raises ValueError if x is not floating.
    """
    require_floating("x", x)
    t = np.tanh(x)
    return t, (t,)


@quiet_nonfinite
def tanh_backward(dout: Array, cache: tuple[Array]) -> Array:
    """Gradient of tanh: dx = dout · (1 - t²), t the output.

    Written (1 - t)(1 + t): 1 - t is exact where t is close to 1, 1 - t² is not.
    Raises ValueError if dout does not look like the output.
    """
    (t,) = cache
    require_cotangent(dout, t.shape, t.dtype)
    return dout * ((1 - t) * (1 + t))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- affine followed by relu


def affine_relu_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[AffineCache, ReluCache]]:
    """Affine layer and rectifier in one call: out = max(x w + b, 0).

    Shapes, dtypes and Raises as `affine_forward`. Returns out (N, M) and both caches.
    """
    scores, affine_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(scores)
    return out, (affine_cache, relu_cache)


def affine_relu_backward(dout: Array, cache: tuple[AffineCache, ReluCache], *, need_dx: bool = True) -> AffineGradients:
    """Gradients of affine-then-relu, by the chain rule: first through the rectifier, then the affine layer.

    dout (N, M). Returns dx, dw, db as `affine_backward`.
    """
    affine_cache, relu_cache = cache
    return affine_backward(relu_backward(dout, relu_cache), affine_cache, need_dx=need_dx)


# ---------------------------------------------------------------- dropout


@quiet_nonfinite
def dropout_forward(x: Array, mask: Array, *, p: float = 0.5) -> tuple[Array, DropoutCache]:
    """Inverted dropout with a given mask: out = x · mask / p.

    x of any shape, floating; mask bool of x's shape, True = keep; p in (0, 1], the probability to
    keep a unit (torch's p is the probability to drop it). Dividing by p here keeps the expected
    output equal to x, so that nothing needs to be done at test time.
    Returns out of x's shape and cache (mask, p, x's dtype).
    Raises ValueError if x is not floating, the mask is not bool or of another shape, or p is outside (0, 1].
    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).
    """
    require_floating("x", x)
    if not isinstance(mask, np.ndarray | np.generic) or mask.dtype != bool:
        raise ValueError(f"mask is {getattr(mask, 'dtype', type(mask).__name__)} but must be a bool array")
    require_shape("mask", mask, x.shape, "the shape of x")
    keep = float(p)
    if not 0 < keep <= 1:
        raise ValueError(f"p is {keep} but a probability to keep must be in (0, 1]")
    return x * mask / keep, (mask, keep, x.dtype)


@quiet_nonfinite
def dropout_backward(dout: Array, cache: DropoutCache) -> Array:
    """Gradient of dropout: dx = dout · mask / p, the same linear map as forward.

    Raises ValueError if dout does not look like the output.
    """
    mask, keep, dtype = cache
    require_cotangent(dout, mask.shape, dtype)
    return dout * mask / keep


# ---------------------------------------------------------------- batch normalisation


@quiet_nonfinite
def batchnorm_forward(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, BatchnormCache]:
    """Batch normalisation in training: each feature loses its batch mean and is divided by its batch deviation.

    x (N, D), gamma (D,), beta (D,), one floating dtype. With mean μ and *biased* variance σ² (over N)
        xhat = (x - μ) / √(σ² + eps),  out = gamma · xhat + beta.
    Returns out (N, D) and cache (xhat, rstd, gamma), rstd (D,) = 1 / √(σ² + eps). One row gives out = beta.
    Raises ValueError if dtypes or shapes do not fit, or if eps is not positive.
    Source: Ioffe, Szegedy, "Batch normalization" (2015).
    """
    require_batchnorm(eps, x=x, gamma=gamma, beta=beta)
    _, centred = _centre(x)
    rstd = 1 / np.sqrt(_mean(centred * centred) + float(eps))
    xhat = centred * rstd
    return gamma * xhat + beta, (xhat, rstd, gamma)


@quiet_nonfinite
def batchnorm_backward(dout: Array, cache: BatchnormCache) -> tuple[Array, Array, Array]:
    """Gradients of batch normalisation in training.

    dout (N, D). Returns dx (N, D), dgamma (D,), dbeta (D,).

    dbeta = Σ_n dout and dgamma = Σ_n dout · xhat. For dx let g = dout · gamma, the gradient that
    reaches xhat. x acts on xhat directly, through μ and through σ²; every row shares the last two:
        through μ:  ∂xhat/∂μ = -rstd and ∂μ/∂x = 1/N            gives -rstd · mean(g)
        through σ²: ∂xhat/∂σ² = -½ xhat rstd² and ∂σ²/∂x = 2 (x - μ)/N   gives -rstd · xhat · mean(g · xhat)
        dx = rstd · (g - mean(g) - xhat · mean(g · xhat))
    Raises ValueError if dout does not look like the output.
    """
    xhat, rstd, gamma = cache
    require_cotangent(dout, xhat.shape, xhat.dtype)
    dxhat = dout * gamma
    dx = rstd * (dxhat - _mean(dxhat) - xhat * _mean(dxhat * xhat))
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


@quiet_nonfinite
def batchnorm_inference_forward(
    x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, *, eps: float = 1e-5
) -> tuple[Array, BatchnormCache]:
    """Batch normalisation at test time: the running statistics stand in for those of the batch.

    x (N, D); gamma, beta, running_mean, running_var (D,); one floating dtype.
    out = gamma · (x - running_mean) / √(running_var + eps) + beta, row by row.
    Returns out (N, D) and cache (xhat, rstd, gamma).
    Raises ValueError if dtypes or shapes do not fit, or if eps is not positive.
    """
    require_batchnorm(eps, x=x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var)
    rstd = 1 / np.sqrt(running_var + float(eps))
    xhat = (x - running_mean) * rstd
    return gamma * xhat + beta, (xhat, rstd, gamma)


@quiet_nonfinite
def batchnorm_inference_backward(dout: Array, cache: BatchnormCache) -> tuple[Array, Array, Array]:
    """Gradients of batch normalisation at test time; the running statistics are constants.

    dout (N, D). Returns dx = dout · gamma · rstd, dgamma = Σ_n dout · xhat, dbeta = Σ_n dout.
    Raises ValueError if dout does not look like the output.
    """
    xhat, rstd, gamma = cache
    require_cotangent(dout, xhat.shape, xhat.dtype)
    return dout * (gamma * rstd), (dout * xhat).sum(axis=0), dout.sum(axis=0)


@quiet_nonfinite
def batchnorm_running(
    x: Array, running_mean: Array, running_var: Array, *, momentum: float = 0.9
) -> tuple[Array, Array]:
    """The running statistics after one more batch: momentum · old + (1 - momentum) · batch, as new arrays.

    x (N, D), running_mean (D,), running_var (D,), one floating dtype. `momentum` is the share of the
    old value that is kept, as in CS231n; torch's is the share of the new one. The batch variance
    here is the *unbiased* one, Σ (x - μ)² / (N - 1), as in torch.
    Raises ValueError if dtypes or shapes do not fit, or if x has fewer than two rows.
    """
    require_one_dtype(x=x, running_mean=running_mean, running_var=running_var)
    require_features(x, running_mean=running_mean, running_var=running_var)
    if len(x) < 2:
        raise ValueError(f"x has {len(x)} rows but an unbiased variance needs at least 2")
    keep = float(momentum)
    mean, centred = _centre(x)
    var = (centred * centred).sum(axis=0) / (len(x) - 1)
    return keep * running_mean + (1 - keep) * mean, keep * running_var + (1 - keep) * var


def _mean(x: Array) -> Array:
    """Mean over rows (D,); NaN for an empty batch, where nobody meets it."""
    return x.sum(axis=0) / len(x)  # type: ignore[no-any-return]


def _centre(x: Array) -> tuple[Array, Array]:
    """The mean over rows (D,), and x without it (N, D)."""
    mean = _mean(x)
    centred = x - mean
    rounding = _mean(centred)  # of the first mean: not small beside the deviation when that is small
    return mean + rounding, centred - rounding
