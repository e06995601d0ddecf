"""What convolution and pooling share: the geometry of windows, zero padding, and the memory order of images."""

import numpy as np

from ._types import Array
from ._validate import require_axes, require_floating


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
    count = (size + 2 * pad - window) // stride + 1
    if count < 1:
        raise ValueError(f"a window of {window} does not fit into {size} pixels with padding {pad}")
    return count


def require_images(x: Array) -> None:
    """x is a batch of images (N, C, H, W), floating."""
    require_floating("x", x)
    require_axes("x", x, "N, C, H, W")


def pad_images(x: Array, pad: int) -> Array:
    """x (N, C, H, W) with `pad` zeros on each side of both image axes; x itself where pad is 0."""
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))) if pad else x


def taps(size: int, window: int, *, stride: int) -> list[slice]:
    """For each offset j in a window, the slice of an axis of `size` that all windows see at j."""
    count = output_size(size, window, stride=stride)
    return [slice(j, j + (count - 1) * stride + 1, stride) for j in range(window)]


def rows_first(x: Array) -> Array:
    """Images (N, C, H, W) as (H, C, W, N), the inner layout: x's own memory if it lies so, else a copy."""
    inner = x.transpose(2, 1, 3, 0)
    if inner.flags.c_contiguous:
        return inner
    copy = np.empty(inner.shape, x.dtype)
    for c in range(x.shape[1]):  # a channel at a time: the whole transposed at once misses the cache
        copy[:, c] = inner[:, c]
    return copy


def images_first(inner: Array) -> Array:
    """The inner layout (H, C, W, N) shown as images (N, C, H, W), without a copy."""
    return inner.transpose(3, 1, 0, 2)
