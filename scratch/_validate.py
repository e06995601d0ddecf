"""What every layer asks of its inputs: each helper returns quietly or raises one ValueError with fact and need.

The checks compare attributes only (labels: also their smallest and largest value), because a
training step passes through all of them and lasts a fraction of a millisecond.
"""

import math

import numpy as np

from ._types import Array

# NaN and infinity travel through the layers as they do through torch: silently. Used as a decorator.
quiet_nonfinite = np.errstate(over="ignore", invalid="ignore")


def require_floating(name: str, x: Array) -> None:
    """x is an array of a floating dtype (complex too: complex-step differentiation needs it)."""
    if not isinstance(x, np.ndarray | np.generic):
        raise ValueError(f"{name} is a {type(x).__name__} but must be a NumPy array")
    if x.dtype.kind not in "fc":
        raise ValueError(f"{name} is {x.dtype} but must be floating")


def require_one_dtype(**arrays: Array) -> None:
    """All arrays are floating and share the first one's dtype: a mixture would silently promote."""
    first = next(iter(arrays))
    dtype = getattr(arrays[first], "dtype", None)
    for name, array in arrays.items():
        require_floating(name, array)
        if array.dtype != dtype:
            raise ValueError(f"{name} is {array.dtype} but {first} is {dtype}: they must share one dtype")


def require_shape(name: str, x: Array, shape: tuple[int, ...], reason: str) -> None:
    """x has exactly this shape; `reason` says where the shape comes from."""
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape} but needs {shape}, {reason}")


def require_axes(name: str, x: Array, axes: str) -> None:
    """x has as many axes as the comma-separated letters of `axes`, such as "N, C"."""
    if x.ndim != axes.count(",") + 1:
        raise ValueError(f"{name} has shape {x.shape} but needs axes ({axes})")


def require_cotangent(dout: Array, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    """dout looks like the output it belongs to."""
    require_floating("dout", dout)
    if dout.shape != shape:
        raise ValueError(f"dout has shape {dout.shape} but the output has shape {shape}")
    if dout.dtype != dtype:
        raise ValueError(f"dout is {dout.dtype} but the output is {dtype}: they must share one dtype")


def require_rows(x: Array) -> None:
    """A mean over rows needs at least one of them."""
    if not x.shape[0]:
        raise ValueError(f"x has shape {x.shape} but a mean loss needs at least one row")


def require_labels(y: Array, rows: int, classes: int) -> None:
    """y holds one integer label a row, each in 0..classes-1."""
    if not isinstance(y, np.ndarray) or y.dtype.kind not in "iu":
        raise ValueError(f"y is {getattr(y, 'dtype', type(y).__name__)} but labels must be an integer array")
    if y.shape != (rows,):
        raise ValueError(f"y has shape {y.shape} but {rows} rows need labels of shape ({rows},)")
    if rows and (y.min() < 0 or y.max() >= classes):
        raise ValueError(f"y has labels in {y.min()}..{y.max()} but {classes} classes need 0..{classes - 1}")


def require_affine(x: Array, w: Array, b: Array) -> None:
    """x (N, ...), w (D, M) and b (M,) fit together, D the features of a row of x."""
    require_one_dtype(x=x, w=w, b=b)
    if not x.ndim:
        raise ValueError("x has shape () but needs axes (N, ...)")
    require_axes("w", w, "D, M")
    features = math.prod(x.shape[1:])
    if w.shape[0] != features:
        raise ValueError(f"w has {w.shape[0]} rows but x flattens to {features} features")
    require_shape("b", b, w.shape[1:], "one bias for each column of w")


def require_batchnorm(eps: float, **arrays: Array) -> None:
    """x (N, D) and its vectors (D,) fit together, and eps is positive."""
    require_one_dtype(**arrays)
    require_features(**arrays)
    if not eps > 0:
        raise ValueError(f"eps is {eps} but must be positive")


def require_features(x: Array, **vectors: Array) -> None:
    """x is (N, D) and every vector is (D,)."""
    require_axes("x", x, "N, D")
    for name, vector in vectors.items():
        require_shape(name, vector, x.shape[1:], "one value for each feature of x")
