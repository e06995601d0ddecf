"""Slips in the normalisation of images (N, C, H, W), by channels and by groups of channels."""

from collections.abc import Callable

from torch import Tensor

from scratchproof.table.expressions import pixels_of
from scratchproof.table.slips.making import Slips, instead
from scratchproof.table.slips.norms import BATCH, BATCHNORM, ROW, Parts, full_dx, rows_normalised
from scratchproof.vjp import Expression


def _pixels_unmoved(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return rows_normalised(x.reshape(-1, x.shape[1]), gamma, beta, eps=eps).reshape(x.shape)


def _unmoved_in(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    rows = rows_normalised(x.reshape(-1, x.shape[1]), gamma, beta, eps=eps)
    return rows.reshape(x.shape[0], *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)


def _unmoved_out(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    return rows_normalised(x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]), gamma, beta, eps=eps).reshape(x.shape)


def _exchanged(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    N, C, H, W = x.shape
    rows = rows_normalised(x.permute(0, 2, 3, 1).reshape(-1, C), gamma, beta, eps=eps)
    return rows.reshape(N, W, H, C).permute(0, 3, 2, 1)


def _by_image(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
    flat = x.flatten(1)
    return Parts(flat, BATCH, eps).normed.reshape(x.shape) * gamma[:, None, None] + beta[:, None, None]


def _moved_backward(order: tuple[int, ...], back: tuple[int, ...] | None) -> Expression:
    """Right forward; backward whose dout is moved otherwise than forward moved x."""
    right = pixels_of(rows_normalised)

    def gradients(dout: Tensor, x: Tensor, gamma: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        N, C, H, W = x.shape
        g = dout.permute(order).reshape(-1, C)
        p = Parts(x.permute(0, 2, 3, 1).reshape(-1, C), BATCH, eps)
        dx = full_dx(p, g * gamma)
        dx = dx.reshape(x.shape) if back is None else dx.reshape(N, H, W, C).permute(back)
        return dx, (g * p.normed).sum(0), g.sum(0)

    def wrong(which: int) -> Callable[..., Tensor]:
        return lambda dout, x, gamma, beta, eps=1e-5: gradients(dout, x, gamma, eps)[which]

    return instead(right, {0: wrong(0), 1: wrong(1), 2: wrong(2)})


def _of_images(count: Callable[[int, int, int], int]) -> Expression:
    """dx with another number of pixels of a channel than it has, from N, H and W."""

    def dx(dout: Tensor, x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float = 1e-5) -> Tensor:
        N, C, H, W = x.shape
        p = Parts(x.permute(0, 2, 3, 1).reshape(-1, C), BATCH, eps)
        g, told = dout.permute(0, 2, 3, 1).reshape(-1, C) * gamma, count(N, H, W)
        found = (told * g - g.sum(0) - p.normed * (g * p.normed).sum(0)) / (told * p.std)
        return found.reshape(N, H, W, C).permute(0, 3, 1, 2)

    return instead(pixels_of(rows_normalised), {0: dx})


_PIXELS: dict[str, Callable[[int, int, int], int]] = {
    "N": lambda N, H, W: N,
    "H * W": lambda N, H, W: H * W,
    "N * H": lambda N, H, W: N * H,
    "N * W": lambda N, H, W: N * W,
}
SPATIAL_BATCHNORM: Slips = {
    **{
        f"in backward, {told} stands for N * H * W, the number of pixels of a channel": _of_images(count)
        for told, count in _PIXELS.items()
    },
    **{sentence: pixels_of(expression) for sentence, expression in BATCHNORM.items()},
    "x is reshaped to (N*H*W, C) without moving its channels to the end first, and back likewise": _pixels_unmoved,
    "x is reshaped to (N*H*W, C) without moving its channels to the end first": _unmoved_in,
    "the output is reshaped to (N, C, H, W) without moving its channels back": _unmoved_out,
    "height and width are exchanged where the output is moved back": _exchanged,
    "the statistics are those of each pixel over the images, not of each channel": _by_image,
    "in backward, dout's channels are moved with height and width exchanged (0, 3, 2, 1)": _moved_backward(
        (0, 3, 2, 1), (0, 3, 1, 2)
    ),
    "in backward, dout is reshaped without moving its channels to the end": _moved_backward((0, 1, 2, 3), (0, 3, 1, 2)),
    "in backward, dx is reshaped without moving its channels back": _moved_backward((0, 2, 3, 1), None),
    "in backward, dout and dx are reshaped without moving their channels": _moved_backward((0, 1, 2, 3), None),
}


def _grouped(expression: Callable[[Tensor, int, float], Tensor]) -> Expression:
    """A normalised x, made from x, the number of groups and eps, scaled and shifted channel by channel."""

    def of_images(x: Tensor, gamma: Tensor, beta: Tensor, *, groups: int, eps: float = 1e-5) -> Tensor:
        scale, shift = (value.flatten()[:, None, None] for value in (gamma, beta))
        return expression(x, groups, eps) * scale + shift

    return of_images


def _group_rows(x: Tensor, groups: int, eps: float) -> Tensor:
    return Parts(x.reshape(len(x) * groups, -1), ROW, eps).normed.reshape(x.shape)


def _dealt(x: Tensor, groups: int, eps: float) -> Tensor:
    """Channel c belongs to group c mod groups."""
    N, C, H, W = x.shape
    dealt = x.reshape(N, C // groups, groups, H, W).transpose(1, 2)
    normed = Parts(dealt.reshape(N * groups, -1), ROW, eps).normed.reshape(dealt.shape)
    return normed.transpose(1, 2).reshape(x.shape)


def _dealt_back(x: Tensor, groups: int, eps: float) -> Tensor:
    N, C, H, W = x.shape
    return _group_rows(x, groups, eps).reshape(N, C // groups, groups, H, W).transpose(1, 2).reshape(x.shape)


def _group_dx(change: Callable[[Parts, Tensor, Tensor], Tensor]) -> Expression:
    def dx(dout: Tensor, x: Tensor, gamma: Tensor, beta: Tensor, *, groups: int, eps: float = 1e-5) -> Tensor:
        rows = len(x) * groups
        p = Parts(x.reshape(rows, -1), ROW, eps)
        scaled = dout * gamma.flatten()[:, None, None]
        return change(p, dout.reshape(rows, -1), scaled.reshape(rows, -1)).reshape(x.shape)

    return instead(_grouped(_group_rows), {0: dx})


def _of_channels(at: int, share: Callable[[Tensor, Tensor], Tensor]) -> Expression:
    """dgamma or dbeta as one sum over images, pixels and channels, from the normalised x and dout."""

    def gradient(dout: Tensor, *inputs: Tensor, groups: int, eps: float = 1e-5) -> Tensor:
        total = share(_group_rows(inputs[0], groups, eps), dout).sum()
        return total.expand(inputs[at].shape).clone()

    return instead(_grouped(_group_rows), {at: gradient})


def _by_count(count: Callable[[int, int, int], int]) -> Expression:
    """dx with another number of elements of a group than it has, from channels in a group, H and W."""

    def dx(dout: Tensor, x: Tensor, gamma: Tensor, beta: Tensor, *, groups: int, eps: float = 1e-5) -> Tensor:
        p = Parts(x.reshape(len(x) * groups, -1), ROW, eps)
        g = (dout * gamma.flatten()[:, None, None]).reshape(len(x) * groups, -1)
        channels, height, width = x.shape[1] // groups, *x.shape[2:]
        told, sums = count(channels, height, width), (g.sum(1, keepdim=True), (g * p.normed).sum(1, keepdim=True))
        return ((told * g - sums[0] - p.normed * sums[1]) / (told * p.std)).reshape(x.shape)

    return instead(_grouped(_group_rows), {0: dx})


_COUNTS: dict[str, Callable[[int, int, int], int]] = {
    "H * W elements, without the channels of a group": lambda channels, height, width: height * width,
    "the channels of a group times H elements, without W": lambda channels, height, width: channels * height,
    "the channels of a group times W elements, without H": lambda channels, height, width: channels * width,
    "as many elements as channels": lambda channels, height, width: channels,
}
GROUPNORM: Slips = {
    **{f"in backward, a group is taken to have {told}": _by_count(count) for told, count in _COUNTS.items()},
    "the groups are ignored: all channels are one group": _grouped(lambda x, groups, eps: _group_rows(x, 1, eps)),
    "every channel is a group of its own": _grouped(lambda x, groups, eps: _group_rows(x, x.shape[1], eps)),
    "the channels are dealt out to the groups: a group is to be of neighbours": _grouped(_dealt),
    "the channels come back in another order: dealt out to the groups": _grouped(_dealt_back),
    "gamma is missing in dx": _group_dx(lambda p, dout, scaled: full_dx(p, dout)),
    "the mean and the variance are treated as constants in backward": _group_dx(lambda p, dout, scaled: scaled / p.std),
    "the gradient's way through the variance is missing": _group_dx(
        lambda p, dout, scaled: (scaled - p.mean(scaled)) / p.std
    ),
    "the gradient's way through the mean is missing": _group_dx(
        lambda p, dout, scaled: (scaled - p.normed * p.mean(scaled * p.normed)) / p.std
    ),
    "dgamma is summed over everything, channels too": _of_channels(1, lambda p, dout: dout * p),
    "dbeta is summed over everything, channels too": _of_channels(2, lambda p, dout: dout),
}
