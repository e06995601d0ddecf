"""Seventeen mistakes that students of CS231n make, each planted in an otherwise right pair of functions.

A mistake is data: the functions that contain it, and a key word of the cause that the exam should name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import Layer, row

Array = NDArray[Any]
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """name: what was done wrong. layer: the row of the table. names: a word of the cause, "" where none has a name.

    convention: whether it is a right answer under another convention, due a note and not a FAIL.
    """

    name: str
    layer: str
    functions: Functions
    names: str = ""
    convention: bool = False

    @property
    def row(self) -> Layer:
        return row(self.layer)

    @property
    def subject(self) -> ModuleSubject:
        module = ModuleType("mistake")
        vars(module).update(self.functions)
        return ModuleSubject(name=self.name, module=module)


def affine(*, order: bool = False, mean: bool = False, reshape: bool = True) -> Functions:
    """An affine pair. order: dw as doutᵀ x. mean: db as a mean. reshape: whether dx gets x's shape."""

    def affine_backward(dout: Array, cache: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        x, w = cache
        rows = x.reshape(len(x), w.shape[0])
        dx, dw = dout @ w.T, rows.T @ dout
        db = dout.mean(0) if mean else dout.sum(0)
        return dx.reshape(x.shape) if reshape else dx, dw.T if order else dw, db

    def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
        return x.reshape(len(x), w.shape[0]) @ w + b, (x, w)

    return {"affine_forward": affine_forward, "affine_backward": affine_backward}


def relu(backward: Callable[[Array, Array], Array]) -> Functions:
    return {"relu_forward": lambda x: (np.maximum(x, 0), x.copy()), "relu_backward": backward}


def overwritten(dout: Array, x: Array) -> Array:
    x[x <= 0] = 0
    x[x > 0] = 1
    return dout * x


def softmax(*, shift: bool = True, divide: bool = True) -> Functions:
    """softmax_loss. shift: whether exp is kept from overflow. divide: whether dx is divided by N."""

    def softmax_loss(x: Array, y: Array) -> tuple[Any, Array]:
        rows = np.arange(len(x))
        powers = np.exp(x - x.max(1, keepdims=True) if shift else x)
        probs = powers / powers.sum(1, keepdims=True)
        loss = -np.log(probs[rows, y]).mean() if not shift else scratch.softmax_loss(x, y)[0]
        dx = probs.copy()
        dx[rows, y] -= 1
        return loss, dx / len(x) if divide else dx

    return {"softmax_loss": softmax_loss}


def svm(*, right_class: bool = True, itself: bool = False, closed: bool = False) -> Functions:
    """svm_loss. right_class: its term in dx. itself: y's own margin is counted. closed: margin >= 0 passes."""

    def svm_loss(x: Array, y: Array) -> tuple[Any, Array]:
        rows = np.arange(len(x))
        margins = x - x[rows, y][:, None] + 1
        if not itself:
            margins[rows, y] = -1
        mask = (margins >= 0 if closed else margins > 0).astype(x.dtype)
        if right_class:
            mask[rows, y] -= mask.sum(1)
        return np.maximum(margins, 0).sum() / len(x), mask / len(x)

    return {"svm_loss": svm_loss}


def batchnorm(*, statistics: bool = True, ddof: int = 0) -> Functions:
    """A batch-norm pair. statistics: whether dx flows through mean and variance. ddof: 1 for the unbiased variance."""

    def batchnorm_forward(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, Any]:
        std = np.sqrt(x.var(0, ddof=ddof) + eps)
        normed = (x - x.mean(0)) / std
        return gamma * normed + beta, (normed, gamma, std)

    def batchnorm_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
        normed, gamma, std = cache
        dnormed = dout * gamma
        if statistics:
            through_var = normed * (dnormed * normed).sum(0) / (len(dout) - ddof)
            dnormed = dnormed - dnormed.mean(0) - through_var
        return dnormed / std, (dout * normed).sum(0), dout.sum(0)

    return {"batchnorm_forward": batchnorm_forward, "batchnorm_backward": batchnorm_backward}


def conv(*, flip: bool = False, strided: bool = True, strip: bool = True) -> Functions:
    """A convolution pair. flip: dx from the flipped kernel. strided: backward steps by the stride.

    strip: whether dx loses its padding.
    """

    def conv_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
        x, w, stride, pad = cache
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        dx, dw = np.zeros_like(padded), np.zeros_like(w)
        kernel = w[:, :, ::-1, ::-1] if flip else w
        step = stride if strided else 1
        height, width = w.shape[2:]
        for i, j in np.ndindex(dout.shape[2:]):
            window = (..., slice(i * step, i * step + height), slice(j * step, j * step + width))
            dw += np.einsum("nf,nchw->fchw", dout[:, :, i, j], padded[window])
            dx[window] += np.einsum("nf,fchw->nchw", dout[:, :, i, j], kernel)
        if strip and pad:
            dx = dx[:, :, pad:-pad, pad:-pad]
        return dx, dw, dout.sum((0, 2, 3))

    def conv_forward(x: Array, w: Array, b: Array, *, stride: int = 1, pad: int = 0) -> tuple[Array, Any]:
        return scratch.conv_forward(x, w, b, stride=stride, pad=pad)[0], (x, w, stride, pad)

    return {"conv_forward": conv_forward, "conv_backward": conv_backward}


def max_pool() -> Functions:
    """A max-pool pair whose gradient goes to every element that equals the maximum."""

    def max_pool_forward(x: Array, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> tuple[Array, Any]:
        options = {"pool_height": pool_height, "pool_width": pool_width, "stride": stride}
        return scratch.max_pool_forward(x, **options)[0], (x, pool_height, pool_width, stride)

    def max_pool_backward(dout: Array, cache: Any) -> Array:
        x, height, width, stride = cache
        dx: Array = np.zeros_like(x)
        for i, j in np.ndindex(dout.shape[2:]):
            place = (..., slice(i * stride, i * stride + height), slice(j * stride, j * stride + width))
            mask = x[place] == x[place].max((2, 3), keepdims=True)
            dx[place] += mask * dout[:, :, i : i + 1, j : j + 1]
        return dx

    return {"max_pool_forward": max_pool_forward, "max_pool_backward": max_pool_backward}


MISTAKES: tuple[Mistake, ...] = (
    Mistake(name="dw as dout^T x", layer="affine", functions=affine(order=True), names="transpose"),
    Mistake(name="db a mean, not a sum", layer="affine", functions=affine(mean=True), names="too small"),
    Mistake(name="dx not in x's shape", layer="affine", functions=affine(reshape=False), names="shape"),
    Mistake(name="mask from dout", layer="relu", functions=relu(lambda dout, x: dout * (dout > 0)), names="dout"),
    Mistake(name="x >= 0", layer="relu", functions=relu(lambda dout, x: dout * (x >= 0)), convention=True),
    Mistake(name="cache overwritten", layer="relu", functions=relu(overwritten), names="overwrit"),
    Mistake(name="no shift before exp", layer="softmax_loss", functions=softmax(shift=False), names="maximum"),
    Mistake(name="dx not divided by N", layer="softmax_loss", functions=softmax(divide=False), names="division by N"),
    Mistake(name="right class left out", layer="svm_loss", functions=svm(right_class=False), names="right|correct"),
    Mistake(name="y's own margin counted", layer="svm_loss", functions=svm(itself=True), names="itself|own"),
    Mistake(name="margin >= 0", layer="svm_loss", functions=svm(closed=True), convention=True),
    Mistake(name="mean, var constant", layer="batchnorm", functions=batchnorm(statistics=False), names="variance"),
    Mistake(name="unbiased variance", layer="batchnorm", functions=batchnorm(ddof=1), names="N - 1"),
    Mistake(name="kernel flipped in dx", layer="conv", functions=conv(flip=True), names="flip"),
    Mistake(name="backward without stride", layer="conv", functions=conv(strided=False), names="stride"),
    Mistake(name="padding not stripped", layer="conv", functions=conv(strip=False), names="padding"),
    Mistake(name="every tie gets the gradient", layer="max_pool", functions=max_pool(), names="equal maxima"),
)
