"""Does the trace name the layer that is wrong, and never a right one?

Nets that people use, with random weights, on images. Of each net and seed one truth is run; beside it the right net as
it is, with its channels last in memory, and compiled: whatever is called wrong there is a false alarm. Then bugs are
planted at random places, one at a time: is the culprit named at exactly its place? Beside that, what fixed thresholds
say of the whole net's output: allclose at its defaults, and means compared at 1e-4.

A line of results.jsonl is kept for each net, precision and seed, so a run that was stopped goes on where it was.
"""

import copy
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.images.data import load_split
from scratchproof.progress import progress
from scratchproof.tracing.beside import Beside
from scratchproof.tracing.lines import Trace
from scratchproof.vjp import PRECISIONS

from .command import Common, command, option
from .planted import PLANTS
from .record import Run

NETS = ("resnet18", "mobilenet_v3_small", "vit", "densenet121", "transformer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """What is planted where."""

    nets: str = option(",".join(NETS), "nets, separated by commas")
    plants: int = option(2, "bugs planted in each net of each seed", least=0)
    seeds: int = option(10, "how many nets of each kind", least=1, free=True)
    precisions: str = option("float32,bfloat16", "precisions, separated by commas", free=True)
    modes: str = option("eager,channels_last,compiled", "how the right nets are run, separated by commas")
    rows: int = option(4, "images in the minibatch", least=2)
    threads: int = option(1, "torch's threads", least=1)
    results: str = option("runs/culprits.jsonl", "where results are kept and found again")


SMOKE = {
    "nets": "transformer",
    "plants": 1,
    "seeds": 1,
    "precisions": "float32",
    "modes": "eager,channels_last",
    "rows": 2,
    "results": "runs/smoke/culprits.jsonl",
}


def main(config: Config) -> dict[str, object]:
    """Plant, trace, count and print; return the record. Raises: ValueError for a net or mode of another name."""
    torch.set_num_threads(config.threads)
    run = Run.start("culprits", config)
    for mode in config.modes.split(","):
        if mode not in MODES:
            raise ValueError(f"no way to run a net is called {mode!r}: choose from {', '.join(MODES)}")
    images, described = _images(config)
    run.use(described)
    file = Path(config.results)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = {line["key"]: line for line in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    wanted = [
        (net, precision, seed)
        for seed in config.run_seeds()
        for precision in config.precisions.split(",")
        for net in config.nets.split(",")
    ]
    found = []
    with progress("tracing nets") as advance, file.open("a", encoding="utf-8") as lines:
        for done, (net, precision, seed) in enumerate(wanted):
            advance(done, len(wanted))
            key = f"{net} {precision} {seed} {config.rows} {config.modes} {config.plants}"
            if key not in known:
                known[key] = {"key": key, **_traced(net, precision, seed, images, config)}
                lines.write(json.dumps(known[key]) + "\n")
                lines.flush()
            found.append(known[key])
    _tell(found, config)
    return run.finish({"found": found})


def net(name: str, classes: int = 10) -> nn.Module:
    """One of the nets, without dropout, for 32 x 32 images, with random weights. Raises: ValueError."""
    import torchvision.models as zoo

    makers: dict[str, Callable[[], nn.Module]] = {
        "resnet18": lambda: zoo.resnet18(num_classes=classes),
        "mobilenet_v3_small": lambda: zoo.mobilenet_v3_small(num_classes=classes, dropout=0.0),
        "vit": lambda: zoo.VisionTransformer(32, 8, 3, 4, 32, 64, num_classes=classes),
        "densenet121": lambda: zoo.densenet121(num_classes=classes),
        "transformer": lambda: _Transformer(classes),
    }
    if name not in makers:
        raise ValueError(f"no net is called {name!r}: choose from {', '.join(makers)}")
    return makers[name]()


class _Transformer(nn.Module):
    """torch.nn's encoder over the rows of an image."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(96, 4, 128, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(96, classes)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        scores: Tensor = self.head(self.encoder(rows).mean(1))
        return scores


def _compiled(model: nn.Module) -> nn.Module:
    torch._dynamo.reset()
    return torch.compile(model)  # type: ignore[return-value]


MODES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "eager": lambda model: model,
    "channels_last": lambda model: model.to(memory_format=torch.channels_last),
    "compiled": _compiled,
}


def _images(config: Config) -> tuple[Tensor, str]:
    split = load_split(config.data, root=config.root, download=config.download)
    X = np.asarray(split.X_train[: config.rows], dtype=np.float64)
    return torch.from_numpy(X / X.std()), split.description


