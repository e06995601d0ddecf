"""Several ranks on one machine, for test_distributed.py: forked from here, so that torch is imported once.

    python several_ranks.py FOLDER

Scenes, one folder each: `alone` (one process), `two` and `four` ranks, `killed` (rank 1 of two dies after the first
epoch) and `resumed` (both start again). Every rank writes what it ended with, or the error it stopped with.
"""

import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from scratchproof.experiments import distributed, ranks
from scratchproof.table import nets
from scratchproof.training.optim import TorchSolver

FEATURES, HIDDEN, CLASSES, BATCH = 6, 5, 3, 7  # 7 rows: 4 and 3 of two ranks; 2, 2, 2, 1 of four
UNEVEN = 3  # rows of a batch that leaves one of four ranks with none


def options() -> dict[str, Any]:
    return {"optim_config": {"learning_rate": 0.25}, "reg": 0.125, "num_epochs": 3, "batch_size": BATCH,
            "lr_decay": 0.5, "verbose": False, "rng": np.random.default_rng(3)}  # fmt: skip


def data() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((40, FEATURES)), rng.integers(0, CLASSES, 40)
    return {"X_train": X[:30], "y_train": y[:30], "X_val": X[30:], "y_val": y[30:]}


def net() -> Any:
    torch.manual_seed(0)
    return nets.two_layer_net(FEATURES, HIDDEN, CLASSES).double()


def gradients(solver: Any) -> dict[str, Any]:
    """The gradients that a minibatch of few rows leaves behind; the step is not taken."""
    rate = solver.optimizer.step
    solver.optimizer.step = lambda: None
    rows = slice(0, UNEVEN)
    made = data()
    solver._step(torch.from_numpy(made["X_train"][rows]), torch.from_numpy(made["y_train"][rows]))
    solver.optimizer.step = rate
    return {f"d{i}": p.grad.numpy().copy() for i, p in enumerate(solver.model.parameters())}


def train(kind: Any, path: Path, die_at: int = 0, **more: Any) -> None:
    solver = kind(net(), data(), **options(), **more)
    few = gradients(solver) if solver.iteration == 0 else {}

    def watch(done: int, *_: object) -> None:
        if done == die_at:
            os.kill(os.getpid(), 9)

    solver.train(watch)
    arrays = {f"w{i}": p.detach().numpy() for i, p in enumerate(solver.model.parameters())}
    np.savez(path, losses=solver.loss_history, val=solver.val_acc_history, **few, **arrays)


def rank(number: int, size: int, port: int, folder: Path, checkpoint: Path | None, die_at: int) -> None:
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks.join("cpu")
    try:
        train(distributed.ShardedSolver, folder / f"{number}.npz", die_at, checkpoint=checkpoint)
        (folder / f"{number}.share").write_text(repr(list(ranks.share(range(5)))))
        ranks.wait_for_all()
    except ranks.LostRankError as error:
        (folder / f"{number}.txt").write_text(str(error))
        os._exit(2)
    dist.destroy_process_group()


def scene(folder: Path, size: int, checkpoint: Path | None = None, dies: int = -1) -> None:
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=rank, args=(n, size, port, folder, checkpoint, 6 if n == dies else 0))
        for n in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    (folder / "exits").write_text(" ".join(str(process.exitcode) for process in processes))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    (folder / "alone").mkdir()
    train(TorchSolver, folder / "alone" / "0.npz")
    scene(folder / "two", 2)
    scene(folder / "four", 4)
    scene(folder / "killed", 2, folder / "checkpoints", dies=1)
    scene(folder / "resumed", 2, folder / "checkpoints")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
