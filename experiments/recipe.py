"""How far does one hidden layer on raw pixels go, with nothing but what scratch has?

A two-layer net with mirrored images, dropout on pixels and hidden units, and momentum; the learning rate rises
over the first epoch and then falls in a straight line to zero. Pixels are divided by one constant, nothing else
is done to them. The target is a test accuracy of 0.60 (mean of three seeds) within ten minutes on two cores.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch
from scratchproof.images.data import Split

from . import plots
from .command import Common, command, option, resolve_device
from .record import Run, mean_std
from .training import Fit, Plan, fit, images_for

Array = NDArray[Any]
GREY_LEVELS = 64.0
"""About one standard deviation of CIFAR-10's pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The recipe."""

    seeds: int = option(3, "how many runs, each with its own seed", least=1, free=True)
    hidden: int = option(1000, "units of the hidden layer", least=1)
    epochs: int = option(50, "passes over the training images", least=1)
    batch_size: int = option(256, "images in a minibatch", least=1)
    learning_rate: float = option(0.03, "its highest value", above=0)
    momentum: float = option(0.9, "share of the velocity that is kept", least=0, below=1)
    drop_pixels: float = option(0.1, "probability to drop a pixel's channel", least=0, below=1)
    drop_hidden: float = option(0.3, "probability to drop a hidden unit", least=0, below=1)
    reg: float = option(0.0, "L2 regularisation", least=0)
    goal: float = option(0.6, "test accuracy to reach, for the verdict", free=True)


SMOKE = {"seeds": 1, "hidden": 32, "epochs": 2, "goal": 0.1}
NEEDS = ("matplotlib",)


def main(config: Config) -> dict[str, object]:
    """Train every seed, print and return the record."""
    run = Run.start("recipe", config)
    split = scaled(images_for(config, run))
    resolve_device(config.backend, config.device)
    run.begin()
    fits = []
    for seed in config.run_seeds():
        result = _train(config, split, seed, run)
        print(
            f"seed {seed}: train {result.train_acc:.3f}, validation {result.val_acc:.3f}, test {result.test_acc:.4f}"
            f" in {result.seconds:.0f} s ({result.cpu_seconds:.0f} s of one core), {config.backend}",
            flush=True,
        )
        fits.append(result)
    first = fits[0]
    accuracies = {"train (sample)": first.train_acc_history, "validation": first.val_acc_history}
    plots.histories(run.path("curves.png"), first.loss_history, accuracies, f"{config.hidden} hidden units")
    weights = first.params["W1"].T.reshape(-1, *split.X_train.shape[1:])
    plots.tiles(run.path("weights.png"), weights[:100], "first-layer weights")
    tests = [each.test_acc for each in fits]
    reached = np.mean(tests) >= config.goal
    print(f"test accuracy {mean_std(tests)}, {'at least' if reached else 'below'} the goal of {config.goal}")
    return run.finish({"runs": [each.summary() for each in fits], "test_acc": np.mean(tests), "reached": bool(reached)})


def mirrored(X: Array, rng: np.random.Generator) -> Array:
    """Mirror half of the images (N, C, H, W), chosen at random, left to right; X is written."""
    chosen = rng.random(len(X)) < 0.5
    X[chosen] = X[chosen][..., ::-1]
    return X


def rise_and_fall(rise: int, iteration: int, total: int) -> float:
    """The learning rate's factor: up in a straight line over `rise` iterations, times a line down to zero."""
    return min(1.0, (iteration + 1) / rise) * (1 - iteration / total)


def scaled(split: Split) -> Split:
    """The split with all images divided by one constant."""
    scale = np.float32(1 / GREY_LEVELS)
    return replace(split, X_train=split.X_train * scale, X_val=split.X_val * scale, X_test=split.X_test * scale)


def _train(config: Config, split: Split, seed: int, run: Run) -> Fit:
    rng = np.random.default_rng(seed)
    features = int(np.prod(split.X_train.shape[1:]))
    sizes = (features, config.hidden, len(split.class_names))
    dropout = config.drop_pixels, config.drop_hidden
    net = scratch.TwoLayerNet(
        *sizes, weight_scale=features**-0.5, reg=config.reg, dropout=dropout, dtype=np.float32, rng=rng
    )
    rise = max(1, len(split.X_train) // config.batch_size)
    plan = Plan(
        learning_rate=config.learning_rate,
        epochs=config.epochs,
        batch_size=config.batch_size,
        update_rule="sgd_momentum",
        config={"momentum": config.momentum},
        reg=config.reg,
        augment=mirrored,
        lr_schedule=lambda iteration, total: rise_and_fall(rise, iteration, total),
    )
    options: Any = {"backend": config.backend, "device": config.device, "rng": rng, "label": f"seed {seed}"}
    options |= {"keep": run.folder / "kept" / f"{config.backend}-seed{seed}", "on_step": run.first_step}
    return fit(lambda: _twin(sizes, dropout, seed), net, split, plan, **options)


def _twin(sizes: tuple[int, int, int], dropout: tuple[float, float], seed: int) -> Any:
    """torch's net with its own dropout; its generator is torch's global one, so that is seeded."""
    import torch

    from scratchproof.table.nets import two_layer_net

    torch.manual_seed(seed)
    children = dict(two_layer_net(*sizes).named_children())
    pixels, units = (torch.nn.Dropout(drop) for drop in dropout)
    order = ("flatten", "affine1", "relu1", "affine2")
    flatten, affine1, relu1, affine2 = (children[name] for name in order)
    return torch.nn.Sequential(flatten, pixels, affine1, relu1, units, affine2)


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
