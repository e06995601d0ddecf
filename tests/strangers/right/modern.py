"""Annotations, dataclasses, match: Python as it is written today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


class AffineCache(NamedTuple):
    x: Array
    w: Array


@dataclass(slots=True)
class Kept:
    mask: Array


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, AffineCache]:
    return x.reshape(len(x), w.shape[0]) @ w + b, AffineCache(x, w)


def affine_backward(dout: Array, cache: AffineCache) -> tuple[Array, Array, Array]:
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), w.shape[0]).T @ dout, dout.sum(axis=0)


def relu_forward(x: Array) -> tuple[Array, Kept]:
    return np.maximum(x, 0), Kept(mask=x > 0)


def relu_backward(dout: Array, cache: Kept) -> Array:
    match cache:
        case Kept(mask=mask):
            return dout * mask
    raise TypeError(cache)


def softmax_loss(scores: Array, labels: Array) -> tuple[float, Array]:
    rows = np.arange(n := len(labels))
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_z = np.log(np.exp(shifted).sum(axis=1))
    grad = np.exp(shifted - log_z[:, None])
    grad[rows, labels] -= 1
    return float((log_z - shifted[rows, labels]).mean()), grad / n
