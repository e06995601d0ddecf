"""Where a device's answer differs from the CPU's in float64: rounding, TF32, an order that changes, or a bug?

The table's layers and losses, and sums whose order a GPU leaves to chance, are asked in every precision several times
over, with the same inputs. Differences within what the precision allows are rounding. Of one beyond, it is asked
whether TF32 products would explain it, and whether the runs differ among themselves by as much: what neither explains
is a bug.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from scratchproof import row
from scratchproof.exam.exam import EFFORTS, Exam, Trial
from scratchproof.exam.judge import quantities
from scratchproof.progress import progress
from scratchproof.subjects.subject import load
from scratchproof.table.layers import LAYERS, Layer
from scratchproof.vjp import PRECISIONS, Answer, Precision, answer, from_torch

from .command import Common, command, option, resolve_device
from .record import Run

ON_CUDA = ("float32", "tf32", "bfloat16", "float16")
ON_CPU = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """What is asked, and how often."""

    runs: int = option(5, "how often the same is asked", least=2)
    only: str = option("", "only these rows, separated by commas")


SMOKE = {"runs": 2, "only": "affine,index_add"}


def chancy() -> tuple[Layer, ...]:
    """Sums that many threads add to at once, in whatever order they come."""

    def places(rng: np.random.Generator) -> Any:
        return rng.integers(0, 7, 500)

    def index_add(x: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return torch.zeros(7, x.shape[1], dtype=x.dtype, device=x.device).index_add(0, at, x)

    return (
        row("index_add", truth=index_add, inputs={"x": (500, 3), "at": places}),
        row("embedding", truth=lambda w, at: torch.nn.functional.embedding(at, w), inputs={"w": (7, 3), "at": places}),
    )


def main(config: Config) -> dict[str, object]:
    """Ask, print and return the record."""
    device = resolve_device("torch", config.device)
    rows = [layer for layer in (*LAYERS, *chancy()) if layer.kind in ("pair", "loss", "function")]
    only = [name for name in config.only.split(",") if name]
    if unknown := set(only) - {layer.name for layer in rows}:
        raise ValueError(f"no row is called {sorted(unknown)[0]!r}: choose from {', '.join(r.name for r in rows)}")
    run = Run.start("attribution", config)
    run.begin()
    asked = [
        (layer, PRECISIONS[name])
        for layer in rows
        if not only or layer.name in only
        for name in (ON_CUDA if device == "cuda" else ON_CPU)
    ]
    found = []
    with progress("attributing") as advance:
        for done, (layer, precision) in enumerate(asked):
            advance(done, len(asked))
            found += list(attributed(layer, precision, device, config.runs, config.seed))
    print(f"{'':20} {'':5} {'in':9} {'error':>10} {'spread':>10}  of what is allowed")
    for one in found:
        cells = f"{one['error']:10.3g} {one['spread']:10.3g}"
        print(f"{one['row']:20} {one['quantity']:5} {one['precision']:9} {cells}  {one['because']}")
    return run.finish({"device": device, "rows": found})


def attributed(layer: Layer, precision: Precision, device: str, runs: int, seed: int) -> Iterator[dict[str, Any]]:
    """A line for each output and gradient of the row's first case."""
    exam = Exam(subject=load("torch"), layer=layer, precision=precision, seed=seed, effort=EFFORTS["quick"])
    trial = exam.trials[0]
    function = from_torch(layer.torch, precision, device=device, constant=layer.constant, options=trial.case.options)
    answers = [answer(function, trial.inputs, trial.cotangents[:1]) for _ in range(runs)]
    errors, spreads = (_shares(trial, answers, of) for of in ("truth", "first"))
    coarse = (
        _shares(replace(trial, precision=PRECISIONS["tf32"]), answers, "truth") if precision.unit < 2.0**-20 else {}
    )
    for quantity, error in errors.items():
        yield {
            "row": layer.name,
            "quantity": quantity,
            "precision": precision.name,
            "error": error,
            "spread": spreads[quantity],
            "because": because(error, spreads[quantity], coarse.get(quantity)),
        }


def because(error: float, spread: float, coarse: float | None) -> str:
    """What an error comes from; all as shares of what is allowed. coarse: of what TF32 products would be."""
    if error <= 1:
        return "rounding" if not spread else "rounding, in an order that changes"
    if spread >= error / 2:
        return "an order that changes"
    return "TF32" if coarse is not None and coarse <= 1 else "a BUG: nothing explains it"


def _shares(trial: Trial, answers: Sequence[Answer], of: str) -> dict[str, float]:
    """The largest difference of any run from the truth, or from the first run, by quantity."""
    worst: dict[str, float] = {}
    first = {m.quantity: m.actual.astype(np.float64) for m in quantities(trial, answers[0])}
    for found in answers:
        for m in quantities(trial, found):
            base = m.expected if of == "truth" else first[m.quantity]
            apart = np.abs(m.actual.astype(np.float64) - base)
            with np.errstate(all="ignore"):
                share = np.where(apart == 0, 0.0, apart / m.tolerance.allowed)
            worst[m.quantity] = max(worst.get(m.quantity, 0.0), float(share.max(initial=0.0)))
    return worst


if __name__ == "__main__":
    command(Config, main, SMOKE)()
