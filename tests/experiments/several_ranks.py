"""Several ranks on one machine, for test_distributed.py: forked from here, so that torch is imported once.

    python several_ranks.py FOLDER
    torchrun ... several_ranks.py FOLDER elastic

Scenes, one folder each: `alone` (one process), `two` and `four` ranks, `killed` (rank 1 of two dies after the first
epoch) and `resumed` (both start again), `four killed` (rank 2 of four dies). Every rank writes what it ended with, or
the error it stopped with. In `sweep` three ranks share out S0's grid. `elastic` is what torchrun starts: rank 1 dies
after the first epoch, unless torchrun has started it again.
"""

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from scratchproof.experiments import distributed, ranks, sweep
from scratchproof.table import nets
from scratchproof.training.optim import TorchSolver

FEATURES, HIDDEN, CLASSES, BATCH = 6, 5, 3, 7  # 7 rows: 4 and 3 of two ranks; 2, 2, 2, 1 of four
DIES_AT = 6  # in the second epoch of four iterations: the first one's end is kept
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


def called(number: int, size: int, port: int) -> None:
    """Be the rank that torchrun would have started."""
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def rank(number: int, size: int, port: int, folder: Path, checkpoint: Path | None, die_at: int) -> None:
    called(number, size, port)
    act(number, folder, checkpoint, die_at)


def elastic(folder: Path) -> None:
    number, first = int(os.environ["RANK"]), os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    act(number, folder, folder / "checkpoints", DIES_AT if first and number == 1 else 0)


def act(number: int, folder: Path, checkpoint: Path | None, die_at: int) -> None:
    """Train as one of the ranks, as the environment says; leave the parameters behind, or why it stopped."""
    try:
        ranks.join("cpu")
        train(distributed.ShardedSolver, folder / f"{number}.npz", die_at, checkpoint=checkpoint)
    except ranks.LostRankError as error:
        (folder / f"{number}.txt").write_text(str(error))
        os._exit(2)
    dist.destroy_process_group()


def sweep_rank(number: int, size: int, port: int, folder: Path) -> None:
    called(number, size, port)
    config = sweep.Config(grids="S0", backend="scratch", out=str(folder / "run"), hidden=4, epochs=1, parallel=1)
    with (folder / f"{number}.out").open("w") as file, redirect_stdout(file), redirect_stderr(file):
        sweep.main(config)


def scene(folder: Path, size: int, checkpoint: Path | None = None, dies: int = -1) -> None:
    play(folder, size, rank, lambda number: (checkpoint, DIES_AT if number == dies else 0))


def play(folder: Path, size: int, part: Callable[..., None], more: Callable[[int], tuple[Any, ...]]) -> None:
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=part, args=(n, size, port, folder, *more(n))) for n in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    (folder / "exits").write_text(" ".join(str(process.exitcode) for process in processes))


def main(folder: Path) -> None:
    (folder / "alone").mkdir()
    train(TorchSolver, folder / "alone" / "0.npz")
    scene(folder / "two", 2)
    scene(folder / "four", 4)
    scene(folder / "killed", 2, folder / "checkpoints", dies=1)
    scene(folder / "resumed", 2, folder / "checkpoints")
    scene(folder / "four killed", 4, dies=2)
    play(folder / "sweep", 3, sweep_rank, lambda _: ())


if __name__ == "__main__":
    torch.set_num_threads(1)
    (elastic if "elastic" in sys.argv else main)(Path(sys.argv[1]))
