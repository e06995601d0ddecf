"""How far does a linear classifier go on raw pixels, with the softmax and with the SVM loss?

Both are trained by plain SGD from the same seeds. The weights of a class, drawn as an image, are the template
that it looks for: one template a class is all that a linear classifier has.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from scratchproof import scratch
from scratchproof.images.data import Split

from . import plots
from .command import Common, command, option, resolve_device
from .record import Run, mean_std
from .training import Fit, Plan, fit, images_for

Loss = Literal["softmax", "svm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The settings of all runs."""

    seeds: int = option(3, "how many runs of each loss, each with its own seed", least=1, free=True)
    softmax_rate: float = option(1e-6, "learning rate with the softmax loss", above=0)
    svm_rate: float = option(2e-7, "learning rate with the SVM loss", above=0)
    reg: float = option(1.0, "L2 regularisation", least=0)
    epochs: int = option(10, "passes over the training images", least=1)
    batch_size: int = option(200, "images in a minibatch", least=1)


SMOKE = {"seeds": 2, "epochs": 2}
NEEDS = ("matplotlib",)


def main(config: Config) -> dict[str, object]:
    """Train both losses on every seed, print, draw, and return the record."""
    run = Run.start("linear", config)
    split = images_for(config, run)
    resolve_device(config.backend, config.device)
    run.begin()
    metrics = {}
    for loss in get_args(Loss):
        fits = [_train(config, split, loss, seed, run) for seed in config.run_seeds()]
        val, test = (mean_std([getattr(each, part) for each in fits]) for part in ("val_acc", "test_acc"))
        print(f"{loss}: validation {val}, test {test}, {config.backend}", flush=True)
        _draw(loss, fits[0], split, run)
        metrics[loss] = [each.summary() for each in fits]
    return run.finish(metrics)


def _train(config: Config, split: Split, loss: Loss, seed: int, run: Run) -> Fit:
    rng = np.random.default_rng(seed)
    features = int(np.prod(split.X_train.shape[1:]))
    net = scratch.LinearClassifier(
        features, len(split.class_names), loss=loss, reg=config.reg, weight_scale=1e-5, dtype=np.float32, rng=rng
    )
    plan = Plan(
        learning_rate=config.softmax_rate if loss == "softmax" else config.svm_rate,
        epochs=config.epochs,
        batch_size=config.batch_size,
        reg=config.reg,
        loss=loss,
    )
    options: Any = {"backend": config.backend, "device": config.device, "rng": rng, "label": f"{loss}, seed {seed}"}
    options["keep"] = run.folder / "kept" / f"{loss}-{config.backend}-seed{seed}"
    return fit("linear", net, split, plan, on_step=run.first_step, **options)


def _draw(loss: str, result: Fit, split: Split, run: Run) -> None:
    accuracies = {"train (sample)": result.train_acc_history, "validation": result.val_acc_history}
    plots.histories(run.path(f"curves_{loss}.png"), result.loss_history, accuracies, f"linear classifier, {loss}")
    templates = result.params["W"].T.reshape(-1, *split.X_train.shape[1:])
    plots.tiles(run.path(f"templates_{loss}.png"), templates, f"{loss}: one template a class", labels=split.class_names)


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
