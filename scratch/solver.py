"""The Solver: minibatch training of any net that has `params`, `loss` and `predict`."""

import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from ._resume import describe_run, resume, save
from ._types import Array
from .fused import fuse
from .optim import RULES, checked_options

__all__ = ["DivergedError", "Solver", "Trainable"]

Progress: TypeAlias = Callable[[int, int, float], object]
Augment: TypeAlias = Callable[[Array, np.random.Generator], Array]
Schedule: TypeAlias = Callable[[int, int], float]

EVALUATION_ROWS = 1000  # rows scored at a time, and the most training rows looked at after an epoch


class Trainable(Protocol):
    """What the Solver needs of a net; every net in `nets.py` has it.

    A net with a `dropout` attribute that is not all zeros is handed the Solver's rng: `loss(X, y, rng=rng)`.
    """

    params: dict[str, Array]

    def loss(self, X: Array, y: Array, /) -> tuple[Any, dict[str, Array]]:
        """The loss, a scalar, and its gradient with respect to each of `params`."""

    def predict(self, X: Array, /) -> Array:
        """The label of each row of X."""


class DivergedError(ArithmeticError):
    """The loss stopped being finite: the step was too large."""


class Solver:
    """Train a net by minibatches; keep its histories and its best parameters.

    Every epoch visits the training rows in the order of a fresh permutation, `batch_size` at a time, and leaves
    out the last rows that do not fill a batch. Accuracy is measured before the first epoch ("epoch 0") and after
    every one, on all validation rows and a fixed sample of at most 1,000 training rows.

    Attributes (read them at any time):
        loss_history: list of float, one an iteration.  train_acc_history, val_acc_history: one an epoch, from 0.
        best_val_acc, best_params: the highest validation accuracy and copies of the parameters that gave it;
            `model.params` themselves stay the last ones, up to date at every epoch's end (plain SGD of some nets
            takes the fast step of `fused.py`, which settles them then).
        iteration, epoch: how many are done.  total: iterations in the whole run.
    Source: CS231n, assignment 1 (Solver); S0, S1.
    """

    iteration: int
    best_val_acc: float
    best_params: dict[str, Array]

    def __init__(
        self,
        model: Trainable,
        data: Mapping[str, Array],
        *,
        update_rule: str = "sgd",
        optim_config: Mapping[str, float] | None = None,
        lr_decay: float = 1.0,
        num_epochs: int = 10,
        batch_size: int = 100,
        print_every: int = 100,
        verbose: bool = True,
        rng: np.random.Generator | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        augment: Augment | None = None,
        lr_schedule: Schedule | None = None,
    ) -> None:
        """Make ready to train; go on where an interrupted run stopped if `checkpoint` holds one.

        model: a net. data: X_train (N, ...), y_train (N,), X_val (M, ...), y_val (M,); X of its dtype, N, M >= 1.
        update_rule: sgd | sgd_momentum | rmsprop | adam; optim_config: its options, `{"learning_rate": 1e-3}` if none.
        lr_decay: the learning rate's factor after every epoch. lr_schedule: a further factor, called with
            (iteration, total), iteration counting from 0.
        augment: called with a batch X and rng; returns the X to train on (X is its own to write).
        rng: draws the sample, the permutations, the augmentation and the net's dropout masks; without one, the
            operating system's entropy does, and a run cannot be repeated or resumed.
        checkpoint: a folder for this run's two newest checkpoints, written after every epoch or every
            `checkpoint_every` iterations. A resumed run ends with the same bits as an uninterrupted one on the
            same machine and libraries.

        Raises: ValueError for settings or data that do not fit; CheckpointError for a folder that holds another
        run's checkpoints (other settings, net, seed or data) or only torn ones.
        """
        self.model, self.rng = model, np.random.default_rng(rng)
        self.update_rule, self.lr_decay = update_rule, _positive("lr_decay", lr_decay)
        self.optim_config = checked_options(update_rule, dict(optim_config or {"learning_rate": 1e-3}))
        self.num_epochs, self.batch_size = _count("num_epochs", num_epochs), _count("batch_size", batch_size)
        self.print_every, self.verbose = _count("print_every", print_every), verbose
        self.augment, self.lr_schedule = augment, lr_schedule
        self._take_data(data)
        self._reset()
        every = self._per_epoch if checkpoint_every is None else checkpoint_every
        self._checkpoint_every = _count("checkpoint_every", every)
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        if self._checkpoint is not None:
            resume(self, self._checkpoint)
            if verbose and self.iteration:
                _say(f"(Resumed after iteration {self.iteration} / {self.total})")

    def train(self, progress: Progress | None = None) -> None:
        """Run all epochs that are left; prints lines in CS231n's format if verbose.

        progress: called after every iteration with (iterations done, total, loss).
        Raises: DivergedError at the first loss that is not finite; the parameters stay as they were before it.
        """
        self._fused = fuse(self.model) if self.update_rule == "sgd" else None
        if not self.val_acc_history:
            self._finish_epoch()
        while self.iteration < self.total:
            loss = self._step(*self._next_batch())
            self.loss_history.append(loss)
            if self.verbose and self.iteration % self.print_every == 0:
                _say(f"(Iteration {self.iteration + 1} / {self.total}) loss: {loss:f}")
            if self.iteration == 0:
                self._say_epoch()  # measured before the first step, told after its loss, as CS231n does
            self.iteration += 1
            if self.iteration % self._per_epoch == 0:
                self._finish_epoch()
                self._say_epoch()
            if self._checkpoint is not None and self._checkpoint_is_due():
                self._settle()
                save(self, self._checkpoint)
            if progress is not None:
                progress(self.iteration, self.total, loss)

    def check_accuracy(self, X: Array, y: Array) -> float:
        """The share of rows of X (N, ...) whose predicted label is y (N,)."""
        right = 0
        for start in range(0, len(X), EVALUATION_ROWS):
            stop = start + EVALUATION_ROWS
            right += int(np.count_nonzero(self.model.predict(X[start:stop]) == y[start:stop]))
        return right / len(X)

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.iteration // self._per_epoch

    @property
    def learning_rate(self) -> float:
        """The rate of the next step: the option, decayed once an epoch, times the schedule's factor."""
        rate: float = self.optim_config["learning_rate"] * self.lr_decay**self.epoch
        if self.lr_schedule is not None:
            rate *= _positive("the factor from lr_schedule", self.lr_schedule(self.iteration, self.total))
        return rate

    def _step(self, X: Array, y: Array) -> float:
        """One iteration on one batch; the only place where the parameters change."""
        rate = self.learning_rate
        if self._fused is not None:
            loss = self._fused.step(X, y, rate)
        else:
            loss, grads = self.model.loss(X, y, **self._loss_options)
            if math.isfinite(loss):
                self._update(grads, rate)
        if not math.isfinite(loss):
            self._settle()
            raise DivergedError(f"diverged at iteration {self.iteration + 1}, learning rate {rate:g}: loss is {loss}")
        return float(loss)

    def _update(self, grads: Mapping[str, Array], rate: float) -> None:
        rule = RULES[self.update_rule]
        for name, w in self.model.params.items():
            self.state[name]["learning_rate"] = rate
            rule(w, grads[name], self.state[name])

    def _settle(self) -> None:
        """Bring `net.params` up to date, which a fused step keeps in a form of its own."""
        if self._fused is not None:
            self._fused.settle()

    def _next_batch(self) -> tuple[Array, Array]:
        """Gather the next batch into the buffers that every batch shares."""
        position = self.iteration % self._per_epoch
        if position == 0:
            self.order = self.rng.permutation(len(self.X_train))
        rows = self.order[position * self.batch_size : (position + 1) * self.batch_size]
        # mode: with the default, "raise", take() would gather into a second buffer first
        X = np.take(self.X_train, rows, axis=0, out=self._X, mode="clip")
        y = np.take(self.y_train, rows, axis=0, out=self._y, mode="clip")
        return (X if self.augment is None else self.augment(X, self.rng)), y

    def _finish_epoch(self) -> None:
        """Measure and remember the accuracies; keep the parameters if they are the best so far."""
        self._settle()
        train = self.check_accuracy(*self._sample)
        val = self.check_accuracy(self.X_val, self.y_val)
        self.train_acc_history.append(train)
        self.val_acc_history.append(val)
        if val > self.best_val_acc:
            self.best_val_acc = val
            for name, w in self.model.params.items():
                self.best_params[name][...] = w

    def _say_epoch(self) -> None:
        if self.verbose:
            train, val = self.train_acc_history[-1], self.val_acc_history[-1]
            _say(f"(Epoch {self.epoch} / {self.num_epochs}) train acc: {train:f}; val_acc: {val:f}")

    def _take_data(self, data: Mapping[str, Array]) -> None:
        self.X_train, self.y_train = _pair(data, "train")
        self.X_val, self.y_val = _pair(data, "val")
        rows = len(self.X_train)
        self.batch_size = min(self.batch_size, rows)
        self._per_epoch = rows // self.batch_size
        self.total = self.num_epochs * self._per_epoch
        self._X = np.empty((self.batch_size, *self.X_train.shape[1:]), self.X_train.dtype)
        self._y = np.empty(self.batch_size, self.y_train.dtype)

    def _reset(self) -> None:
        self.fingerprint = describe_run(self)
        rows = np.arange(len(self.X_train))
        if len(rows) > EVALUATION_ROWS:
            rows = np.sort(self.rng.choice(rows, EVALUATION_ROWS, replace=False))
        self._sample = self.X_train[rows], self.y_train[rows]
        self.order = rows[:0]
        self.state: dict[str, dict[str, Any]] = {name: dict(self.optim_config) for name in self.model.params}
        self._loss_options = {"rng": self.rng} if any(getattr(self.model, "dropout", ())) else {}
        self.iteration = 0
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []
        self.best_val_acc = -1.0
        self.best_params = {name: w.copy() for name, w in self.model.params.items()}

    def _checkpoint_is_due(self) -> bool:
        return self.iteration % self._checkpoint_every == 0 or self.iteration == self.total


def _pair(data: Mapping[str, Array], part: str) -> tuple[Array, Array]:
    """The images and labels of `train` or `val`, contiguous (take() would copy all of anything else every time)."""
    for name in (f"X_{part}", f"y_{part}"):
        if name not in data:
            raise ValueError(f"data has no {name!r}: it needs X_train, y_train, X_val and y_val")
    X, y = np.ascontiguousarray(data[f"X_{part}"]), np.ascontiguousarray(data[f"y_{part}"])
    if y.shape != X.shape[:1] or len(y) == 0:
        raise ValueError(f"y_{part} has shape {y.shape} but X_{part} {X.shape}: they need one label a row, and a row")
    return X, y


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r} but must be a whole number of at least 1")
    return int(value)


def _positive(name: str, value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value!r} but must be positive and finite")
    return float(value)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
