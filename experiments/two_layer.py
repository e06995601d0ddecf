"""How well does a two-layer net tell images apart, and what does its training look like?

affine - ReLU - affine on raw pixels by plain SGD, at the settings of one of the write-ups (--preset S0, S1 or
S3; any single setting can be changed). Prints the training log in CS231n's format, S1's printed log beside ours,
and validation and test accuracy; draws loss, accuracies and the first layer's weights as images.
"""

from dataclasses import asdict, dataclass, replace

from scratchproof.images.data import Split

from . import plots, sources
from .command import Common, command, option
from .record import Run, mean_std
from .training import Fit, fit_two_layer, images_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The settings of a run; those left out are the preset's."""

    preset: str = option("S1", "whose settings", choices=tuple(sources.SINGLE))
    seeds: int = option(1, "how many runs, each with its own seed")
    hidden: int | None = option(None, "units of the hidden layer", kind=int)
    learning_rate: float | None = option(None, "learning rate of SGD", kind=float)
    reg: float | None = option(None, "L2 regularisation", kind=float)
    epochs: int | None = option(None, "passes over the training images", kind=int)
    batch_size: int | None = option(None, "images in a minibatch", kind=int)
    print_every: int = option(300, "iterations between two printed losses")


SMOKE = {"epochs": 2, "hidden": 16, "learning_rate": 1e-3, "seeds": 2}


def main(config: Config) -> dict[str, object]:
    """Train, draw, print and return the record."""
    run, setting = Run.start("two_layer", config), _setting(config)
    split = images_for(config, run)
    fits = []
    for seed in config.run_seeds():
        print(f"seed {seed}: {setting.label()}, backend {config.backend}", flush=True)
        fits.append(_fit(config, setting, split, seed, run))
    _draw(fits[0], run, split.X_train.shape[1:])
    if config.preset == "S1":
        _show_log(fits)
    _show(fits, run)
    return run.finish({"setting": asdict(setting), "runs": [fit.summary() for fit in fits]})


def _fit(config: Config, setting: sources.Setting, split: Split, seed: int, run: Run) -> Fit:
    return fit_two_layer(
        setting,
        split,
        seed=seed,
        backend=config.backend,
        device=config.device,
        print_every=config.print_every,
        on_step=run.first_step,
    )


def _setting(config: Config) -> sources.Setting:
    names = ("hidden", "learning_rate", "reg", "epochs", "batch_size")
    chosen = {name: value for name in names if (value := getattr(config, name)) is not None}
    return replace(sources.SINGLE[config.preset], **chosen)


def _show_log(fits: list[Fit]) -> None:
    """S1's accuracies by epoch beside ours, means over the seeds, and its losses."""
    print("epoch  S1: train  val    ours: train            val")
    for line in sources.S1_LOG[: len(fits[0].val_acc_history)]:
        train = mean_std([fit.train_acc_history[line.epoch] for fit in fits])
        val = mean_std([fit.val_acc_history[line.epoch] for fit in fits])
        print(f"{line.epoch:5d}      {line.train:.3f}  {line.val:.3f}        {train:15}  {val}")
    first, last = (mean_std([fit.loss_history[at] for fit in fits]) for at in (0, _last_printed(fits[0])))
    print(f"first loss: S1 {sources.S1_LOSSES[0]:.3f}, ours {first}; last printed: {sources.S1_LOSSES[1]:.3f}, {last}")


def _last_printed(fit: Fit) -> int:
    return min(sources.S1_LAST_PRINTED, len(fit.loss_history)) - 1


def _show(fits: list[Fit], run: Run) -> None:
    for name in ("train", "val", "test"):
        print(f"{name} accuracy of the best epoch: {mean_std([getattr(fit, f'{name}_acc') for fit in fits])}")
    for fit in fits:
        if fit.diverged:
            print(fit.diverged)
    seconds, share = fits[0].seconds, fits[0].gather_share
    start = run.times.get("seconds_to_first_step", float("nan"))
    print(f"first step after {start:.1f} s; training {seconds:.1f} s, of which gathering minibatches {share:.1%}")


def _draw(fit: Fit, run: Run, shape: tuple[int, ...]) -> None:
    run.table("loss.csv", ("iteration", "loss"), enumerate(fit.loss_history, start=1))
    by_epoch = zip(fit.train_acc_history, fit.val_acc_history, strict=True)
    run.table("accuracy.csv", ("epoch", "train", "val"), ((epoch, *pair) for epoch, pair in enumerate(by_epoch)))
    accuracies = {"train (sample)": fit.train_acc_history, "validation": fit.val_acc_history}
    plots.histories(run.path("curves.png"), fit.loss_history, accuracies, "two-layer net")
    weights = fit.params["W1"].T.reshape(-1, *shape)
    plots.tiles(run.path("weights.png"), weights[:100], "first-layer weights, one tile a hidden unit")


if __name__ == "__main__":
    command(Config, main, SMOKE)()
