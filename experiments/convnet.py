"""What does a small convolutional net see, and how much better is it than nets without convolution?

conv - ReLU - max-pool - affine - ReLU - affine, trained by SGD with momentum. Draws loss, accuracies and the
first layer's filters as images.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchproof import scratch
from scratchproof.images.data import Split

from . import plots
from .command import Common, command, option
from .record import Run, mean_std
from .training import Fit, Plan, fit, images_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The settings of a run."""

    seeds: int = option(1, "how many runs, each with its own seed")
    filters: int = option(32, "filters of the convolution")
    filter_size: int = option(7, "their width and height, odd")
    hidden: int = option(100, "units of the hidden layer")
    learning_rate: float = option(1e-3, "learning rate")
    momentum: float = option(0.9, "share of the velocity that is kept")
    reg: float = option(1e-3, "L2 regularisation")
    epochs: int = option(1, "passes over the training images")
    batch_size: int = option(50, "images in a minibatch")
    weight_scale: float = option(1e-3, "standard deviation of the first weights")


SMOKE = {"filters": 4, "filter_size": 3, "hidden": 8, "batch_size": 200}


def main(config: Config) -> dict[str, object]:
    """Train every seed, print, draw, and return the record."""
    run = Run.start("convnet", config)
    split = images_for(config, run)
    fits = [_train(config, split, seed, run) for seed in config.run_seeds()]
    first = fits[0]
    accuracies = {"train (sample)": first.train_acc_history, "validation": first.val_acc_history}
    plots.histories(run.path("curves.png"), first.loss_history, accuracies, "convolutional net")
    plots.tiles(run.path("filters.png"), first.params["W1"], "the filters of the first layer")
    for part in ("val_acc", "test_acc"):
        print(f"{part}: {mean_std([getattr(each, part) for each in fits])}, {config.backend}")
    print(f"{first.seconds / config.epochs:.1f} s an epoch, {first.gather_share:.1%} of it gathering minibatches")
    return run.finish({"runs": [each.summary() for each in fits]})


def _train(config: Config, split: Split, seed: int, run: Run) -> Fit:
    rng = np.random.default_rng(seed)
    channels, height, width = split.X_train.shape[1:]
    net = scratch.ConvNet(
        (channels, height, width),
        config.filters,
        config.filter_size,
        config.hidden,
        len(split.class_names),
        weight_scale=config.weight_scale,
        reg=config.reg,
        dtype=np.float32,
        rng=rng,
    )
    plan = Plan(
        learning_rate=config.learning_rate,
        epochs=config.epochs,
        batch_size=config.batch_size,
        update_rule="sgd_momentum",
        config={"momentum": config.momentum},
        reg=config.reg,
    )
    options: Any = {"backend": config.backend, "device": config.device, "rng": rng, "label": f"seed {seed}"}
    return fit("convnet", net, split, plan, on_step=run.first_step, **options)


if __name__ == "__main__":
    command(Config, main, SMOKE)()
