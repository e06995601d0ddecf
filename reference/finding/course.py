"""What a course hands out and a lone file imports: its layers, by the course's names, computed by torch.

`fc_net.py` alone says nothing of its author's layers; with these it can be examined for what it does itself. The
exam does not take them for the author's own: see `theirs`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from scratchproof.table import expressions, nets
from scratchproof.vjp import PRECISIONS, Array, Expression, Precision, from_torch

Namespace = dict[str, Any]


def theirs(function: Any) -> bool:
    """Whether a function is its author's, and not one that stands in for what the author's file imports."""
    return not getattr(function, "stands_in", False)


def own(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, marked as ours: see `theirs`."""
    function.stands_in = True  # type: ignore[attr-defined]
    return function


def _precision(x: Array) -> Precision:
    return PRECISIONS["float32" if x.dtype == np.float32 else "float64"]


def _options(params: tuple[Any, ...], names: tuple[str, ...]) -> dict[str, Any]:
    given = {key: value for param in params if isinstance(param, Mapping) for key, value in param.items()}
    return {name: given[name] for name in names if name in given}


def _pair(name: str, expression: Expression, inputs: int, *options: str) -> Namespace:
    """name_forward(*inputs, *params) -> (out, cache) and name_backward(dout, cache), from a torch expression."""

    def forward(*args: Any) -> tuple[Array, Any]:
        arrays = {f"x{i}": np.asarray(value) for i, value in enumerate(args[:inputs])}
        compute = from_torch(expression, _precision(arrays["x0"]), options=_options(args[inputs:], options))
        out, pullback = compute(**arrays)
        return out.copy(), pullback

    return _named(name, forward)


def _named(name: str, forward: Callable[..., tuple[Array, Any]]) -> Namespace:
    def backward(dout: Array, cache: Any) -> Any:
        grads = tuple(grad.copy() for grad in cache(np.asarray(dout)).values())
        return grads[0] if len(grads) == 1 else grads

    suffixes = ("", "_naive", "_fast", "_im2col", "_strides", "_alt")
    found: Namespace = {}
    for suffix in suffixes:
        found |= {f"{name}_forward{suffix}": own(forward), f"{name}_backward{suffix}": own(backward)}
    return found


def _loss(expression: Expression) -> Callable[..., Any]:
    def loss(x: Array, y: Array, *_: Any) -> tuple[float, Array]:
        labels = np.asarray(y).astype(np.int64)  # torch indexes with no other whole numbers
        out, pullback = from_torch(expression, _precision(x))(x=x, y=labels)
        return float(out), pullback(np.ones_like(out))["x"].copy()

    return own(loss)


def _normalised(x: torch.Tensor, axis: int, eps: float) -> torch.Tensor:
    mean, var = x.mean(axis, keepdim=True), x.var(axis, correction=0, keepdim=True)
    return (x - mean) / torch.sqrt(var + eps)


def layernorm(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, *, eps: float = 1e-5) -> torch.Tensor:
    return gamma * _normalised(x, 1, eps) + beta


