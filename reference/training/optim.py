"""The torch.optim twins of the update rules, and TorchSolver: torch's side of a training run.

The same formulas under other names. Known differences of convention, and how they are met here:

- L2: a penalty of 0.5 * reg * sum(w²) on the weights is torch's `weight_decay=reg`, for weights alone: torch would
  decay biases too, so they form a parameter group without decay.
- Momentum: torch keeps v = momentum * v + g and steps by -rate * v; CS231n keeps v = momentum * v - rate * g and
  steps by v. They agree as long as the rate is constant; when it changes, `set_rate` rescales torch's buffer by
  old / new, which turns torch's form into CS231n's exactly.
- Adam and RMSprop: epsilon is added outside the root in both; `alpha` is CS231n's `decay_rate`.
"""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.table import nets
from scratchproof.vjp import Array

DEFAULTS: dict[str, dict[str, float]] = {
    "sgd": {"learning_rate": 1e-2},
    "sgd_momentum": {"learning_rate": 1e-2, "momentum": 0.9},
    "rmsprop": {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
    "adam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}

ARGUMENTS: dict[str, Callable[[Mapping[str, float]], dict[str, Any]]] = {
    "sgd": lambda o: {},
    "sgd_momentum": lambda o: {"momentum": o["momentum"]},
    "rmsprop": lambda o: {"alpha": o["decay_rate"], "eps": o["epsilon"]},
    "adam": lambda o: {"betas": (o["beta1"], o["beta2"]), "eps": o["epsilon"]},
}
CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "sgd_momentum": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
}
EVALUATION_ROWS = 1000


class DivergedError(ArithmeticError):
    """The loss stopped being finite: the step was too large."""


def full_options(rule: str, config: Mapping[str, float] | None) -> dict[str, float]:
    """The options of `rule` by CS231n name: `config` filled up with the defaults.

    Raises: ValueError for an unknown rule or option.
    """
    if rule not in DEFAULTS:
        raise ValueError(f"no update rule is called {rule!r}: choose {', '.join(DEFAULTS)}")
    if unknown := sorted(set(config or {}) - set(DEFAULTS[rule])):
        raise ValueError(f"{rule} has no option {unknown[0]!r}: it takes {', '.join(DEFAULTS[rule])}")
    return DEFAULTS[rule] | dict(config or {})


def make_optimizer(
    rule: str, module: nn.Module, config: Mapping[str, float] | None = None, *, reg: float = 0.0
) -> torch.optim.Optimizer:
    """The torch.optim twin of `rule` over the module's parameters; weights decay by `reg`, biases do not.

    Raises: ValueError for an unknown rule or option.
    """
    options = full_options(rule, config)
    weights = [p for p in module.parameters() if p.ndim > 1]
    biases = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": reg}, {"params": biases, "weight_decay": 0.0}]
    make: Callable[..., torch.optim.Optimizer] = CLASSES[rule]
    return make(groups, lr=options["learning_rate"], **ARGUMENTS[rule](options))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Change the learning rate as CS231n's rules would feel it: past velocity keeps the rate it was made with."""
    for group in optimizer.param_groups:
        factor, group["lr"] = group["lr"] / rate, rate
        for p in group["params"] if factor != 1 else ():
            buffer = optimizer.state[p].get("momentum_buffer")
            if buffer is not None:
                buffer.mul_(factor)


class TorchSolver:
    """The Solver's twin: a torch.nn net, autograd and torch.optim on the same batches.

    It draws from `rng` exactly what the NumPy Solver draws (the training sample, one permutation an epoch, what
    `augment` takes), so the same seed gives both the same batches. Dropout, if the net has any, is torch's own.

    Attributes: loss_history, train_acc_history, val_acc_history, best_val_acc, best_params (NumPy arrays by CS231n
    names), iteration, epoch, total; `model` holds the last parameters.
    """

    def __init__(
        self,
        model: nn.Sequential,
        data: Mapping[str, Array],
        *,
        loss: str = "softmax",
        reg: float = 0.0,
        device: str | torch.device = "cpu",
        update_rule: str = "sgd",
        optim_config: Mapping[str, float] | None = None,
        lr_decay: float = 1.0,
        num_epochs: int = 10,
        batch_size: int = 100,
        print_every: int = 100,
        verbose: bool = True,
        rng: np.random.Generator,
        augment: Callable[[Array, np.random.Generator], Array] | None = None,
        lr_schedule: Callable[[int, int], float] | None = None,
    ) -> None:
        """Make ready to train; arguments as for the NumPy Solver, apart from these.

        model: a twin from `reference.nets` (moved to `device`; its parameters' dtype is the run's).
        loss: softmax | svm | logistic. reg: L2 with the 1/2, on weights.
        Raises: ValueError for an unknown rule, option or loss.
        """
        if loss not in nets.LOSSES:
            raise ValueError(f"no loss is called {loss!r}: choose {', '.join(nets.LOSSES)}")
        self.model, self.data, self.loss, self.reg = model.to(device), data, nets.LOSSES[loss], reg
        self.device, self.dtype = torch.device(device), next(model.parameters()).dtype
        self.rng, self.lr_decay, self.augment, self.lr_schedule = rng, lr_decay, augment, lr_schedule
        self.num_epochs, self.print_every, self.verbose = num_epochs, print_every, verbose
        self.optim_config = full_options(update_rule, optim_config or {"learning_rate": 1e-3})
        self.optimizer = make_optimizer(update_rule, self.model, self.optim_config, reg=reg)
        self._weights = [p for p in self.model.parameters() if p.ndim > 1]
        rows = np.arange(len(data["X_train"]))
        if len(rows) > EVALUATION_ROWS:
            rows = np.sort(rng.choice(rows, EVALUATION_ROWS, replace=False))
        self._sample = data["X_train"][rows], data["y_train"][rows]
        self.batch_size = min(batch_size, len(data["X_train"]))
        self._per_epoch = len(data["X_train"]) // self.batch_size
        self.total, self.iteration = num_epochs * self._per_epoch, 0
        self._move_data()
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []
        self.best_val_acc, self.best_params = -1.0, nets.dump(self.model)

    def train(self, progress: Callable[[int, int, float], object] | None = None) -> None:
        """Run all epochs that are left.

        progress: called after every iteration with (iterations done, total, loss).
        Raises: DivergedError at the first loss that is not finite.
        """
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
            if progress is not None:
                progress(self.iteration, self.total, loss)

    @torch.no_grad()
    def check_accuracy(self, X: Array, y: Array) -> float:
        """The share of rows of X (N, ...) whose predicted label is y (N,)."""
        self.model.eval()
        right = 0
        for start in range(0, len(X), EVALUATION_ROWS):
            scores = self.model(self._tensor(X[start : start + EVALUATION_ROWS]))
            labels = scores.argmax(1) if scores.ndim == 2 else (scores > 0).long()
            right += int(np.count_nonzero(labels.cpu().numpy() == y[start : start + EVALUATION_ROWS]))
        self.model.train()
        return right / len(X)

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.iteration // self._per_epoch

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        factor = 1.0 if self.lr_schedule is None else self.lr_schedule(self.iteration, self.total)
        return self.optim_config["learning_rate"] * self.lr_decay**self.epoch * factor

    def _step(self, X: Tensor, y: Tensor) -> float:
        self.optimizer.zero_grad()
        data_loss = self.loss(self.model(X), y)
        loss = float(data_loss.detach()) + self._penalty()
        rate = self.learning_rate
        if not math.isfinite(loss):
            raise DivergedError(f"diverged at iteration {self.iteration + 1}, learning rate {rate:g}: loss is {loss}")
        torch.autograd.backward(data_loss)
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        return loss

    @torch.no_grad()
    def _penalty(self) -> float:
        if not self.reg:
            return 0.0
        return 0.5 * self.reg * float(sum((w * w).sum() for w in self._weights))

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        position = self.iteration % self._per_epoch
        if position == 0:
            self._order = self.rng.permutation(len(self.data["X_train"]))
        rows = self._order[position * self.batch_size : (position + 1) * self.batch_size]
        if self._resident is not None:
            on_device = torch.from_numpy(rows).to(self.device)
            return self._resident[on_device], self._labels[on_device]
        X = self.data["X_train"][rows]
        if self.augment is not None:
            X = self.augment(X, self.rng)
        return self._tensor(X), self._labels[torch.from_numpy(rows).to(self.device)]

    def _finish_epoch(self) -> None:
        train = self.check_accuracy(*self._sample)
        val = self.check_accuracy(self.data["X_val"], self.data["y_val"])
        self.train_acc_history.append(train)
        self.val_acc_history.append(val)
        if val > self.best_val_acc:
            self.best_val_acc, self.best_params = val, nets.dump(self.model)

    def _say_epoch(self) -> None:
        if self.verbose:
            train, val = self.train_acc_history[-1], self.val_acc_history[-1]
            _say(f"(Epoch {self.epoch} / {self.num_epochs}) train acc: {train:f}; val_acc: {val:f}")

    def _move_data(self) -> None:
        """On a GPU the images live there, unless NumPy has to augment every batch."""
        self._labels = torch.from_numpy(np.array(self.data["y_train"], np.int64)).to(self.device)
        on_gpu = self.device.type != "cpu" and self.augment is None
        self._resident = self._tensor(self.data["X_train"]) if on_gpu else None

    def _tensor(self, X: Array) -> Tensor:
        # a private copy where the array is read-only: torch would warn that it could be written through
        owned = X if X.flags.writeable else np.array(X)
        return torch.from_numpy(owned).to(self.device, self.dtype)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
