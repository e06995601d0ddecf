"""What the benchmark looks at besides one step: growth with size, peak memory, a whole epoch."""

import time
import tracemalloc
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from scratchproof import scratch
from scratchproof.images.data import Split
from scratchproof.table import nets as twins

from .rivals import Contest, two_layer
from .rivals_images import convolution
from .stopwatch import measure

GROWING = ("torch", "scratch")
EPOCH_RATE = 1e-4
EPOCH_BATCH = 100
STRETCH = 10  # steps of an epoch between two switches


def families(shrink: int) -> dict[str, list[Callable[[], Contest]]]:
    """Contests that grow in one direction."""
    inputs, images = 3072 // shrink, max(1, 16 // shrink)
    return {
        "batch": [partial(two_layer, 100, n, "float32", inputs=inputs) for n in (25, 50, 100, 200, 400)],
        "width": [partial(two_layer, h, 100, "float32", inputs=inputs) for h in (50, 100, 200, 400, 800)],
        "image size": [
            partial(convolution, 3, size, 32, 7, 1, "float32", images=images, textbook=False)
            for size in (8, 16, 32, 64)
        ],
    }


def growth(make: Iterable[Callable[[], Contest]], *, rounds: int, rng: np.random.Generator) -> dict[str, Any]:
    """Operations and milliseconds of each contest, and the slope of one against the other, both as logarithms.

    The slope is 1 where the arithmetic sets the time, less where a fixed cost does.
    """
    operations: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in GROWING}
    for maker in make:
        contest = maker()
        operations.append(contest.operations)
        rivals = {name: contest.run[name] for name in GROWING}
        for name, timing in measure(rivals, "torch", count=1, rounds=rounds, rng=rng).items():
            times[name].append(timing.milliseconds)
    slopes = {name: float(np.polyfit(np.log(operations), np.log(values), 1)[0]) for name, values in times.items()}
    return {"operations": operations, "milliseconds": times, "slopes": slopes}


def peak_memory(contest: Contest) -> dict[str, float]:
    """The most that a NumPy rival holds at once, its inputs included, over the size of its inputs and outputs.

    What torch allocates is out of sight of `tracemalloc`, and not measured.
    """
    shares = {}
    for name, answer in contest.answer.items():
        if name.startswith("torch"):
            continue
        tracemalloc.start()
        results = answer()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        shares[name] = (contest.given + peak) / (contest.given + sum(a.nbytes for a in results))
    return shares


def epoch(split: Split, *, most: int | None) -> dict[str, Any]:
    """One epoch of the ConvNet on these images and of its torch twin, gathering of the minibatches included.

    The two take turns every few steps. most: steps, if fewer than an epoch's. Returns seconds and last loss of each,
    and the ratio of the seconds.
    """
    X, y = split.X_train, split.y_train
    batch = min(EPOCH_BATCH, len(X))
    order = np.random.default_rng(0).permutation(len(X))
    steps = min(len(X) // batch, most or len(X))
    runners = {"torch": _torch_epoch(X, y), "scratch": _scratch_epoch(X, y, batch)}
    seconds, losses = dict.fromkeys(runners, 0.0), dict.fromkeys(runners, 0.0)
    for first, last in pairwise([*range(0, steps, STRETCH), steps]):
        for name, step in runners.items():
            start = time.process_time()
            for i in range(first, last):
                losses[name] = step(order[i * batch : (i + 1) * batch])
            seconds[name] += time.process_time() - start
    ratio = seconds["scratch"] / seconds["torch"]
    return {"steps": steps, "batch": batch, "seconds": seconds, "last_loss": losses, "ratio": ratio}


def _net(X: Any) -> scratch.ConvNet:
    return scratch.ConvNet(X.shape[1:], dtype=np.float32, rng=np.random.default_rng(0))


def _scratch_epoch(X: Any, y: Any, batch: int) -> Callable[[Any], float]:
    fused: Any = scratch.fuse(_net(X))
    rows, labels = np.empty((batch, *X.shape[1:]), X.dtype), np.empty(batch, y.dtype)

    def step(picked: Any) -> float:
        np.take(X, picked, axis=0, out=rows, mode="clip")
        np.take(y, picked, out=labels, mode="clip")
        return float(fused.step(rows, labels, EPOCH_RATE))

    return step


def _torch_epoch(X: Any, y: Any) -> Callable[[Any], float]:
    net = twins.from_params("convnet", _net(X).params, X.shape[1:])
    optimizer = torch.optim.SGD(net.parameters(), lr=EPOCH_RATE)
    images, labels = torch.from_numpy(np.array(X)), torch.from_numpy(np.array(y))

    def step(picked: Any) -> float:
        rows = torch.from_numpy(picked)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images[rows]), labels[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(loss.item())

    return step
