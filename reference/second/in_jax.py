"""The rows of the table in JAX, by their names: arrays by position, options by keyword, as torch's are called.

JAX is imported when they are asked for.
"""

from collections.abc import Callable, Mapping
from typing import Any

from scratchproof.extras import needed

ATLAS = {
    "relu": "relu",
    "affine_relu": "relu",
    "leaky_relu": "leaky_relu(0.1)",
    "max_pool": "max pooling, windows of 2",
    "svm_loss": "relu",
}
"""Under which name docs/atlas.md has what a row's kink comes from."""


def expressions() -> Mapping[str, Callable[..., Any]]:
    """Every row that is written in JAX. Raises: InputError that says what to install, where JAX is missing."""
    jax = needed("jax")
    return {**_dense(jax), **_norms(jax), **_windows(jax), **_losses(jax)}


def _dense(jax: Any) -> dict[str, Callable[..., Any]]:
    nn, np = jax.nn, jax.numpy

    def affine(x: Any, w: Any, b: Any) -> Any:
        return np.reshape(x, (x.shape[0], w.shape[0])) @ w + b

    return {
        "affine": affine,
        "affine_relu": lambda x, w, b: nn.relu(affine(x, w, b)),
        "relu": nn.relu,
        "leaky_relu": lambda x, *, negative_slope=0.01: nn.leaky_relu(x, negative_slope),
        "sigmoid": nn.sigmoid,
        "tanh": np.tanh,
        "dropout": lambda x, mask, *, p=0.5: x * mask / p,
    }


def _norms(jax: Any) -> dict[str, Callable[..., Any]]:
    np = jax.numpy

    def standardised(x: Any, axes: Any, eps: float) -> Any:
        centred = x - x.mean(axes, keepdims=True)
        return centred / np.sqrt((centred * centred).mean(axes, keepdims=True) + eps)

    def by_channel(vector: Any) -> Any:
        return vector[:, None, None]

    def groupnorm(x: Any, gamma: Any, beta: Any, *, groups: int, eps: float = 1e-5) -> Any:
        rows = x.reshape(len(x), groups, -1)
        return standardised(rows, 2, eps).reshape(x.shape) * by_channel(gamma) + by_channel(beta)

    return {
        "batchnorm": lambda x, gamma, beta, *, eps=1e-5: gamma * standardised(x, 0, eps) + beta,
        "batchnorm_inference": lambda x, gamma, beta, mean, var, *, eps=1e-5: (
            gamma * (x - mean) / np.sqrt(var + eps) + beta
        ),
        "layernorm": lambda x, gamma, beta, *, eps=1e-5: gamma * standardised(x, 1, eps) + beta,
        "spatial_batchnorm": lambda x, gamma, beta, *, eps=1e-5: (
            by_channel(gamma) * standardised(x, (0, 2, 3), eps) + by_channel(beta)
        ),
        "spatial_groupnorm": groupnorm,
    }


def _windows(jax: Any) -> dict[str, Callable[..., Any]]:
    lax, np = jax.lax, jax.numpy

    def conv(x: Any, w: Any, b: Any, *, stride: int = 1, pad: int = 0) -> Any:
        return (
            lax.conv(np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))), w, (stride, stride), "VALID")
            + (b[:, None, None])
        )

    def pooled(x: Any, start: Any, join: Any, height: int, width: int, stride: int) -> Any:
        return lax.reduce_window(x, start, join, (1, 1, height, width), (1, 1, stride, stride), "VALID")

    return {
        "conv": conv,
        "max_pool": lambda x, *, pool_height=2, pool_width=2, stride=2: pooled(
            x, -np.inf, lax.max, pool_height, pool_width, stride
        ),
        "avg_pool": lambda x, *, pool_height=2, pool_width=2, stride=2: (
            pooled(x, 0.0, lax.add, pool_height, pool_width, stride) / (pool_height * pool_width)
        ),
    }


def _losses(jax: Any) -> dict[str, Callable[..., Any]]:
    nn, np = jax.nn, jax.numpy

    def svm(x: Any, y: Any) -> Any:
        rows = np.arange(len(x))
        margins = nn.relu(x - x[rows, y][:, None] + 1).at[rows, y].set(0.0)
        return margins.sum() / len(x)

    return {
        "softmax_loss": lambda x, y: -nn.log_softmax(x)[np.arange(len(x)), y].mean(),
        "svm_loss": svm,
        "logistic_loss": lambda x, y: np.where(y == 1, nn.softplus(-x), nn.softplus(x)).mean(),
        "squared_loss": lambda x, y: 0.5 * ((x - y) ** 2).sum() / len(x),
    }
