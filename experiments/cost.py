"""What does an exam cost beside torch.autograd.gradcheck at its defaults?

Both check an affine layer, x (10, 64), w (64, 32), b (32,): gradcheck in float64; the exam in float64 and float32 with
everything it does, without the corner cases, the gradients alone under their derived allowance, and those of a further
subject of the same truth. Processor time of one thread, taken in turns, the median.

A hundredth of gradcheck, which one would wish for the gradients alone, is the time in which torch computes this layer
and its gradients some ten times. Each precision takes the truth, the subject's run, a run of two lanes that nobody
disturbs and two passes of four lanes that are: the passes, in each of which every operation is computed twice and its
noise drawn, are half of the time, the bounds that are read off their results a fifth, torch's own batching a fifth.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from scratchproof import examine, row
from scratchproof.exam.compare import compare
from scratchproof.exam.exam import Trial
from scratchproof.exam.judge import quantities
from scratchproof.vjp import PRECISIONS, answer, from_torch

from .command import Common, command, option
from .record import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """How often each is timed."""

    turns: int = option(5, "how often each is timed, in turns")


SMOKE = {"turns": 1}
SHAPES = {"x": (10, 64), "w": (64, 32), "b": (32,)}


def main(config: Config) -> dict[str, object]:
    """Time and print; return the record."""
    torch.set_num_threads(1)
    run = Run.start("cost", config)
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for turn in range(config.turns + 1):
        for name, contestant in CONTESTANTS.items():
            begun = time.process_time()
            contestant()
            if turn:  # the first turn imports
                seconds[name].append(time.process_time() - begun)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:28} {1e3 * median:8.1f} ms  {medians['gradcheck'] / median:6.2f} times cheaper than gradcheck")
    return run.finish({"milliseconds": {name: 1e3 * median for name, median in medians.items()}})


def affine(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return x @ w + b


def gradcheck() -> None:
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in SHAPES.values()]
    torch.autograd.gradcheck(affine, inputs)


def trials() -> tuple[Trial, ...]:
    """The layer's case under one cotangent, in both precisions; truth and tolerance are found when asked for."""
    layer = row("affine", truth=affine, inputs=SHAPES)
    drawn = []
    for precision in (PRECISIONS["float64"], PRECISIONS["float32"]):
        inputs = precision.rounded(layer.cases[0].inputs(np.random.default_rng(0)))
        told = {"layer": layer, "case": layer.cases[0], "name": "inputs", "precision": precision, "inputs": inputs}
        drawn.append(Trial(**told, seed=0, pulls=1))  # type: ignore[arg-type]
    return tuple(drawn)


def judged(trials: tuple[Trial, ...]) -> None:
    """The output and the gradients of a subject in the trials."""
    for trial in trials:
        found = answer(from_torch(affine, trial.precision), trial.given(), trial.given_cotangents())
        for measured in quantities(trial, found):
            compare(measured.actual, measured.expected, measured.tolerance, trial.precision)


def gradients_alone() -> None:
    """The output and the gradients of one subject."""
    judged(trials())


@cache
def kept() -> tuple[Trial, ...]:
    """Trials with the truth and the tolerance that an earlier subject has asked for."""
    return trials()


def gradients_of_one_more() -> None:
    """The output and the gradients of a further subject, as `grade` judges many."""
    judged(kept())


CONTESTANTS: dict[str, Callable[[], object]] = {
    "gradcheck": gradcheck,
    "the exam, everything": lambda: examine(affine, truth=affine, inputs=SHAPES),
    "the exam, no corners": lambda: examine(affine, truth=affine, inputs=SHAPES, effort="quick"),
    "the gradients alone": gradients_alone,
    "those of a further subject": gradients_of_one_more,
}


if __name__ == "__main__":
    command(Config, main, SMOKE)()
