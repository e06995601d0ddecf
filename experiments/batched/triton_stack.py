"""A stack of nets whose weights are read once and written once a step: two passes, where separate products take more.

A program owns a block of hidden units. For every block of features it adds the update of step t to V, writes V back,
and multiplies it, still in registers, into the hidden units of step t + 1. No GPU has confirmed it yet; with
TRITON_INTERPRET=1 in the environment it runs on CPU tensors, slowly, and is tested that way.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .torch_stack import TorchStack


@triton.jit  # type: ignore[untyped-decorator]
def _update_and_forward(  # type: ignore[no-untyped-def]
    v, x, dh, ahead, z, units, rows, features: tl.constexpr,
    FEATURES: tl.constexpr, UNITS: tl.constexpr, ROWS: tl.constexpr, LOW: tl.constexpr, TF32: tl.constexpr,
    FACTOR: tl.constexpr,
):  # fmt: skip
    """V (features, units) += xᵀ dh; z (rows, units) = ahead @ V. All row-major and contiguous.

    LOW: factors are rounded to bfloat16. FACTOR: the dtype that they are multiplied in.
    """
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    row = tl.arange(0, ROWS)
    precision: tl.constexpr = "tf32" if TF32 else "ieee"
    here = (row[:, None] < rows) & (unit[None, :] < units)
    # 64-bit offsets: a thousand nets of width 100 and 3,072 features have 307 million weights
    places = row[:, None].to(tl.int64) * units + unit[None, :]
    move = tl.load(dh + places, mask=here, other=0.0)
    if LOW:
        move = move.to(tl.bfloat16).to(FACTOR)
    total = tl.zeros((ROWS, UNITS), tl.float32)
    for start in range(0, features, FEATURES):
        feature = start + tl.arange(0, FEATURES)
        inside = (feature[:, None] < features) & (unit[None, :] < units)
        weight = v + feature[:, None].to(tl.int64) * units + unit[None, :]
        seen = (row[:, None] < rows) & (feature[None, :] < features)
        pixel = row[:, None] * features + feature[None, :]
        block = tl.load(x + pixel, mask=seen, other=0.0)
        after = tl.load(ahead + pixel, mask=seen, other=0.0)
        if LOW:
            block, after = block.to(tl.bfloat16).to(FACTOR), after.to(tl.bfloat16).to(FACTOR)
        w = tl.load(weight, mask=inside, other=0.0) + tl.dot(tl.trans(block), move, input_precision=precision)
        tl.store(weight, w, mask=inside)
        w = w.to(tl.bfloat16).to(FACTOR) if LOW else w
        total += tl.dot(after, w, input_precision=precision)
    tl.store(z + places, total, mask=here)


class TritonStack(TorchStack):
    """TorchStack with update and next forward pass in one kernel. Minibatches of at most 256 rows."""

    def _update(self, X: Tensor, dh: Tensor) -> None:
        batch, units = dh.shape
        if batch > 256:
            raise ValueError(f"the batch has {batch} rows but the kernel holds at most 256")
        if self.precision == "float64":
            raise ValueError("the kernel computes in float32: use another engine for float64")
        width = 64
        low = self.precision == "bfloat16"
        # the interpreter keeps bfloat16 as bare bits and would multiply those; in float32 the products are the same
        factor = tl.bfloat16 if low and self._v.is_cuda else tl.float32
        kernel: Any = _update_and_forward
        kernel[(triton.cdiv(units, width),)](
            self._v, X, dh, self._next, self._z, units, batch, len(self._v),
            FEATURES=32, UNITS=width, ROWS=max(16, triton.next_power_of_2(batch)),
            LOW=low, TF32=self.precision == "tf32", FACTOR=factor, num_warps=4,
        )  # fmt: skip


def available() -> bool:
    """Whether the kernel can run here: on CUDA, or interpreted."""
    return torch.cuda.is_available() or bool(triton.knobs.runtime.interpret)
