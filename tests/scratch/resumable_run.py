"""A small training run as a program of its own, for test_checkpoint.py to kill.

python resumable_run.py FOLDER OUT [STAGE COUNT]: train with a checkpoint after every iteration into FOLDER, write
a line before the first step and after every one, parameters and histories to OUT at the end. With STAGE, the
process kills itself (SIGKILL) the COUNT-th time it comes to that stage of writing a checkpoint.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from scratchproof.scratch import Solver, TwoLayerNet


def flip(X, rng):
    """Negate about half the rows: a use of the generator in the middle of an epoch."""
    X[rng.random(len(X)) < 0.5] *= -1
    return X


def fall(iteration, total):
    """From 1 linearly towards 0."""
    return 1 - iteration / total


def make_solver(folder, **changes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((130, 12)).astype(np.float32)
    y = X[:, :4].argmax(axis=1)
    data = {"X_train": X[:100], "y_train": y[:100], "X_val": X[100:], "y_val": y[100:]}
    dropout = changes.pop("dropout", (0.1, 0.3))
    net = TwoLayerNet(12, 8, 4, weight_scale=0.1, reg=1e-3, dropout=dropout, dtype=np.float32, rng=rng)
    settings = {
        "update_rule": "adam",
        "optim_config": {"learning_rate": 0.01},
        "lr_decay": 0.95,
        "num_epochs": 15,
        "batch_size": 9,
        "verbose": False,
        "rng": rng,
        "checkpoint": folder,
        "checkpoint_every": 1,
        "augment": flip,
        "lr_schedule": fall,
    }
    return Solver(net, data, **settings | changes)


def results(solver):
    """Everything that two runs are compared by, as arrays."""
    out = {f"params {name}": w for name, w in solver.model.params.items()}
    out |= {f"best {name}": w for name, w in solver.best_params.items()}
    histories = ("loss_history", "train_acc_history", "val_acc_history", "best_val_acc", "iteration")
    return out | {name: np.array(getattr(solver, name)) for name in histories}


def die_at(stage, count):
    """Put a SIGKILL into the way of the COUNT-th write: half a file, before the flush, before or after a rename."""
    module, name = {"write": (np, "savez"), "flush": (os, "fsync"), "rename": (os, "replace")}[stage.split("-")[-1]]
    true, left = getattr(module, name), count

    def hooked(*args, **kwargs):
        nonlocal left
        left -= 1
        if left == 0 and stage == "half-write":
            args[0].write(b"PK\x03\x04 the beginning of an archive")
            args[0].flush()
        if left == 0 and not stage.startswith("after"):
            os.kill(os.getpid(), signal.SIGKILL)
        true(*args, **kwargs)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, hooked)


def say(what):
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    solver = make_solver(Path(sys.argv[1]))
    if len(sys.argv) > 3:
        die_at(sys.argv[3], int(sys.argv[4]))
    say("ready")
    solver.train(progress=lambda iteration, total, loss: say(iteration))
    np.savez(sys.argv[2], **results(solver))
