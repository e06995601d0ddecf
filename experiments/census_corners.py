"""Corners at which torch itself is known to be wrong: each is asked anew in every census, and its thread named."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """What is asked, whether torch answers wrongly here, and what is known of it."""

    asked: str
    wrong: Callable[[], bool]
    known: str


def _gelu() -> bool:
    return bool(F.gelu(torch.full((16,), torch.inf)).isnan().any())


def _convolution() -> bool:
    """A nan at an output whose window holds neither the nan nor the infinity of the input, for some of eight seeds."""
    return any(_spread(torch.Generator().manual_seed(seed)) for seed in range(8))


def _spread(draw: torch.Generator) -> bool:
    x, w = torch.randn(2, 3, 8, 9, generator=draw), torch.randn(4, 3, 3, 3, generator=draw)
    places = torch.randint(x.numel(), (2,), generator=draw)
    x.view(-1)[places] = torch.tensor([torch.nan, torch.inf])
    x, w = x.bfloat16(), w.bfloat16()
    return bool((F.conv2d(x, w).isnan() & F.conv2d(x.double(), w.double()).isfinite()).any())


def _exponential() -> bool:
    return bool(torch.matrix_exp(0.01 * torch.eye(5, dtype=torch.bfloat16)).isnan().any())


CORNERS = (
    Corner(
        asked="gelu(+inf), many elements",
        wrong=_gelu,
        known="nan in float32 and bfloat16, by oneDNN: https://github.com/pytorch/pytorch/issues/185770",
    ),
    Corner(
        asked="conv2d in bfloat16 of an input with a nan and an infinity",
        wrong=_convolution,
        known="oneDNN spreads nan to other outputs; of products alike: https://github.com/uxlfoundation/oneDNN/issues/5717",
    ),
    Corner(
        asked="matrix_exp in bfloat16 of a small multiple of the identity",
        wrong=_exponential,
        known="nan, as of every small or large norm in half formats; no thread is known that says so, and "
        "https://github.com/pytorch/pytorch/issues/82282 tells how a norm in no interval leaves memory as it is",
    ),
)


def asked() -> list[dict[str, str | bool]]:
    """Every corner with what torch did here."""
    return [{"asked": one.asked, "wrong": one.wrong(), "known": one.known} for one in CORNERS]