def made(name: str, seed: int) -> nn.Module:
    """A net with random weights, no two layers alike: where biases are all 0 or layers are copies, bugs hide.

    Every second seed's is in eval mode, with running statistics of its own and a dropout that is not to be active.
    """
    torch.manual_seed(seed)
    model = net(name).train(seed % 2 == 0)
    for module in model.modules():
        if seed % 2 and isinstance(module, nn.Dropout):
            module.p = 0.1
    for name, buffer in model.named_buffers():
        if seed % 2 and name.endswith("running_mean"):
            buffer.normal_(0.0, 0.2)
        if seed % 2 and name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1 or not p.any():
                p.add_(0.2 * torch.randn_like(p))
            else:
                p.mul_(1 + 0.2 * torch.randn_like(p))
    return model


def _traced(name: str, precision: str, seed: int, images: Tensor, config: Config) -> dict[str, Any]:
    """One truth, and beside it the right net in every mode and a few wrong ones."""
    right = made(name, seed)
    how: dict[str, Any] = {"precision": PRECISIONS[precision], "pairs": {}, "seed": seed, "keep": True}
    before = time.process_time()
    beside = Beside(truth=right, inputs=images, **how)
    rights, seconds = {}, {}
    for mode in config.modes.split(","):
        rights[mode] = _said(_quietly(beside, MODES[mode](copy.deepcopy(right))))
        seconds[mode], before = time.process_time() - before, time.process_time()
    rng = np.random.default_rng([seed, NETS.index(name)])
    plants = [_planted(right, beside, images, rng) for _ in range(config.plants)]
    return {"net": name, "precision": precision, "seed": seed, "rights": rights, "seconds": seconds, "plants": plants}


def _quietly(beside: Beside, model: nn.Module) -> Trace:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's
        return beside.trace(model)


def _said(told: Trace) -> dict[str, Any]:
    return {"alarm": told.problem, "drifts": told.drifts, "nearest": nearest(told)}


def _planted(right: nn.Module, beside: Beside, images: Tensor, rng: np.random.Generator) -> dict[str, Any]:
    for plant in rng.permutation(list(PLANTS)):
        spoilt = copy.deepcopy(right)
        if (path := PLANTS[plant](spoilt, rng)) is not None:
            break
    told = beside.trace(spoilt)
    with torch.no_grad():
        a, b = copy.deepcopy(spoilt).float()(images.float()), copy.deepcopy(right).float()(images.float())
    return {
        "plant": str(plant),
        "path": path,
        "culprit": told.culprit,
        "reason": told.reason,
        "allclose": not torch.allclose(a, b),
        "mean at 1e-4": bool((a.mean() - b.mean()).abs() > 1e-4),
    }


def nearest(told: Trace) -> float:
    """The largest error over its allowance among the calls by themselves."""
    ratios = [
        line.forced.error / line.forced.allowed
        for line in told.lines
        if line.forced is not None and line.forced.error is not None and line.forced.allowed
    ]
    return max(ratios, default=0.0)


def _named(record: dict[str, Any]) -> bool:
    """At exactly its place: the planted module itself, or what it calls inside."""
    path, culprit = record["path"], record["culprit"]
    return bool(culprit == path or culprit.startswith((f"{path} ->", f"{path} #")))


def _tell(found: list[dict[str, Any]], config: Config) -> None:
    precisions = config.precisions.split(",")
    for precision in precisions:
        print("\n".join(_of_plants([r for r in found if r["precision"] == precision], precision)))
    for precision in precisions:
        for name in config.nets.split(","):
            lines = [r for r in found if (r["net"], r["precision"]) == (name, precision)]
            for mode in config.modes.split(","):
                print("\n".join(_of_right(lines, name, precision, mode)))


def _of_plants(found: list[dict[str, Any]], precision: str) -> Iterator[str]:
    plants = [(record["net"], plant) for record in found for plant in record["plants"]]
    for name, p in plants:
        if not _named(p):
            yield f"{name:20} {p['plant']:34} {p['path']:44} {precision}: {p['culprit'] or 'nothing seen'}"
    yield f"{precision}: {sum(_named(p) for _, p in plants)} of {len(plants)} bugs named at exactly their place"
    for rule in ("allclose", "mean at 1e-4"):
        yield f"  {rule} on the whole net's output: {sum(p[rule] for _, p in plants)} seen, none placed"


def _of_right(found: list[dict[str, Any]], name: str, precision: str, mode: str) -> Iterator[str]:
    told = [record["rights"][mode] for record in found]
    alarms = [one["alarm"] for one in told if one["alarm"]]
    seconds = float(np.median([record["seconds"][mode] for record in found]))
    worst = max(one["nearest"] for one in told)
    yield (
        f"{name:20} {precision:9} {mode:14} {len(alarms)} alarms in {len(told)}, "
        f"{sum(one['drifts'] for one in told)} drift, worst error/allowed {worst:.2f}, {seconds:.1f} s of CPU"
    )
    yield from (f"    {alarm}" for alarm in alarms)


if __name__ == "__main__":
    command(Config, main, SMOKE)()
