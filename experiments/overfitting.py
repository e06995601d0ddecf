"""What narrows the gap between training and test accuracy? (The write-ups' inline question 2, measured.)

One thing at a time is changed: the number of training images, the hidden units, the regularisation. Every other
setting stays, every point is the mean of several seeds, and the gap is that of the last epoch's accuracies. The
answer expected: more images and more regularisation narrow it, more hidden units do not. A change that is within its
spread over the seeds is told as no change.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scratchproof.images.data import Split

from . import plots
from .command import Common, command, option, resolve_device
from .record import Run, mean_std
from .sources import Setting
from .training import fit_two_layer, images_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The values that are tried; the others stay at the middle of each list."""

    seeds: int = option(3, "how many runs of each point, each with its own seed", least=2)
    images: tuple[int, ...] = option((500, 2000, 4000), "numbers of training images", least=1)
    hidden: tuple[int, ...] = option((20, 100, 500), "numbers of hidden units", least=1)
    reg: tuple[float, ...] = option((0.0, 1.0, 10.0), "L2 regularisations", least=0)
    steps: int = option(1500, "steps of SGD, the same for every point", least=1)
    batch_size: int = option(100, "images in a minibatch", least=1)
    learning_rate: float = option(1e-3, "learning rate", above=0)


AXES = {"images": "training images", "hidden": "hidden units", "reg": "L2 regularisation"}
SMOKE = {"seeds": 2, "images": (200, 400), "hidden": (8, 16), "reg": (0.0, 1.0), "steps": 8}
NEEDS = ("matplotlib",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting and its accuracies, one a seed."""

    train: list[float]
    test: list[float]

    def gaps(self) -> list[float]:
        """Training less test accuracy, one a seed."""
        return [train - test for train, test in zip(self.train, self.test, strict=True)]


def main(config: Config) -> dict[str, object]:
    """Measure all three questions, print, draw, and return the record."""
    run = Run.start("overfitting", config)
    split = images_for(config, run)
    most = max(config.images)
    if most > len(split.y_train):
        raise ValueError(f"{most} training images are asked for, but the set has {len(split.y_train)}")
    resolve_device(config.backend, config.device)
    run.begin()
    middle = {"images": _middle(config.images), "hidden": _middle(config.hidden), "reg": min(config.reg)}
    measured: dict[tuple[float, ...], Point] = {}  # the point in the middle lies on all three lines
    drawing, axes = plots.figure(3, width=4)
    metrics: dict[str, Any] = {}
    for axis, name in zip(axes, middle, strict=True):
        values = getattr(config, name)
        for chosen in ({**middle, name: value} for value in values):
            if (key := tuple(chosen.values())) not in measured:
                measured[key] = _measure(config, split, chosen, run)
        points = [measured[tuple({**middle, name: value}.values())] for value in values]
        metrics[name] = _show(name, values, points)
        _draw(axis, name, values, points, metrics[name]["verdict"])
    plots.save(drawing, run.path("gap.png"))
    return run.finish({"fixed": middle, **metrics})


def _draw(axis: Any, name: str, values: tuple[float, ...], points: list[Point], verdict: str) -> None:
    places = range(len(values))
    for part in ("train", "test"):
        means, spreads = zip(
            *((np.mean(a), np.std(a, ddof=1)) for a in (getattr(p, part) for p in points)), strict=True
        )
        axis.errorbar(places, means, spreads, label=part, marker="o", markersize=4, capsize=3)
    axis.set(xlabel=AXES[name], ylabel="accuracy", title=f"more {AXES[name]}: {verdict}")
    axis.set_xticks(places, [f"{value:g}" for value in values])
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)


def _middle(values: tuple[int, ...]) -> int:
    return values[len(values) // 2]


def _measure(config: Config, split: Split, chosen: dict[str, Any], run: Run) -> Point:
    images = chosen["images"]
    fewer = replace(split, X_train=split.X_train[:images], y_train=split.y_train[:images])
    batch = min(config.batch_size, images)
    setting = Setting(
        hidden=chosen["hidden"],
        learning_rate=config.learning_rate,
        reg=chosen["reg"],
        epochs=max(1, round(config.steps / (images // batch))),
        batch_size=batch,
    )
    options: Any = {"backend": config.backend, "device": config.device, "on_step": run.first_step}
    fits = [fit_two_layer(setting, fewer, seed=seed, **options) for seed in config.run_seeds()]
    return Point(train=[f.train_acc_history[-1] for f in fits], test=[f.last_test_acc for f in fits])


def _show(name: str, values: tuple[float, ...], points: list[Point]) -> dict[str, Any]:
    for value, point in zip(values, points, strict=True):
        train, test, gap = (mean_std(part) for part in (point.train, point.test, point.gaps()))
        print(f"{name} {value:>6g}: train {train}, test {test}, gap {gap}", flush=True)
    change = np.array(points[-1].gaps()) - np.array(points[0].gaps())
    mean, spread = float(change.mean()), float(change.std(ddof=1))
    verdict = "no change" if abs(mean) <= spread else "the gap narrows" if mean < 0 else "the gap widens"
    print(f"more {name}: {verdict} ({mean:+.3f}, spread over the seeds {spread:.3f})")
    gaps = [point.gaps() for point in points]
    return {"values": values, "train": [p.train for p in points], "gaps": gaps, "verdict": verdict}


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
