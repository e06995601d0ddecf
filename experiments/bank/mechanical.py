"""How many of all small changes to scratch's own source does the exam notice?

Every mutant of `scratchproof.bank.mutations` sits the rows that its function serves, those first that bear its name,
until one of them tells. A line of results.jsonl is written for each, and those that are there are not asked again:
a run that was stopped goes on where it was. What lives and changes nothing is listed in `equivalent` with the reason.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from scratchproof import scratch
from scratchproof.bank.kill import Bench, killed, source_of
from scratchproof.bank.mutations import Mutant, mutants
from scratchproof.progress import progress
from scratchproof.table.layers import LAYERS, Layer, row

from ..command import Common, command, option
from ..record import Run
from .equivalent import reason

NETS = ("TwoLayerNet", "LinearClassifier", "XorNet", "ConvNet", "three_layer_forward")
# Which rows a room of scratch serves, beside those that bear the function's name.
ROOMS: Mapping[str, tuple[str, ...]] = {
    "layers": (
        *("affine", "affine_relu", "batchnorm", "batchnorm_running", "sigmoid", "tanh", "relu", "leaky_relu"),
        *("dropout", "batchnorm_inference", "affine.need_dx", "affine_relu.need_dx"),
    ),
    "norms": ("layernorm", "spatial_batchnorm", "spatial_groupnorm"),
    "losses": ("softmax_loss", "svm_loss", "logistic_loss", "squared_loss"),
    "conv": ("conv", "conv.need_dx"),
    "pooling": ("max_pool", "avg_pool"),
    "_windows": ("conv", "max_pool", "avg_pool", "conv.need_dx", "spatial_groupnorm", "ConvNet"),
    "init": ("TwoLayerNet.start", "XorNet.start", "TwoLayerNet.defaults", "XorNet.defaults", "ConvNet.start"),
    "optim": ("sgd", "sgd_momentum", "rmsprop", "adam"),
    "nets": tuple(layer.name for layer in LAYERS if layer.called in NETS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Which mutants, and where their results are kept."""

    rooms: str = option("layers,norms,losses,conv,pooling,_windows,init,optim,nets", "rooms of scratch")
    every: int = option(1, "only every so-manieth mutant")
    results: str = option("runs/mutants.jsonl", "where results are written and found again")


SMOKE = {"rooms": "losses", "every": 60, "results": "runs/smoke/mutants.jsonl"}


def main(config: Config) -> dict[str, object]:
    """Examine every mutant that has not been examined; count, print and return the record."""
    torch.set_num_threads(1)
    run = Run.start("mechanical", config)
    file = Path(config.results)
    file.parent.mkdir(parents=True, exist_ok=True)
    asked = [(room, m) for room in config.rooms.split(",") for m in mutants(source_of(scratch, room))][:: config.every]
    known = _known(file)
    bench = Bench(seed=config.seed)
    with progress("mutants", every=20.0) as advance, file.open("a", encoding="utf-8") as lines:
        for done, (room, mutant) in enumerate(asked):
            advance(done, len(asked))
            key = f"{room}: {mutant.name}"
            if key not in known:
                known[key] = killed(
                    bench, scratch, {room: mutant.source}, _rows(room, mutant), names=_plain_too(mutant)
                )
                lines.write(json.dumps({"mutant": key, "told": known[key]}) + "\n")
                lines.flush()
    return run.finish(_count([f"{room}: {mutant.name}" for room, mutant in asked], known))


def _known(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    found = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    return {entry["mutant"]: entry["told"] for entry in found}


def _rows(room: str, mutant: Mutant) -> list[Layer]:
    """The rows to ask: those whose subject's name begins as the function's does, then all that the room serves."""
    named = [layer for layer in LAYERS if mutant.function in _functions(layer)]
    return named + [layer for name in ROOMS[room] if (layer := row(name)) not in named]


def _functions(layer: Layer) -> tuple[str, ...]:
    ways = ("", "_forward", "_backward", "_forward_plain", "_backward_plain")
    return tuple(f"{layer.called}{way}" for way in ways)


def _plain_too(mutant: Mutant) -> Any:
    """What of the package is examined: the definitions in place of the fast forms, where one of them was changed."""
    if "plain" not in mutant.function:
        return vars

    def names(module: ModuleType) -> dict[str, Any]:
        found = vars(module)
        return {**found, **{name.removesuffix("_plain"): v for name, v in found.items() if name.endswith("_plain")}}

    return names


def _count(asked: list[str], known: Mapping[str, str]) -> dict[str, object]:
    """Print how many were noticed, by room, and what lives; return both."""
    totals, equal, lives = Counter[str](), Counter[str](), []
    for key in asked:
        room = key.split(":")[0]
        totals[room] += 1
        if not known[key]:
            equal[room] += bool(reason(key))
            lives += [] if reason(key) else [key]
    for room, total in totals.items():
        living = sum(key.startswith(f"{room}:") for key in lives)
        print(f"{room:10} {total - equal[room] - living:5,} of {total - equal[room]:5,}; {equal[room]} equivalent")
    due = len(asked) - sum(equal.values())
    print(f"noticed {due - len(lives):,} of {due:,} ({100 * (1 - len(lives) / max(due, 1)):.2f} %)")
    for key in lives:
        print(f"  lives: {key}")
    return {"asked": len(asked), "equivalent": sum(equal.values()), "lives": lives}


if __name__ == "__main__":
    command(Config, main, SMOKE)()