def _batchnorm(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> tuple[Array, Any]:
    """Batch norm in both modes, keeping its running statistics in `bn_param`."""
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    mean = bn_param.setdefault("running_mean", np.zeros(x.shape[1], dtype=x.dtype))
    var = bn_param.setdefault("running_var", np.zeros(x.shape[1], dtype=x.dtype))
    if bn_param["mode"] == "test":
        return gamma * (x - mean) / np.sqrt(var + eps) + beta, None
    bn_param["running_mean"] = momentum * mean + (1 - momentum) * x.mean(0)
    bn_param["running_var"] = momentum * var + (1 - momentum) * x.var(0)
    out, pullback = from_torch(expressions.batchnorm, _precision(x), options={"eps": eps})(x=x, gamma=gamma, beta=beta)
    return out.copy(), pullback


def _spatial_batchnorm(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> tuple[Array, Any]:
    rows = x.transpose(0, 2, 3, 1)
    out, pullback = _batchnorm(rows.reshape(-1, x.shape[1]), gamma, beta, bn_param)

    def back(dout: Array) -> dict[str, Array]:
        grads = pullback(np.ascontiguousarray(dout.transpose(0, 2, 3, 1)).reshape(-1, x.shape[1]))
        return {**grads, "x": grads["x"].reshape(rows.shape).transpose(0, 3, 1, 2)}

    return out.reshape(rows.shape).transpose(0, 3, 1, 2), back


def _dropout(x: Array, dropout_param: dict[str, Any]) -> tuple[Array, Any]:
    """Inverted dropout; p is the probability to keep, as the course has it since 2018."""
    mask = np.ones_like(x)
    if dropout_param["mode"] == "train":
        rng = np.random.default_rng(dropout_param.get("seed"))
        mask = (rng.random(x.shape) < dropout_param["p"]).astype(x.dtype) / x.dtype.type(dropout_param["p"])
    return x * mask, lambda dout: {"x": dout * mask}


def _sigmoid(x: Array) -> Array:
    return torch.sigmoid(torch.from_numpy(np.array(x))).numpy()


def im2col(x: Array, height: int, width: int, padding: int, stride: int) -> Array:
    """The windows of images (N, C, H, W) as columns (C * height * width, out_h * out_w * N)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), (2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(1, 4, 5, 2, 3, 0).reshape(x.shape[1] * height * width, -1).copy()


def col2im_6d(cols: Array, N: int, C: int, H: int, W: int, height: int, width: int, pad: int, stride: int) -> Array:
    """Columns (C, height, width, N, out_h, out_w) added up where their windows lie in images (N, C, H, W)."""
    x = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dtype=cols.dtype)
    down, along = cols.shape[4:]
    for i, j in np.ndindex(height, width):
        place = (..., slice(i, i + stride * down, stride), slice(j, j + stride * along, stride))
        x[place] += cols[:, i, j].transpose(1, 0, 2, 3)
    return x[:, :, pad : pad + H, pad : pad + W]


def col2im(cols: Array, N: int, C: int, H: int, W: int, height: int, width: int, pad: int, stride: int) -> Array:
    """The same for columns as `im2col` makes them."""
    down, along = (H + 2 * pad - height) // stride + 1, (W + 2 * pad - width) // stride + 1
    cols = cols.reshape(C, height, width, down, along, N).transpose(0, 1, 2, 5, 3, 4)
    return col2im_6d(cols, N, C, H, W, height, width, pad, stride)


def _col2im_of_shape(
    cols: Array, shape: tuple[int, int, int, int], height: int = 3, width: int = 3, padding: int = 1, stride: int = 1
) -> Array:
    N, C, H, W = shape
    return col2im(cols, N, C, H, W, height, width, padding, stride)


def _conv(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, *, stride: int = 1, pad: int = 0) -> torch.Tensor:
    convolved: torch.Tensor = F.conv2d(x, w, b, stride, pad)
    return convolved


_POOL = ("pool_height", "pool_width", "stride")
_pool = expressions.pooling(F.max_pool2d)


def _conv_relu_pool(x: Array, w: Array, b: Array, conv_param: Any, pool_param: Any) -> tuple[Array, Any]:
    def expression(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        convolved: torch.Tensor = F.relu(_conv(x, w, b, **_options((conv_param,), ("stride", "pad"))))
        pooled: torch.Tensor = _pool(convolved, **_options((pool_param,), _POOL))
        return pooled

    out, pullback = from_torch(expression, _precision(x))(x=x, w=w, b=b)
    return out.copy(), pullback


_affine = expressions.affine
_LAYERS: Namespace = {
    "np": np,
    **_pair("affine", _affine, 3),
    **_pair("relu", F.relu, 1),
    **_pair("affine_relu", lambda x, w, b: F.relu(_affine(x, w, b)), 3),
    **_pair("conv", _conv, 3, "stride", "pad"),
    **_pair("conv_relu", lambda *xwb, **options: F.relu(_conv(*xwb, **options)), 3, "stride", "pad"),
    **_named("conv_relu_pool", _conv_relu_pool),
    **_pair("max_pool", _pool, 1, *_POOL),
    **_pair("layernorm", layernorm, 3, "eps"),
    **_named("batchnorm", _batchnorm),
    **_named("spatial_batchnorm", _spatial_batchnorm),
    **_named("dropout", _dropout),
    "softmax_loss": _loss(F.cross_entropy),
    "svm_loss": _loss(nets.svm),
    "sigmoid": own(_sigmoid),
}
_IM2COL: Namespace = {
    "im2col_cython": im2col,
    "col2im_cython": col2im,
    "col2im_6d_cython": col2im_6d,
    "im2col_indices": lambda x, h, w, padding=1, stride=1: im2col(x, h, w, padding, stride),
    "col2im_indices": _col2im_of_shape,
}
for _function in _IM2COL.values():
    own(_function)

LAYERS = "layers"
# What the last part of a module's name promises.
COURSE: dict[str, Namespace] = {
    **dict.fromkeys((LAYERS, "layer_utils", "fast_layers", "layers_utils"), _LAYERS),
    **dict.fromkeys(("im2col", "im2col_cython"), _IM2COL),
}
