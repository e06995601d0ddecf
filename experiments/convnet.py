"""How much better are convolutions than nets that know nothing of images, and what do they see?

A linear classifier, a two-layer net and a net of two small convolutions, with the same care: the same images,
mirrored at random, SGD with momentum, a rate that rises over the first epoch and then falls in a straight line to
zero, a peak rate chosen for each net. Accuracy is told beside parameters and time. The convolutional net has the
fewest weights of the two that are not linear, because every place of the image shares them. The mark: a test
accuracy of 0.65 within thirty minutes of one core.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchproof import scratch
from scratchproof.images.data import Split

from . import plots
from .command import Common, command, option, resolve_device
from .conv_nets import TwoConvNet, twin
from .recipe import mirrored, rise_and_fall, scaled
from .record import Run, mean_std
from .training import Fit, Plan, fit, images_for

NETS = ("linear", "two_layer", "convnet")
CLEARLY = 3
"""Better is clearly better from this many standard deviations on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The settings of the three nets."""

    seeds: int = option(3, "how many runs of each net, each with its own seed", least=1, free=True)
    filters: tuple[int, ...] = option((32, 64), "filters of the two convolutions", least=1)
    filter_size: int = option(5, "width and height of the first ones, odd", least=1)
    hidden: int = option(500, "units of the two-layer net", least=1)
    epochs: tuple[int, ...] = option((5, 15, 8), "passes over the images: linear, two-layer, convolutional", least=1)
    rates: tuple[float, ...] = option((0.003, 0.03, 0.04), "highest learning rates, in the same order", above=0)
    momentum: float = option(0.9, "share of the velocity that is kept", least=0, below=1)
    batch_size: int = option(100, "images in a minibatch", least=1)
    goal: float = option(0.65, "test accuracy to reach", free=True)


SMOKE = {"seeds": 2, "filters": (4, 6), "filter_size": 3, "hidden": 8, "epochs": (1, 1, 1), "goal": 0.1}
NEEDS = ("matplotlib",)


def main(config: Config) -> dict[str, object]:
    """Train every net on every seed, print, draw, and return the record."""
    for name, count in (("filters", 2), ("epochs", 3), ("rates", 3)):
        if len(getattr(config, name)) != count:
            raise ValueError(f"{name} has {len(getattr(config, name))} numbers but needs {count}")
    run = Run.start("convnet", config)
    split = scaled(images_for(config, run))
    for name in NETS:
        _net(name, config, split, np.random.default_rng(0))  # refused now, not after the nets before it
    resolve_device(config.backend, config.device)
    run.begin()
    fits: dict[str, list[Fit]] = {name: [] for name in NETS}
    for seed in config.run_seeds():
        for name in NETS:
            fits[name].append(_train(name, config, split, seed, run))
            print(f"seed {seed}, {name}: test {fits[name][-1].test_acc:.4f}", flush=True)
    table = {name: _line(found) for name, found in fits.items()}
    _show(table, fits, config)
    _draw(table, fits, run)
    return run.finish(
        {"nets": table, "runs": {name: [each.summary() for each in found] for name, found in fits.items()}}
    )


def _net(name: str, config: Config, split: Split, rng: np.random.Generator) -> Any:
    channels, height, width = split.X_train.shape[1:]
    features, classes = channels * height * width, len(split.class_names)
    if name == "linear":
        return scratch.LinearClassifier(features, classes, dtype=np.float32, rng=rng)
    if name == "two_layer":
        scale = features**-0.5
        return scratch.TwoLayerNet(features, config.hidden, classes, weight_scale=scale, dtype=np.float32, rng=rng)
    first, second = config.filters
    return TwoConvNet((channels, height, width), (first, second), config.filter_size, classes, rng=rng)


def _train(name: str, config: Config, split: Split, seed: int, run: Run) -> Fit:
    rng = np.random.default_rng(seed)
    net = _net(name, config, split, rng)
    which, rise = NETS.index(name), max(1, len(split.X_train) // config.batch_size)
    plan = Plan(
        learning_rate=config.rates[which],
        epochs=config.epochs[which],
        batch_size=config.batch_size,
        update_rule="sgd_momentum",
        config={"momentum": config.momentum},
        augment=mirrored,
        lr_schedule=lambda iteration, total: rise_and_fall(rise, iteration, total),
    )
    made: str | Callable[[], Any] = name
    if name == "convnet":
        channels, height, width = split.X_train.shape[1:]
        made = lambda: twin(net, (channels, height, width))  # noqa: E731
    options: Any = {"backend": config.backend, "device": config.device, "rng": rng, "label": f"seed {seed}, {name}"}
    keep = run.folder / "kept" / f"{name}-{config.backend}-seed{seed}"
    return fit(made, net, split, plan, on_step=run.first_step, keep=keep, **options)


def _line(fits: list[Fit]) -> dict[str, Any]:
    """What the table says of one net."""
    return {
        "parameters": sum(value.size for value in fits[0].params.values()),
        "train_acc": [each.train_acc for each in fits],
        "test_acc": [each.test_acc for each in fits],
        "cpu_seconds": float(np.mean([each.cpu_seconds for each in fits])),
    }


def _show(table: dict[str, dict[str, Any]], fits: dict[str, list[Fit]], config: Config) -> None:
    print(f"{'net':10} {'parameters':>10}  {'train':15} {'test':15} seconds of a core, {config.backend}")
    for name, line in table.items():
        train, test = mean_std(line["train_acc"]), mean_std(line["test_acc"])
        print(f"{name:10} {line['parameters']:10,}  {train:15} {test:15} {line['cpu_seconds']:.0f}")
    gaps = np.array(table["convnet"]["test_acc"]) - np.array(table["two_layer"]["test_acc"])
    spread = float(np.std(gaps, ddof=1)) if len(gaps) > 1 else float("nan")
    clear = "clearly better" if gaps.mean() > CLEARLY * spread else "not clearly better"
    print(f"convolutional less two-layer: {gaps.mean():+.3f}, spread over the seeds {spread:.3f}: {clear}")
    reached = np.mean(table["convnet"]["test_acc"])
    print(f"test accuracy {reached:.3f}, {'at least' if reached >= config.goal else 'below'} the goal of {config.goal}")


def _draw(table: dict[str, dict[str, Any]], fits: dict[str, list[Fit]], run: Run) -> None:
    drawing, (left, right) = plots.figure(2)
    plots.epochs(left, {name: found[0].val_acc_history for name, found in fits.items()}, "validation accuracy")
    for name, line in table.items():
        seconds = [each.cpu_seconds for each in fits[name]]
        label = f"{name}, {line['parameters']:,} parameters"
        right.plot(seconds, line["test_acc"], "o", label=label, markersize=5)
    right.set(xlabel="seconds of one core", ylabel="test accuracy", title="accuracy, one point a seed")
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    plots.save(drawing, run.path("nets.png"))
    loss = fits["convnet"][0]
    accuracies = {"train (sample)": loss.train_acc_history, "validation": loss.val_acc_history}
    plots.histories(run.path("curves.png"), loss.loss_history, accuracies, "convolutional net")
    plots.tiles(run.path("filters.png"), loss.params["W1"], "the filters of the first convolution")


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
