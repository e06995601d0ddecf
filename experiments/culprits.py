"""Does the trace name the layer that is wrong, and never a right one?

Bugs are planted at random places of nets that people use, and each net is traced beside the right one: is the
culprit named at exactly its place? Then the right nets, in each precision and seed: whatever is called wrong is a
false alarm. Beside it, what fixed thresholds say of the whole net's output: allclose at its defaults, and means
compared at 1e-4.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.images.data import load_split
from scratchproof.progress import progress
from scratchproof.tracing.models import Trace, trace

from .command import Common, command, option
from .planted import PLANTS
from .record import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """What is planted where."""

    nets: str = option("resnet18,mobilenet_v3_small,vit,densenet121,transformer", "nets, separated by commas")
    plants: int = option(100, "bugs planted, over all nets")
    seeds: int = option(10, "how often each right net is traced in each precision")
    precisions: str = option("float32,bfloat16", "precisions, separated by commas")
    rows: int = option(4, "images in the minibatch")


SMOKE = {"nets": "vit", "plants": 2, "seeds": 1, "precisions": "float32", "rows": 2}


def main(config: Config) -> dict[str, object]:
    """Plant, trace, count and print; return the record."""
    torch.set_num_threads(1)
    run = Run.start("culprits", config)
    images = _images(config)
    names = config.nets.split(",")
    precisions = config.precisions.split(",")
    found = [_hunt(names[i % len(names)], images, config.seed + i, precisions) for i in _counted(config.plants)]
    alarms = [_alarms(name, images, precision, config) for name in names for precision in precisions]
    _tell(found, precisions)
    return run.finish({"found": found, "alarms": alarms})


def net(name: str, classes: int = 10) -> nn.Module:
    """One of the nets, small enough for 32 x 32 images, with random weights. Raises: ValueError."""
    import torchvision.models as zoo

    makers: dict[str, Callable[[], nn.Module]] = {
        "resnet18": lambda: zoo.resnet18(num_classes=classes),
        "mobilenet_v3_small": lambda: zoo.mobilenet_v3_small(num_classes=classes),
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
        layer = nn.TransformerEncoderLayer(96, 4, 128, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(96, classes)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        scores: Tensor = self.head(self.encoder(rows).mean(1))
        return scores


def _images(config: Config) -> Tensor:
    split = load_split(config.data, root=config.root, download=config.download)
    X = np.asarray(split.X_train[: config.rows], dtype=np.float64)
    return torch.from_numpy(X / X.std())


def _counted(count: int) -> Any:
    with progress("planting") as advance:
        for i in range(count):
            advance(i, count)
            yield i


def _made(name: str, seed: int) -> nn.Module:
    """A net with random weights, biases and affine parameters included: where all are 0 or 1, bugs hide."""
    torch.manual_seed(seed)
    made = net(name)
    with torch.no_grad():
        for p in made.parameters():
            if p.ndim == 1:
                p.add_(0.2 * torch.randn_like(p))
    return made


def _hunt(name: str, images: Tensor, seed: int, precisions: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    right = _made(name, seed)
    order = rng.permutation(list(PLANTS))
    for plant in order:
        spoilt = copy.deepcopy(right)
        if plant == "dropout in eval":
            spoilt.eval()
        model = copy.deepcopy(right).train(spoilt.training)
        if (path := PLANTS[plant](spoilt, rng)) is not None:
            break
    record: dict[str, Any] = {"net": name, "plant": str(plant), "path": path, "seed": seed}
    for precision in precisions:
        told = trace(spoilt, model, inputs=images, precision=precision, seed=seed)
        record[precision] = told.culprit
    with torch.no_grad():
        a, b = spoilt.float()(images.float()), model.float()(images.float())
    record["allclose"] = not torch.allclose(a, b)
    record["mean at 1e-4"] = bool((a.mean() - b.mean()).abs() > 1e-4)
    return record


def _alarms(name: str, images: Tensor, precision: str, config: Config) -> dict[str, Any]:
    told, spent = [], []
    for seed in config.run_seeds():
        before = time.process_time()
        told.append(trace(_made(name, seed), inputs=images, precision=precision, seed=seed))
        spent.append(time.process_time() - before)
    worst = max(nearest(t) for t in told)
    wrong = [f"{t.culprit}: {t.reason}" for t in told if t.culprit]
    drifts = sum(t.drifts for t in told)
    seconds = float(np.median(spent))
    print(
        f"{name:20} {precision:9} {len(wrong)} alarms in {len(told)}, {drifts} drift, "
        f"worst error/allowed {worst:.2f}, {seconds:.1f} s of CPU each"
    )
    for line in wrong:
        print(f"    {line}")
    return {"net": name, "precision": precision, "alarms": wrong, "drifts": drifts, "worst": worst, "seconds": seconds}


def nearest(told: Trace) -> float:
    """The largest error over its allowance among the calls by themselves."""
    ratios = [
        line.forced.error / line.forced.allowed
        for line in told.lines
        if line.forced is not None and line.forced.error is not None and line.forced.allowed
    ]
    return max(ratios, default=0.0)


def _named(record: dict[str, Any], precision: str) -> bool:
    """At exactly its place: the planted module itself, or what it calls inside."""
    path, culprit = record["path"], record[precision]
    return bool(culprit == path or culprit.startswith((f"{path} ->", f"{path} #")))


def _tell(found: list[dict[str, Any]], precisions: list[str]) -> None:
    for record in found:
        told = "  ".join(f"{p}: {'named' if _named(record, p) else record[p] or 'nothing seen'}" for p in precisions)
        print(f"{record['net']:20} {record['plant']:34} {record['path']:40} {told}")
    for precision in precisions:
        print(f"{precision}: {sum(_named(r, precision) for r in found)} of {len(found)} named at their place")
    for rule in ("allclose", "mean at 1e-4"):
        print(f"{rule} on the whole net's output: {sum(r[rule] for r in found)} of {len(found)} seen, none placed")


if __name__ == "__main__":
    command(Config, main, SMOKE)()
