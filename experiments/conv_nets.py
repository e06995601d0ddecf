"""A net of two convolutions, put together from scratch's layers, and its torch.nn twin."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[Any]
Shape = tuple[int, int, int]
OUTPUT_SCALE = 0.3  # of what keeps the spread: the first scores are small, and the first loss near log C


class TwoConvNet(scratch.Net):
    """conv - pool - ReLU - conv - pool - ReLU - affine on images (N, C, H, W), trained with the softmax loss.

    Convolutions keep the size of the image, 2x2 max-pools halve it; the rectifier comes after the pool, which it
    commutes with, on a quarter of the numbers. params: W1 (F1, C, k, k), W2 (F2, F1, 3, 3), W3, Gaussian with
    variance 2 / fan-in, W3's deviation 0.3 of that; b1, b2, b3 zero. H and W are multiples of 4.
    """

    _criterion = staticmethod(scratch.softmax_loss)

    def __init__(
        self, image: Shape, filters: tuple[int, int], filter_size: int, classes: int, *, rng: np.random.Generator
    ) -> None:
        if filter_size % 2 != 1:
            raise ValueError(f"filter-size is {filter_size} but must be odd to keep the image's size")
        if image[1] % 4 or image[2] % 4:
            raise ValueError(f"images are {image[1]} x {image[2]} but two pools need multiples of 4")
        self.dtype, self.reg = np.dtype(np.float32), 0.0
        features = filters[1] * (image[1] // 4) * (image[2] // 4)
        shapes = ((filters[0], image[0], filter_size, filter_size), (filters[1], filters[0], 3, 3), (features, classes))
        self.params = {}
        for number, shape in enumerate(shapes, start=1):
            fan_in = features if number == 3 else int(np.prod(shape[1:]))
            scale = (2 / fan_in) ** 0.5 * (OUTPUT_SCALE if number == 3 else 1)
            self.params[f"W{number}"] = scratch.gaussian(shape, scale=scale, rng=rng, dtype=self.dtype)
            self.params[f"b{number}"] = np.zeros(shape[-1] if number == 3 else shape[0], self.dtype)

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        p, caches, out = self.params, [], X
        for number in (1, 2):
            w = p[f"W{number}"]
            out, conv = scratch.conv_forward(out, w, p[f"b{number}"], stride=1, pad=w.shape[2] // 2)
            out, pool = scratch.max_pool_forward(out)
            out, relu = scratch.relu_forward(out)
            caches.append((conv, pool, relu))
        scores, affine = scratch.affine_forward(out, p["W3"], p["b3"])
        return scores, (*caches, affine)

    def _backward(self, dscores: Array, cache: Any) -> dict[str, Array]:
        *caches, affine = cache
        grads = {}
        dout, grads["W3"], grads["b3"] = scratch.affine_backward(dscores, affine)
        for number in (2, 1):
            conv, pool, relu = caches[number - 1]
            da = scratch.max_pool_backward(scratch.relu_backward(dout, relu), pool)
            dout, grads[f"W{number}"], grads[f"b{number}"] = scratch.conv_backward(da, conv, need_dx=number > 1)
        return grads


def twin(net: TwoConvNet, image: Shape) -> "nn.Sequential":
    """The same net in torch.nn, its parameters still to be loaded."""
    from torch import nn

    filters, channels, size, _ = net.params["W1"].shape
    more, _, small, _ = net.params["W2"].shape
    children: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, filters, size, padding=size // 2),
        "pool1": nn.MaxPool2d(2),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(filters, more, small, padding=small // 2),
        "pool2": nn.MaxPool2d(2),
        "relu2": nn.ReLU(),
        "flatten": nn.Flatten(),
        "affine1": nn.Linear(*net.params["W3"].shape),
    }
    return nn.Sequential(OrderedDict(children))
