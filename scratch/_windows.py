"""The geometry that convolution and pooling share: output sizes, zero padding, what may be asked of them."""

import numpy as np

from ._types import Array


def output_size(size: int, window: int, *, stride: int, pad: int = 0) -> int:
    """How many windows fit along one axis: floor((size + 2 pad - window) / stride) + 1, as in torch.

    Raises: ValueError if the window is larger than the padded axis, or stride or pad make no sense.
    """
    if stride < 1:
        raise ValueError(f"stride is {stride} but must be at least 1")
    if pad < 0:
        raise ValueError(f"pad is {pad} but must be at least 0")
    if window < 1:
        raise ValueError(f"the window is {window} wide but must be at least 1")
    if size + 2 * pad < window:
        raise ValueError(f"a window of {window} does not fit into {size} pixels with padding {pad}")
    return (size + 2 * pad - window) // stride + 1


def require_images(x: Array, *, complex_too: bool = False) -> None:
    """Raise ValueError unless x is a batch of images (N, C, H, W) of floating dtype."""
    if x.ndim != 4:
        raise ValueError(f"x has shape {x.shape} but images need four axes (N, C, H, W)")
    if not np.issubdtype(x.dtype, np.inexact if complex_too else np.floating):
        raise ValueError(f"x is {x.dtype} but must be floating")


def require_cotangent(dout: Array, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    """Raise ValueError unless dout has the shape and the dtype of the output it belongs to."""
    if dout.shape != shape:
        raise ValueError(f"dout has shape {dout.shape} but the output has shape {shape}")
    if dout.dtype != dtype:
        raise ValueError(f"dout is {dout.dtype} but the output is {dtype}")


def pad_images(x: Array, pad: int) -> Array:
    """x (N, C, H, W) with `pad` zeros on each side of both image axes; x itself where pad is 0."""
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))) if pad else x


def taps(size: int, window: int, *, stride: int) -> list[slice]:
    """For each offset j in a window, the slice of an axis of `size` that all windows see at j."""
    count = output_size(size, window, stride=stride)
    return [slice(j, j + (count - 1) * stride + 1, stride) for j in range(window)]
