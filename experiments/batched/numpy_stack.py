"""A stack of nets in NumPy."""

import numpy as np

from .stack import Array, Group, Plan, Stack, Weights

BLOCK = 1 << 21  # bytes of a block of V's rows: few enough products, and what they leave is still in a cache


class NumpyStack(Stack):
    """The steps in NumPy: two wide products, and next to them passes over what is small or in the cache."""

    def weights(self) -> Weights:
        self.settle()
        return Weights(widths=self.widths, W1=self._v, b1=self._b1, W2=self._w2, b2=self._b2)

    def alive(self) -> Array:
        return self._alive.copy()

    def losses(self) -> Array:
        return self._losses.copy()

    def predict(self, X: Array) -> Array:
        with np.errstate(all="ignore"):
            h = self._hidden(X @ self._v, self._scale)
            return self._scores(h).argmax(axis=2)  # type: ignore[no-any-return]

    def _place(self, weights: Weights, alive: Array | None = None) -> None:
        self._v, self._b1 = weights.W1, weights.b1
        self._w2, self._b2 = weights.W2, weights.b2
        self._alive = np.ones(len(self), bool) if alive is None else alive
        self._losses = np.full(len(self), np.nan)
        self._buffers: dict[str, Array] = {}

    def _attach(self, X: Array, y: Array) -> None:
        self._X, self._y = X, y

    def _fold(self, scale: Array) -> None:
        with np.errstate(all="ignore"):
            self._v *= scale.astype(self._v.dtype)

    def _steps(self, plan: Plan) -> None:
        factor, decay = (vector.astype(self._v.dtype) for vector in (plan.factor, plan.decay))
        with np.errstate(all="ignore"):  # a net that diverges is noticed by its loss
            for rows, before, after in zip(plan.rows, plan.scale, plan.scale[1:], strict=False):
                self._step(rows, before, after, factor, decay)

    def _step(self, rows: Array, before: Array, after: Array, factor: Array, decay: Array) -> None:
        X = np.take(self._X, rows, axis=0, out=self._buffer("X", len(rows), self._X.shape[1]), mode="clip")
        z = np.matmul(X, self._v, out=self._buffer("z", len(rows), self._v.shape[1]))
        h = self._hidden(z, before)
        move = self._move(self._scores(h), self._y[rows])
        move *= factor[:, None, None]
        move[~self._alive] = 0
        dh = self._buffer("dh", *h.shape)
        for group in self.groups:
            seen, part = self._by_net(h, group), move[group.nets]
            w2 = self._second(group)
            np.matmul(part, w2.transpose(0, 2, 1), out=self._by_net(dh, group))
            w2 *= decay[group.nets, None, None]
            w2 += seen.transpose(0, 2, 1) @ part
        np.multiply(dh, h > 0, out=dh)
        if not self._alive.all():
            dh[:, ~self._alive[self.owner]] = 0
        self._b2 += move.sum(axis=1)
        self._b1 += dh.sum(axis=0)
        if (after != 1).any():
            dh *= (1 / after[self.owner]).astype(dh.dtype)
        self._update(X.T, dh)

    def _update(self, a: Array, b: Array) -> None:
        """V += a @ b, a block of rows at a time."""
        size = max(1, BLOCK // self._v[:1].nbytes)
        block = self._buffer("block", size, self._v.shape[1])
        for start in range(0, len(self._v), size):
            rows = self._v[start : start + size]
            rows += np.matmul(a[start : start + size], b, out=block[: len(rows)])

    def _hidden(self, z: Array, scale: Array) -> Array:
        """relu(scale * z + b1), in place."""
        if (scale != 1).any():
            z *= scale[self.owner].astype(z.dtype)
        z += self._b1
        return np.maximum(z, 0, out=z)

    def _scores(self, h: Array) -> Array:
        """(K, N, C) from h (N, M)."""
        scores = np.empty((len(self), len(h), self._b2.shape[1]), h.dtype)
        for group in self.groups:
            np.matmul(self._by_net(h, group), self._second(group), out=scores[group.nets])
        scores += self._b2[:, None]
        return scores

    def _move(self, scores: Array, y: Array) -> Array:
        """softmax(scores) minus one at the label, (K, N, C); notes the losses and who is still alive."""
        rows = np.arange(len(y))
        scores -= scores.max(axis=2, keepdims=True)
        own = scores[:, rows, y]
        np.exp(scores, out=scores)
        total = scores.sum(axis=2)
        self._losses = (np.log(total) - own).mean(axis=1)
        self._alive &= np.isfinite(self._losses)
        scores /= total[:, :, None]
        scores[:, rows, y] -= 1
        return scores

    def _by_net(self, wide: Array, group: Group) -> Array:
        """The columns of a group, one net after another: a view (count, N, hidden) of (N, M)."""
        return wide[:, group.columns].reshape(len(wide), group.count, group.hidden).transpose(1, 0, 2)

    def _second(self, group: Group) -> Array:
        """The second layers of a group: a view (count, hidden, C)."""
        return self._w2[group.columns].reshape(group.count, group.hidden, self._w2.shape[1])

    def _buffer(self, name: str, *shape: int) -> Array:
        if name not in self._buffers or self._buffers[name].shape != shape:
            self._buffers[name] = np.empty(shape, self._v.dtype)
        return self._buffers[name]
