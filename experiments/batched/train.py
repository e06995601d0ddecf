"""The training of a stack: epochs on shared minibatches, accuracies, nets that leave, checkpoints."""

import json
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scratchproof.images.data import Split
from scratchproof.progress import progress
from scratchproof.scratch.checkpoint import load_checkpoint, plain, save_checkpoint

from .numpy_stack import NumpyStack
from .stack import Array, Member, Stack, Weights, initial

ENGINES = ("numpy", "torch", "triton")
SAMPLE = 1000  # the most training images that are looked at after an epoch
STRETCH = 50  # steps between two signs of life


@dataclass(kw_only=True)
class Outcome:
    """What became of one net; accuracies by epoch, from before the first on."""

    train_acc_history: list[float] = field(default_factory=list)
    val_acc_history: list[float] = field(default_factory=list)
    test_acc: float | None = None
    last_test_acc: float | None = None
    diverged: str | None = None

    @property
    def best(self) -> int:
        """The epoch with the highest validation accuracy, whose test accuracy is `test_acc`."""
        return int(np.argmax(self.val_acc_history))

    @property
    def val_acc(self) -> float:
        return self.val_acc_history[self.best]

    def summary(self) -> dict[str, Any]:
        """What goes into a record."""
        return {**asdict(self), "val_acc": self.val_acc, "train_acc": self.train_acc_history[self.best]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Who multiplies, in what precision, and where.

    Raises: ValueError for an engine that does not exist or cannot do it.
    """

    engine: str = "numpy"
    precision: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(f"no engine is called {self.engine!r}: choose {', '.join(ENGINES)}")
        if self.engine == "numpy" and (self.device != "cpu" or self.precision not in ("float32", "float64")):
            raise ValueError(f"NumPy has no {self.precision} on {self.device}: use the torch engine")

    @property
    def dtype(self) -> Any:
        """What the weights are kept in."""
        return np.float64 if self.precision == "float64" else np.float32

    def stack(self, weights: Weights, regs: Array, X: Array, y: Array) -> Stack:
        """Nets with these weights, on this machine."""
        if self.engine == "numpy":
            return NumpyStack(weights, regs, X, y)
        if self.engine == "torch":
            from .torch_stack import TorchStack as Kind
        else:
            from .triton_stack import TritonStack as Kind
        return Kind(weights, regs, X, y, device=self.device, precision=self.precision)


class Training:
    """Nets that train together, each as it would alone on the same minibatches.

    A net leaves after its own number of epochs, when it diverges, or when it is dropped, and costs nothing then.

    Attributes: outcomes, one a member and in their order; left, the numbers of the members still training;
    epoch, how many are done; net_epochs, the same summed over nets; seconds spent in them.
    """

    def __init__(
        self,
        members: Sequence[Member],
        split: Split,
        *,
        batch_size: int,
        rng: np.random.Generator,
        machine: Machine | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """rng: draws the training sample, then one permutation an epoch, as the Solver does.

        checkpoint: a folder; after every epoch all goes in there, and what is there already is gone on with.
        Raises: ValueError without members; CheckpointError for a folder with another run's checkpoints.
        """
        if not members:
            raise ValueError("there is no net to train")
        self.members, self.split, self.rng = tuple(members), split, rng
        self.machine, self._checkpoint = machine or Machine(), checkpoint
        self.batch_size = min(batch_size, len(split.X_train))
        self._fingerprint = self._describe()
        self._sample = self._drawn_sample()
        self.outcomes = [Outcome() for _ in members]
        self.left = sorted(range(len(members)), key=lambda k: members[k].hidden)
        self.epoch, self.net_epochs, self.seconds = 0, 0, 0.0
        if checkpoint is None or not self._resume(checkpoint):
            stack = [members[k] for k in self.left]
            features, classes = math.prod(split.X_train.shape[1:]), len(split.class_names)
            self._build(initial(stack, features, classes, self.machine.dtype))
            self._look()

    def run(self, on_epoch: Callable[["Training"], Collection[int]] = lambda _: ()) -> list[Outcome]:
        """Train until no net is left. on_epoch: called after every epoch; returns the members to drop."""
        while self.left:
            with progress(f"epoch {self.epoch + 1}, {len(self.left)} nets") as advance:
                self._train_epoch(advance)
            self.drop(on_epoch(self))
            if self._checkpoint is not None:
                self._save(self._checkpoint)
        return self.outcomes

    def drop(self, numbers: Collection[int]) -> None:
        """Train these members no further."""
        self._retain([k for k in self.left if k not in numbers])

    @property
    def pace(self) -> float:
        """Epochs of one net, per second."""
        return self.net_epochs / self.seconds if self.seconds else math.nan

    def _train_epoch(self, advance: Callable[[int, int], None]) -> None:
        start, count = time.perf_counter(), len(self.split.X_train) // self.batch_size
        order = self.rng.permutation(len(self.split.X_train))
        rows = order[: count * self.batch_size].reshape(count, self.batch_size)
        rates = np.array([self.members[k].rate(self.epoch) for k in self.left])
        for first in range(0, count, STRETCH):
            self._stack.run(rows[first : first + STRETCH], rates)
            advance(min(first + STRETCH, count), count)
        self.epoch += 1
        self.net_epochs += len(self.left)
        self._bury()
        if self.left:
            self._look()
        self.seconds += time.perf_counter() - start

    def _bury(self) -> None:
        """Note who diverged, and go on without them."""
        alive = self._stack.alive()
        for place in np.flatnonzero(~alive):
            k = self.left[place]
            rate = self.members[k].rate(self.epoch - 1)
            self.outcomes[k].diverged = f"diverged in epoch {self.epoch}, learning rate {rate:g}"
        self._retain([k for place, k in enumerate(self.left) if alive[place]])

    def _look(self) -> None:
        """Everyone's accuracies; those whose last epoch this was leave."""
        split, (X, y) = self.split, self._sample
        train, val = self._accuracy(X, y), self._accuracy(split.X_val, split.y_val)
        better = [val[i] > max(self.outcomes[k].val_acc_history, default=-1.0) for i, k in enumerate(self.left)]
        done = [self.members[k].epochs <= self.epoch for k in self.left]
        test = self._accuracy(split.X_test, split.y_test) if any(better) or any(done) else val
        for i, k in enumerate(self.left):
            outcome = self.outcomes[k]
            outcome.train_acc_history.append(float(train[i]))
            outcome.val_acc_history.append(float(val[i]))
            outcome.test_acc = float(test[i]) if better[i] else outcome.test_acc
            outcome.last_test_acc = float(test[i]) if done[i] else outcome.last_test_acc
        self._retain([k for i, k in enumerate(self.left) if not done[i]])

    def _accuracy(self, X: Array, y: Array) -> Array:
        return self._stack.accuracy(_flat(X, self.machine.dtype), y)

    def _retain(self, numbers: list[int]) -> None:
        if numbers and numbers != self.left:
            self._stack.keep([self.left.index(k) for k in numbers])
        self.left = numbers

    def _build(self, weights: Weights) -> None:
        X, y = _flat(self.split.X_train, self.machine.dtype), self.split.y_train
        regs = np.array([self.members[k].reg for k in self.left])
        self._stack = self.machine.stack(weights, regs, X, y)

    def _drawn_sample(self) -> tuple[Array, Array]:
        rows = np.arange(len(self.split.X_train))
        if len(rows) > SAMPLE:
            rows = np.sort(self.rng.choice(rows, SAMPLE, replace=False))
        return self.split.X_train[rows], self.split.y_train[rows]

    def _describe(self) -> dict[str, Any]:
        return {
            "members": [asdict(member) for member in self.members],
            "batch size": self.batch_size,
            "machine": asdict(self.machine),
            "images": self.split.description,
            "random generator": json.dumps(self.rng.bit_generator.state, default=plain),
        }

    def _save(self, folder: Path) -> None:
        scalars = {
            "left": self.left,
            "epoch": self.epoch,
            "net_epochs": self.net_epochs,
            "seconds": self.seconds,
            "rng": self.rng.bit_generator.state,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }
        weights = self._stack.weights() if self.left else None
        arrays = {} if weights is None else {name: getattr(weights, name) for name in ("W1", "b1", "W2", "b2")}
        save_checkpoint(folder, self.epoch, self._fingerprint, scalars, arrays)

    def _resume(self, folder: Path) -> bool:
        found = load_checkpoint(folder, self._fingerprint)
        if found is None:
            return False
        scalars, arrays = found
        self.left, self.epoch = scalars["left"], scalars["epoch"]
        self.net_epochs, self.seconds = scalars["net_epochs"], scalars["seconds"]
        self.rng.bit_generator.state = scalars["rng"]
        self.outcomes = [Outcome(**outcome) for outcome in scalars["outcomes"]]
        if self.left:
            widths = tuple(self.members[k].hidden for k in self.left)
            self._build(Weights(widths=widths, **arrays))
        return True


def _flat(X: Array, dtype: Any) -> Array:
    """Images as rows (rows, D)."""
    return np.ascontiguousarray(X.reshape(len(X), math.prod(X.shape[1:])), dtype)
