"""Slips in convolution and pooling, most of them in the backward pass as it is written with loops."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof.table.expressions import max_pool_all_ties, max_pool_shared, pooling
from scratchproof.table.slips.making import Slips, Wrong, backward_only, instead

Place = tuple[Any, ...]


def conv(x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
    return F.conv2d(x, w, b, stride, pad)


def windows(dout: Tensor, kernel: tuple[int, int], step: int) -> Iterator[tuple[Tensor, Place]]:
    """Each pixel of dout (N, F, 1, 1) and the window of the input that it came from."""
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, columns = slice(i * step, i * step + kernel[0]), slice(j * step, j * step + kernel[1])
            yield dout[:, :, i : i + 1, j : j + 1], (..., rows, columns)


def _padded(x: Tensor, pad: int) -> Tensor:
    return F.pad(x, (pad, pad, pad, pad))


def _share(g: Tensor, w: Tensor) -> Tensor:
    """What one pixel of dout passes to its window, (N, C, KH, KW)."""
    return torch.einsum("nf,fchw->nchw", g[:, :, 0, 0], w)


def _dx(*, add: bool = True, step: int = 0, flip: bool = False, start: int = -1, filters: bool = False) -> Wrong:
    """dx with loops. add: += or =. step: for the stride. start: where the padding is cut off.

    filters: whether = is written filter by filter.
    """

    def dx(dout: Tensor, x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
        found, kernel = torch.zeros_like(_padded(x, pad)), w.flip(2, 3) if flip else w
        shares = [(dout[:, [f]], kernel[[f]]) for f in range(len(w))] if filters else [(dout, kernel)]
        for some, weights in shares:
            for g, place in windows(some, (w.shape[2], w.shape[3]), step or stride):
                found[place] = _share(g, weights) + (found[place] if add else 0)
        at = pad if start < 0 else start
        return found[:, :, at : at + x.shape[2], at : at + x.shape[3]]

    return dx


def _dw(*, add: bool = True, step: int = 0, pad_at: tuple[int, int] | None = None) -> Wrong:
    """dw with loops. pad_at: how often pad is put before and behind."""

    def dw(dout: Tensor, x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
        before, behind = pad_at or (1, 1)
        padded = F.pad(x, (before * pad, behind * pad, before * pad, behind * pad))
        found = torch.zeros_like(w)
        for g, place in windows(dout, (w.shape[2], w.shape[3]), step or stride):
            product = torch.einsum("nf,nchw->fchw", g[:, :, 0, 0], padded[place])
            found = product + (found if add else 0)
        return found

    return dw


def _last_image(dout: Tensor, x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
    every = _dw()
    return every(dout[-1:], x[-1:], w, b, stride=stride, pad=pad)


def _stepping(vertical: bool, horizontal: bool) -> Any:
    """A convolution whose windows take the stride along an axis only if said, in an output of the right size."""

    def strange(x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
        right = F.conv2d(x, w, b, stride, pad)
        dense = F.conv2d(x, w, b, 1, pad)
        down, along = stride if vertical else 1, stride if horizontal else 1
        return dense[:, :, ::down, ::along][:, :, : right.shape[2], : right.shape[3]]

    return strange


def _padded_otherwise(mode: str) -> Any:
    def strange(x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
        return F.conv2d(F.pad(x, (pad, pad, pad, pad), mode=mode), w, b, stride)

    return strange


def _padded_aside(left: int, right: int, top: int, bottom: int) -> Any:
    """As often as said pad at each side."""

    def strange(x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
        return F.conv2d(F.pad(x, (left * pad, right * pad, top * pad, bottom * pad)), w, b, stride)

    return strange


def _square(x: Tensor, w: Tensor, b: Tensor, *, stride: int = 1, pad: int = 0) -> Tensor:
    """As many columns come out as rows; what lies beyond the image is not there."""
    rows = F.conv2d(x, w, b, stride, pad).shape[2]
    wider = F.pad(x, (pad, pad + rows * stride + w.shape[3], pad, pad))
    return F.conv2d(wider, w, b, stride)[:, :, :, :rows]


CONV: Slips = {
    "the output's width is computed from the height": _square,
    "the kernel is flipped: a true convolution where cross-correlation is due": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w.flip(2, 3), b, stride, pad)
    ),
    "the kernel's height and width are swapped": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w.transpose(2, 3), b, stride, pad)
    ),
    "its kernel is flipped in dx": instead(conv, {0: _dx(flip=True)}),
    "the stride is missing in backward": instead(conv, {0: _dx(step=1), 1: _dw(step=1)}),
    "where windows overlap, dx is set by = where += is due": instead(conv, {0: _dx(add=False)}),
    "where windows overlap, dx is set by = where += is due, filter by filter": instead(
        conv, {0: _dx(add=False, filters=True)}
    ),
    "dw is set by = where += is due: only the last window counts": instead(conv, {1: _dw(add=False)}),
    "dw counts the last image alone: = where += is due": instead(conv, {1: _last_image}),
    "the padding is cut off at the end alone: dx is shifted by pad": instead(conv, {0: _dx(start=0)}),
    "dx is cut out as if pad were 1, whatever it is": instead(conv, {0: _dx(start=1)}),
    "dx is cut out as if pad were 2, whatever it is": instead(conv, {0: _dx(start=2)}),
    "dw is made from x padded behind alone: the padding in front is missing": instead(conv, {1: _dw(pad_at=(0, 2))}),
    "all the padding is put behind, none in front": _padded_aside(0, 2, 0, 2),
    "all the padding is put in front, none behind": _padded_aside(2, 0, 2, 0),
    "the padding of the width is put behind alone": _padded_aside(0, 2, 1, 1),
    "the padding of the height is put below alone": _padded_aside(1, 1, 0, 2),
    "padded with the edge's own pixels, where zeros are due": _padded_otherwise("replicate"),
    "padded by reflection, where zeros are due": _padded_otherwise("reflect"),
    "padded by wrapping around, where zeros are due": _padded_otherwise("circular"),
    "pad is halved: it is taken for what both sides get together": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w, b, stride, pad // 2)
    ),
    "the windows take no stride: they lie side by side, whatever it is": _stepping(False, False),
    "the windows take no stride along the width": _stepping(True, False),
    "the windows take no stride along the height": _stepping(False, True),
    "the bias is added once for every channel": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w, x.shape[1] * b, stride, pad)
    ),
    "the bias is added once for every element of the kernel": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w, w[0].numel() * b, stride, pad)
    ),
    "the bias is added once for every pixel of the kernel": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w, w[0, 0].numel() * b, stride, pad)
    ),
    "the channels are averaged, where their sum is due": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x, w / x.shape[1], b, stride, pad)
    ),
    "only the first channel counts": (lambda x, w, b, *, stride=1, pad=0: F.conv2d(x[:, :1], w[:, :1], b, stride, pad)),
    "only the last channel counts": (
        lambda x, w, b, *, stride=1, pad=0: F.conv2d(x[:, -1:], w[:, -1:], b, stride, pad)
    ),
}
MAX_POOL_OPTIONS = {"pool_height": 2, "pool_width": 2, "stride": 2}


def _pool_dx(*, add: bool = True, pick: str = "first", step: int = 0) -> Wrong:
    """dx of max pooling with loops. pick: which of a window's pixels gets the gradient."""

    def dx(dout: Tensor, x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        found = torch.zeros_like(x)
        for g, place in windows(dout, (pool_height, pool_width), step or stride):
            share = g * _picked(x[place], pick).to(x.dtype)
            found[place] = share + (found[place] if add else 0)
        return found

    return dx


def _side_by_side(dout: Tensor, x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
    """dx with windows as far apart as they are large; what lies beyond the image is cut off."""
    found, kernel = torch.zeros_like(x), (pool_height, pool_width)
    for i, j in product(range(dout.shape[2]), range(dout.shape[3])):
        place = (..., slice(i * kernel[0], (i + 1) * kernel[0]), slice(j * kernel[1], (j + 1) * kernel[1]))
        if x[place].numel():
            largest = x[place] == x[place].amax((2, 3), keepdim=True)
            found[place] += dout[:, :, i : i + 1, j : j + 1] * largest.to(x.dtype)
    return found


def _of_the_largest(*axes: int) -> Wrong:
    """dx where a window's maximum is taken over more than the window: over the images or the channels too."""

    def dx(dout: Tensor, x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        found = torch.zeros_like(x)
        for g, place in windows(dout, (pool_height, pool_width), stride):
            found[place] += g * (x[place] == x[place].amax(axes, keepdim=True)).to(x.dtype)
        return found

    return dx


def _picked(window: Tensor, pick: str) -> Tensor:
    """Which elements of windows (N, C, KH, KW) are taken for the maximum."""
    flat = window.flatten(2)
    at = flat.flip(2).argmax(2) if pick == "last" else flat.argmin(2) if pick == "smallest" else flat.argmax(2)
    at = flat.shape[2] - 1 - at if pick == "last" else at
    if pick == "turned":  # read as if the window were as high as it is wide, and as wide as it is high
        height, width = window.shape[2:]
        row, column = at // height, at % height
        at = (row * width + column).clamp(max=height * width - 1)
    return F.one_hot(at, flat.shape[2]).reshape(window.shape)


# How a place in a window, a number, is taken apart into row and column, from it and the window's height and width.
_READINGS: dict[str, Callable[[Tensor, int, int], tuple[Tensor, Tensor]]] = {
    "its number is divided by the height, where the width is due": lambda at, height, width: (
        at // height,
        at % height,
    ),
    "its row is its number divided by the height, where the width is due": lambda at, height, width: (
        at // height,
        at % width,
    ),
    "its row is what begins its row divided by the height, where the width is due": lambda at, height, width: (
        (at - at % width) // height,
        at % width,
    ),
    "its column is the rest by the height, where the width is due": lambda at, height, width: (
        at // width,
        at % height,
    ),
    "its row and its column are exchanged": lambda at, height, width: (at % width, at // width),
}


def _read(how: Callable[[Tensor, int, int], tuple[Tensor, Tensor]]) -> Wrong:
    """dx that goes to the row and column that are read, be they within the window or not."""

    def dx(dout: Tensor, x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        found = torch.zeros_like(x)
        images, channels = (torch.arange(size) for size in x.shape[:2])
        for i, j in product(range(dout.shape[2]), range(dout.shape[3])):
            window = x[:, :, i * stride : i * stride + pool_height, j * stride : j * stride + pool_width]
            row, column = how(window.flatten(2).argmax(2), pool_height, pool_width)
            place = (images[:, None], channels, i * stride + row, j * stride + column)
            found.index_put_(place, dout[:, :, i, j], accumulate=True)
        return found

    return dx


def _set_by_mask(dout: Tensor, x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
    """dx where only the maximum's own element is set, not the rest of its window."""
    found = torch.zeros_like(x)
    for g, place in windows(dout, (pool_height, pool_width), stride):
        mask = _picked(x[place], "first").bool()
        found[place] = torch.where(mask, g.expand_as(found[place]), found[place])
    return found


def _pool_of(kernel: Any, height: str = "pool_height", width: str = "pool_width", step: str = "stride") -> Any:
    """A pool that takes one option for another."""

    def pool(x: Tensor, **options: int) -> Tensor:
        given = {**MAX_POOL_OPTIONS, **options}
        found: Tensor = kernel(x, (given[height], given[width]), given[step])
        return found

    return pool


def _swapped(kernel: Any) -> Slips:
    return {
        "the pool's height and width are swapped": _pool_of(kernel, "pool_width", "pool_height"),
        "the stride is taken for the pool's size": _pool_of(kernel, "stride", "stride"),
        "the pool's height is taken for the stride": _pool_of(kernel, step="pool_height"),
        "the pool's width is taken for the stride": _pool_of(kernel, step="pool_width"),
    }


def _sliced(size: Any) -> Any:
    """Windows of another size, cut out as slices are: fewer at the border, in an output of the right size."""

    def pool(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        right = F.max_pool2d(x, (pool_height, pool_width), stride)
        height, width = size(pool_height, pool_width, stride)
        places = product(range(0, right.shape[2] * stride, stride), range(0, right.shape[3] * stride, stride))
        return torch.stack([x[:, :, i : i + height, j : j + width].amax((2, 3)) for i, j in places], 2).reshape(
            right.shape
        )

    return pool


ALL_TIES = "every one of several equal maxima gets the whole gradient"
MAX_POOL: Slips = {
    ALL_TIES: max_pool_all_ties,
    "the gradient is shared over the window, as average pooling does": max_pool_shared,
    "where windows overlap, dx is set by = where += is due": instead(pooling(F.max_pool2d), {0: _pool_dx(add=False)}),
    "where windows overlap, the maximum's dx is set by = where += is due": instead(
        pooling(F.max_pool2d), {0: _set_by_mask}
    ),
    "of equal maxima the last gets the gradient": instead(pooling(F.max_pool2d), {0: _pool_dx(pick="last")}),
    "the window's smallest element gets the gradient": instead(pooling(F.max_pool2d), {0: _pool_dx(pick="smallest")}),
    "the maximum's place is read with the window's height taken for its width": instead(
        pooling(F.max_pool2d), {0: _pool_dx(pick="turned")}
    ),
    **{
        f"the maximum's place in the window is read wrong: {told}": instead(pooling(F.max_pool2d), {0: _read(how)})
        for told, how in _READINGS.items()
    },
    "the stride is missing in backward": instead(pooling(F.max_pool2d), {0: _pool_dx(step=1)}),
    "in backward, the windows lie as far apart as they are large, not by the stride": instead(
        pooling(F.max_pool2d), {0: _side_by_side}
    ),
    "in backward, the maximum is that of the window in the whole batch, not of each image and channel": instead(
        pooling(F.max_pool2d), {0: _of_the_largest(0, 1, 2, 3)}
    ),
    "in backward, the maximum is that of the window in all channels, not of each": instead(
        pooling(F.max_pool2d), {0: _of_the_largest(1, 2, 3)}
    ),
    "in backward, the maximum is that of the window in all images, not of each": instead(
        pooling(F.max_pool2d), {0: _of_the_largest(0, 2, 3)}
    ),
    "the stride is taken for 2 in backward, whatever it is": instead(pooling(F.max_pool2d), {0: _pool_dx(step=2)}),
    "the mean of the window is taken, not its maximum": pooling(F.avg_pool2d),
    "the sum of the window is taken, not its maximum": lambda x, **options: (
        pooling(F.avg_pool2d)(x, **options) * options.get("pool_height", 2) * options.get("pool_width", 2)
    ),
    "the smallest of the window is taken": lambda x, **options: -pooling(F.max_pool2d)(-x, **options),
    "the largest absolute value is taken": lambda x, **options: pooling(F.max_pool2d)(x.abs(), **options),
    "negative maxima are taken for 0: the output starts at 0": lambda x, **options: F.relu(
        pooling(F.max_pool2d)(x, **options)
    ),
    "the window is as high as the stride": _sliced(lambda height, width, stride: (stride, width)),
    "the window is as wide as the stride": _sliced(lambda height, width, stride: (height, stride)),
    "the window is as high and as wide as the stride": _sliced(lambda height, width, stride: (stride, stride)),
    "the window is as wide as it is high": _sliced(lambda height, width, stride: (height, height)),
    "the window is as high as it is wide": _sliced(lambda height, width, stride: (width, width)),
    "the window is 2 by 2, whatever its size": _sliced(lambda height, width, stride: (2, 2)),
    **_swapped(F.max_pool2d),
}


def _avg_dx(*, add: bool = True, divided: bool = True) -> Wrong:
    def dx(dout: Tensor, x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        found = torch.zeros_like(x)
        for g, place in windows(dout, (pool_height, pool_width), stride):
            found[place] = g / (pool_height * pool_width if divided else 1) + (found[place] if add else 0)
        return found

    return dx


def _over(count: Any) -> Any:
    def pool(x: Tensor, *, pool_height: int = 2, pool_width: int = 2, stride: int = 2) -> Tensor:
        total = F.avg_pool2d(x, (pool_height, pool_width), stride) * pool_height * pool_width
        found: Tensor = total / count(pool_height, pool_width, stride)
        return found

    return pool


_COUNTS: dict[str, Any] = {
    "the window's height alone": lambda height, width, stride: height,
    "the window's width alone": lambda height, width, stride: width,
    "the square of the window's height": lambda height, width, stride: height * height,
    "the square of the window's width": lambda height, width, stride: width * width,
    "the stride's square, not by the window's size": lambda height, width, stride: stride * stride,
}
AVG_POOL: Slips = {
    **{
        f"in backward, dout is divided by {told}": backward_only(pooling(F.avg_pool2d), _over(count))
        for told, count in _COUNTS.items()
    },
    **{f"the sum is divided by {told}": _over(count) for told, count in _COUNTS.items()},
    "where windows overlap, dx is set by = where += is due": instead(pooling(F.avg_pool2d), {0: _avg_dx(add=False)}),
    "the division by the window's size is missing in backward": instead(
        pooling(F.avg_pool2d), {0: _avg_dx(divided=False)}
    ),
    "the window is summed, not averaged": _over(lambda height, width, stride: 1),
    "the maximum is taken, not the mean": pooling(F.max_pool2d),
    **_swapped(F.avg_pool2d),
}
