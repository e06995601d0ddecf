"""Other layouts than torch's: a truth, or a subject, as it looks to who keeps images or weights the other way."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

TorchFunction = Callable[..., Tensor]


def channels_last(function: TorchFunction) -> TorchFunction:
    """The same function of images (N, C, H, W) for images (N, H, W, C), in and out.

    >>> import torch
    >>> channels_last(torch.nn.functional.conv2d)(torch.ones(2, 5, 6, 3), torch.ones(4, 3, 2, 2)).shape
    torch.Size([2, 4, 5, 4])
    """
    return lambda x, *rest: function(x.movedim(-1, 1), *rest).movedim(1, -1)


def transposed(function: Callable[..., Any], place: int = 1) -> Callable[..., Any]:
    """The same function with the matrix at `place` among its arguments kept as its transpose: (in, out), not (out, in).

    >>> import torch
    >>> transposed(torch.nn.functional.linear)(torch.ones(4, 3), torch.ones(3, 5)).shape
    torch.Size([4, 5])
    """
    return lambda *given: function(*given[:place], given[place].mT, *given[place + 1 :])
