"""A stack of nets in torch, on the CPU or a GPU, where data, nets and the plan of the steps all live.

One step is one body of fixed shapes that reads its number from the device: on CUDA it is captured once as a graph
and replayed, so a step of many small kernels costs one launch. `precision` says what the wide products multiply:

- float32, float64: the weights themselves;
- tf32: float32 weights, rounded to TF32 by CUDA's matrix units;
- bfloat16: weights and factors rounded to bfloat16, summed in float32, added to float32 master weights.

What no GPU has confirmed yet: graphs, tf32, and bfloat16 products with `out_dtype` on CUDA.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .stack import Array, Group, Plan, Stack, Weights

PRECISIONS = ("float32", "float64", "tf32", "bfloat16")


class TorchStack(Stack):
    """The steps in torch without autograd: one wide product forward, one in-place `addmm_` for the update."""

    def __init__(
        self,
        weights: Weights,
        regs: Array,
        X: Array,
        y: Array,
        *,
        device: str = "cpu",
        precision: str = "float32",
        graphs: bool | None = None,
    ) -> None:
        """graphs: whether steps are captured as a CUDA graph, by default wherever the device is CUDA.

        Raises: ValueError for an unknown precision, or tf32 on a device without it.
        """
        if precision not in PRECISIONS:
            raise ValueError(f"no precision is called {precision!r}: choose {', '.join(PRECISIONS)}")
        if precision == "tf32" and device == "cpu":
            raise ValueError("tf32 is a format of CUDA's matrix units: use float32 or bfloat16 on the CPU")
        self.device, self.precision = torch.device(device), precision
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self._graphs = self.device.type == "cuda" if graphs is None else graphs
        super().__init__(weights, regs, X, y)

    def weights(self) -> Weights:
        self.settle()
        W1, b1, W2, b2 = (t.cpu().numpy() for t in (self._v, self._b1, self._w2, self._b2))
        return Weights(widths=self.widths, W1=W1, b1=b1, W2=W2, b2=b2)

    def alive(self) -> Array:
        return self._alive.cpu().numpy().copy()

    def losses(self) -> Array:
        return self._losses.cpu().numpy().copy()

    @torch.no_grad()
    def predict(self, X: Array) -> Array:
        scale = self._tensor(self._scale)[self._owner]
        with self._products():
            z = self._product(self._tensor(X), self._v)
        return self._scores(torch.relu_(z.mul_(scale).add_(self._b1))).argmax(2).cpu().numpy()

    def _place(self, weights: Weights, alive: Array | None = None) -> None:
        self._v, self._b1 = self._tensor(weights.W1), self._tensor(weights.b1)
        self._w2, self._b2 = self._tensor(weights.W2), self._tensor(weights.b2)
        self._owner = torch.from_numpy(self.owner).to(self.device)
        self._alive = torch.from_numpy(np.ones(len(self), bool) if alive is None else alive).to(self.device)
        self._losses = torch.full((len(self),), torch.nan, dtype=self.dtype, device=self.device)
        self._graph: Any = None
        self._shapes: tuple[int, ...] = ()

    def _attach(self, X: Array, y: Array) -> None:
        self._X, self._y = self._tensor(X), torch.from_numpy(np.array(y, np.int64)).to(self.device)

    def _fold(self, scale: Array) -> None:
        self._v.mul_(self._tensor(scale))

    @torch.no_grad()
    def _steps(self, plan: Plan) -> None:
        count, batch = plan.rows.shape
        self._make_room(count, batch)
        self._rows[:count].copy_(torch.from_numpy(plan.rows))
        self._rows[count].copy_(self._rows[count - 1])  # what the last step computes ahead is not used
        self._scales[: count + 1].copy_(torch.from_numpy(plan.scale))
        self._factor.copy_(torch.from_numpy(plan.factor))
        self._decay.copy_(torch.from_numpy(plan.decay))
        self._at.zero_()
        with self._products():
            self._next.copy_(self._batch(self._at))
            self._z.copy_(self._product(self._next, self._v))
            self._replay(count)

    def _make_room(self, count: int, batch: int) -> None:
        """What a step reads and writes at fixed addresses: made anew for more steps or another batch."""
        if self._shapes and self._shapes[0] >= count and self._shapes[1] == batch:
            return
        self._shapes, self._graph = (count, batch), None
        self._rows = torch.empty(count + 1, batch, dtype=torch.int64, device=self.device)
        self._scales, self._z = self._empty(count + 1, len(self)), self._empty(batch, self._v.shape[1])
        self._next = self._empty(batch, self._v.shape[0])
        self._factor, self._decay = self._empty(len(self)), self._empty(len(self))
        self._at = torch.zeros(1, dtype=torch.int64, device=self.device)

    def _replay(self, count: int) -> None:
        if not self._graphs:
            for _ in range(count):
                self._step()
            return
        if self._graph is None:
            self._step()  # warm: libraries take their workspaces before the capture
            count -= 1
            if not count:
                return
            torch.cuda.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._step()
        for _ in range(count):
            self._graph.replay()

    def _step(self) -> None:
        """The step whose number is in `_at`, from its z on, and the next step's z."""
        scale, after = self._scales.index_select(0, self._at)[0], self._scales.index_select(0, self._at + 1)[0]
        h = torch.relu(self._z.mul_(scale[self._owner]).add_(self._b1))
        move = self._move(self._scores(h), self._y[self._rows.index_select(0, self._at)[0]])
        dh = torch.empty_like(h)
        for group in self.groups:
            seen, part = self._by_net(h, group), move[group.nets]
            w2 = self._second(group)
            self._by_net(dh, group).copy_(torch.bmm(part, w2.transpose(1, 2)))
            w2.mul_(self._decay[group.nets, None, None]).baddbmm_(seen.transpose(1, 2), part)
        dh.masked_fill_((h <= 0) | ~self._alive[self._owner], 0)
        self._b2.add_(move.sum(1))
        self._b1.add_(dh.sum(0))
        dh.div_(after[self._owner])
        X = self._next.clone()
        self._at.add_(1)
        self._next.copy_(self._batch(self._at))
        self._update(X, dh)

    def _update(self, X: Tensor, dh: Tensor) -> None:
        """V += Xᵀ dh, then z of the next step."""
        if self.precision == "bfloat16":
            self._v.add_(self._product(X.T, dh))
        else:
            self._v.addmm_(X.T, dh)
        self._z.copy_(self._product(self._next, self._v))

    def _move(self, scores: Tensor, y: Tensor) -> Tensor:
        """The scores' gradient times -rate, (K, N, C); notes the losses and who is still alive."""
        logs = torch.log_softmax(scores, 2)
        labels = y.expand(len(self), -1)[:, :, None]
        self._losses.copy_(-logs.gather(2, labels)[:, :, 0].mean(1))
        self._alive.logical_and_(torch.isfinite(self._losses))
        move = logs.exp_().scatter_add_(2, labels, torch.full_like(logs[:, :, :1], -1))
        return move.mul_(self._factor[:, None, None]).masked_fill_(~self._alive[:, None, None], 0)

    def _batch(self, at: Tensor) -> Tensor:
        return self._X.index_select(0, self._rows.index_select(0, at)[0])

    def _product(self, a: Tensor, b: Tensor) -> Tensor:
        """a @ b in the precision of the wide products."""
        if self.precision != "bfloat16":
            return a @ b
        a, b = a.bfloat16(), b.bfloat16()
        if self.device.type == "cuda":
            return torch.mm(a, b, out_dtype=torch.float32)
        return a.float() @ b.float()  # the same: products of bfloat16 are exact in float32

    @contextmanager
    def _products(self) -> Iterator[None]:
        """What CUDA's matrix units may do with float32, for as long as the wide products run."""
        before = torch.get_float32_matmul_precision()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high" if self.precision == "tf32" else "highest")
        try:
            yield
        finally:
            if self.device.type == "cuda":
                torch.set_float32_matmul_precision(before)

    def _scores(self, h: Tensor) -> Tensor:
        """(K, N, C) from h (N, M)."""
        parts = [torch.bmm(self._by_net(h, group), self._second(group)) for group in self.groups]
        return torch.cat(parts).add_(self._b2[:, None])

    def _by_net(self, wide: Tensor, group: Group) -> Tensor:
        """The columns of a group, one net after another: a view (count, N, hidden) of (N, M)."""
        return wide[:, group.columns].view(len(wide), group.count, group.hidden).transpose(0, 1)

    def _second(self, group: Group) -> Tensor:
        """The second layers of a group: a view (count, hidden, C)."""
        return self._w2[group.columns].view(group.count, group.hidden, self._w2.shape[1])

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def _tensor(self, a: Array) -> Tensor:
        # a private copy where the array is read-only: torch would warn that it could be written through
        return torch.from_numpy(a if a.flags.writeable else np.array(a)).to(self.device, self.dtype)
