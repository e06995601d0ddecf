"""Who convolves and pools in the benchmark: forward and backward from the same images, kernels and cotangent.

NCHW stands for the shape: every rival is given images in the memory order it works in, and the rows named
"contiguous" show what it costs to be given the other one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from scratchproof import scratch

from .rivals import Contest

Array = NDArray[Any]
Rival = Callable[[], Any]


def convolution(
    channels: int,
    size: int,
    filters: int,
    kernel: int,
    stride: int,
    dtype: str,
    *,
    images: int = 50,
    need_dx: bool = True,
    textbook: bool = True,
) -> Contest:
    """Forward, then the gradients in x (unless not needed), w and b. Padding keeps the size, divided by the stride."""
    rng = np.random.default_rng(kernel + stride)
    pad = kernel // 2
    x, w, b = (
        rng.standard_normal(shape).astype(dtype)
        for shape in ((images, channels, size, size), (filters, channels, kernel, kernel), (filters,))
    )
    out, _ = scratch.conv_forward(x, w, b, stride=stride, pad=pad)
    dout = rng.standard_normal(out.shape).astype(dtype)
    options = {"stride": stride, "pad": pad}

    run: dict[str, Rival] = {
        "torch": _torch_conv(x, w, b, dout, options, need_dx, torch.contiguous_format),
        "torch, channels last": _torch_conv(x, w, b, dout, options, need_dx, torch.channels_last),
        "scratch": _conv(rows_in_memory(x), w, b, rows_in_memory(dout), options, need_dx),
        "scratch, contiguous": _conv(x, w, b, dout, options, need_dx),
    }
    if textbook:
        run["textbook NumPy"] = lambda: textbook_convolution(x, w, b, dout, stride, pad)
    answer = {name: _arrays(rival, need_dx) for name, rival in run.items()}
    run["the products alone"] = _products(x, w, out, stride, need_dx)
    name = f"conv {kernel}x{kernel} stride {stride}, C {channels} -> {filters}, {size}x{size}, {dtype}"
    products = 3 if need_dx else 2
    return Contest(
        name=name if need_dx else f"{name}, without dx",
        operations=2.0 * products * out.size * channels * kernel * kernel,
        run=run,
        answer=answer,
        terms=out.size // filters,
        given=x.nbytes + w.nbytes + b.nbytes + dout.nbytes,
    )


def rows_in_memory(a: Array) -> Array:
    """The same images (N, C, H, W), lying in memory as (H, C, W, N)."""
    return np.ascontiguousarray(a.transpose(2, 1, 3, 0)).transpose(3, 1, 0, 2)


def _conv(x: Array, w: Array, b: Array, dout: Array, options: dict[str, int], need_dx: bool) -> Rival:
    def run() -> tuple[Any, ...]:
        out, cache = scratch.conv_forward(x, w, b, **options)
        return out, *scratch.conv_backward(dout, cache, need_dx=need_dx)

    return run


def _torch_conv(x: Array, w: Array, b: Array, dout: Array, options: dict[str, int], need_dx: bool, order: Any) -> Rival:
    tx, tw, tdout = (torch.from_numpy(a).contiguous(memory_format=order) for a in (x, w, dout))
    tb = torch.from_numpy(b)
    leaves = [t.requires_grad_() for t in ((tx, tw, tb) if need_dx else (tw, tb))]

    def run() -> tuple[Any, ...]:
        out = F.conv2d(tx, tw, tb, stride=options["stride"], padding=options["pad"])
        grads = torch.autograd.grad(out, leaves, tdout)
        return out.detach(), *(grads if need_dx else (None, *grads))

    return run


def textbook_convolution(x: Array, w: Array, b: Array, dout: Array, stride: int, pad: int) -> tuple[Array, ...]:
    """im2col by fancy indices and its inverse by np.add.at: the form most write-ups have."""
    N, C, H, W = x.shape
    F_, _, KH, KW = w.shape
    OH, OW = dout.shape[2:]
    i = np.tile(np.repeat(np.arange(KH), KW), C)[:, None] + stride * np.repeat(np.arange(OH), OW)[None]
    j = np.tile(np.arange(KW), KH * C)[:, None] + stride * np.tile(np.arange(OW), OH)[None]
    k = np.repeat(np.arange(C), KH * KW)[:, None]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    columns = padded[:, k, i, j].transpose(1, 2, 0).reshape(KH * KW * C, -1)
    out = (w.reshape(F_, -1) @ columns + b[:, None]).reshape(F_, OH, OW, N).transpose(3, 0, 1, 2)
    flat = dout.transpose(1, 2, 3, 0).reshape(F_, -1)
    dw = (flat @ columns.T).reshape(w.shape)
    dcolumns = (w.reshape(F_, -1).T @ flat).reshape(C * KH * KW, -1, N).transpose(2, 0, 1)
    dpadded = np.zeros_like(padded)
    where: Any = slice(None), k, i, j
    np.add.at(dpadded, where, dcolumns)
    return out, dpadded[:, :, pad : pad + H, pad : pad + W], dw, dout.sum(axis=(0, 2, 3))


def _products(x: Array, w: Array, out: Array, stride: int, need_dx: bool) -> Rival:
    """The multiplications themselves, a row at a time, on operands that wait in the cache."""
    N, C, H, _ = x.shape
    F_, _, KH, KW = w.shape
    height, pixels = out.shape[2], out.shape[3] * N
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((KH * C * KW, pixels)).astype(x.dtype)
    kernels, row = w.reshape(F_, -1), rng.standard_normal((F_, pixels)).astype(x.dtype)
    taps = -(-KH // stride)
    turned, rows = rng.standard_normal((KW * C, taps * F_)).astype(x.dtype), np.tile(row, (taps, 1))
    dw, spread = np.empty((KH * C * KW, F_), x.dtype), np.empty((KW * C, pixels), x.dtype)

    def run() -> None:
        for _ in range(height):
            np.matmul(kernels, windows, out=row)
            np.matmul(windows, row.T, out=dw)
        for _ in range(H if need_dx else 0):
            np.matmul(turned, rows, out=spread)

    return run


# ---------------------------------------------------------------- pooling


def max_pooling(dtype: str = "float32", *, images: int = 100, channels: int = 32, size: int = 32) -> Contest:
    """2x2 max pooling of images after a rectifier, so half of the entries tie at zero; answers must be equal."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((images, channels, size, size)), 0).astype(dtype)
    dout = rng.standard_normal((images, channels, size // 2, size // 2)).astype(dtype)
    run: dict[str, Rival] = {
        "torch": _torch_pool(x, dout, torch.contiguous_format),
        "torch, channels last": _torch_pool(x, dout, torch.channels_last),
        "scratch": _pool(rows_in_memory(x), rows_in_memory(dout)),
        "scratch, contiguous": _pool(x, dout),
        "textbook NumPy": lambda: textbook_pooling(x, dout),
    }
    answer = {name: _arrays(rival, True) for name, rival in run.items()}
    name = f"max pooling 2x2, C {channels}, {size}x{size}, {dtype}"
    return Contest(name=name, operations=float(x.size), run=run, answer=answer, terms=0, given=x.nbytes + dout.nbytes)


def _pool(x: Array, dout: Array) -> Rival:
    def run() -> tuple[Array, Array]:
        out, cache = scratch.max_pool_forward(x)
        return out, scratch.max_pool_backward(dout, cache)

    return run


def _torch_pool(x: Array, dout: Array, order: Any) -> Rival:
    tx, tdout = (torch.from_numpy(a).contiguous(memory_format=order) for a in (x, dout))
    tx.requires_grad_()

    def run() -> tuple[Any, Any]:
        out = F.max_pool2d(tx, 2)
        return out.detach(), torch.autograd.grad(out, tx, tdout)[0]

    return run


def textbook_pooling(x: Array, dout: Array) -> tuple[Array, Array]:
    """Windows side by side, argmax, and a scatter to where it was."""
    N, C, H, W = x.shape
    windows = x.reshape(N, C, H // 2, 2, W // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 4)
    winners = np.argmax(windows, axis=1)
    rows = np.arange(len(windows))
    dwindows = np.zeros_like(windows)
    dwindows[rows, winners] = dout.ravel()
    dx = dwindows.reshape(N, C, H // 2, W // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(x.shape)
    return windows[rows, winners].reshape(dout.shape), dx


def _arrays(rival: Rival, need_dx: bool) -> Callable[[], list[Array]]:
    """The rival's answer; a textbook that always computes dx is not asked about it where nobody else is."""

    def answer() -> list[Array]:
        parts = list(rival())
        if not need_dx:
            del parts[1]
        return [np.asarray(part) for part in parts]

    return answer
