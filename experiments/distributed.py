"""One training by several processes, started by torchrun: `torchrun --nproc-per-node N -m experiments.two_layer`.

Every rank starts from the same seed, so all hold the same net and draw the same minibatches; of each it takes every
N-th row. A rank's mean over its own rows, weighted with their number, makes the all-reduced mean of the gradients
that of the whole minibatch, however unevenly it divides, down to a rank without any row. All ranks then take the same
step, and stay equal.
"""

import math
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from scratchproof.scratch.checkpoint import load_checkpoint, save_checkpoint
from scratchproof.table import nets
from scratchproof.training.optim import DivergedError, TorchSolver, set_rate

from .ranks import peers

HISTORIES = ("loss_history", "train_acc_history", "val_acc_history")


class ShardedSolver(TorchSolver):
    """A TorchSolver whose minibatches are shared out over the ranks; every rank ends with the same net.

    Accuracies are measured by every rank for itself. checkpoint: a folder of this rank's; the first one's is written
    after every epoch, and all go on from what it holds. Plain SGD alone has no state besides the parameters: other
    rules are refused where there is a checkpoint.
    """

    def __init__(self, net: Any, data: Any, *, checkpoint: Path | None = None, **options: Any) -> None:
        super().__init__(net, data, **options)
        if checkpoint is not None and options.get("update_rule", "sgd") != "sgd":
            raise ValueError(f"the rule is {options['update_rule']} but only sgd can be resumed by ranks")
        self._parallel = DistributedDataParallel(self.model)
        self._checkpoint = checkpoint
        self._fingerprint = {
            "options": self.optim_config,
            "epochs": self.num_epochs,
            "batch size": self.batch_size,
            "decay": self.lr_decay,
            "reg": self.reg,
            "rows": len(data["X_train"]),
        }
        if checkpoint is not None:
            self._resume(checkpoint)

    def _step(self, X: Tensor, y: Tensor) -> float:
        rank, size = dist.get_rank(), dist.get_world_size()
        own_X, own_y = X[rank::size], y[rank::size]
        self.optimizer.zero_grad()
        with peers(f"in iteration {self.iteration + 1}"):
            scores = self._parallel(own_X)
            own = self.loss(scores, own_y) * len(own_y) / len(y) if len(own_y) else scores.sum() * 0
            torch.autograd.backward(own * size)  # the ranks' gradients are averaged: this makes it their sum
            total = own.detach().double()
            dist.all_reduce(total)
        loss, rate = float(total) + self._penalty(), self.learning_rate
        if not math.isfinite(loss):
            raise DivergedError(f"diverged at iteration {self.iteration + 1}, learning rate {rate:g}: loss is {loss}")
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        return loss

    def _finish_epoch(self) -> None:
        super()._finish_epoch()
        if self._checkpoint is not None and self.iteration and dist.get_rank() == 0:
            self._save(self._checkpoint)

    def _save(self, folder: Path) -> None:
        arrays = {key: np.array(getattr(self, key), np.float64) for key in HISTORIES}
        arrays |= {f"params/{name}": w for name, w in nets.dump(self.model).items()}
        arrays |= {f"best/{name}": w for name, w in self.best_params.items()}
        scalars = {"best_val_acc": self.best_val_acc, "rng": self.rng.bit_generator.state, "iteration": self.iteration}
        save_checkpoint(folder, self.iteration, self._fingerprint, scalars, arrays)

    def _resume(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        box = [load_checkpoint(folder, self._fingerprint) if dist.get_rank() == 0 else None]
        with peers("before its first iteration"):
            dist.broadcast_object_list(box)
        if box[0] is None:
            return
        scalars, arrays = box[0]
        for key in HISTORIES:
            setattr(self, key, arrays[key].tolist())
        read = nets.load(deepcopy(self.model), {name: arrays[f"params/{name}"] for name in nets.dump(self.model)})
        with torch.no_grad():  # in place: optimizer and ranks hold on to these very tensors
            for p, value in zip(self.model.parameters(), read.parameters(), strict=True):
                p.copy_(value)
        self.best_params = {name: arrays[f"best/{name}"] for name in self.best_params}
        self.best_val_acc, self.iteration = scalars["best_val_acc"], scalars["iteration"]
        self.rng.bit_generator.state = scalars["rng"]
        if dist.get_rank() == 0:
            sys.stderr.write(f"(Resumed after iteration {self.iteration} / {self.total})\n")
