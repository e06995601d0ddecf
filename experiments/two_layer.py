"""How well does a two-layer net tell images apart, and what does its training look like?

affine - ReLU - affine on raw pixels by plain SGD, at the settings of one of the write-ups (--preset S0, S1 or
S3; any single setting can be changed). Prints the training log in CS231n's format, what the write-up printed
beside ours (on CIFAR-10, at its settings), and validation and test accuracy; draws loss, accuracies and the first
layer's weights as images. `--out` the same folder goes on where a run was cut short.
"""

from dataclasses import asdict, dataclass, replace

from scratchproof.images.data import Split

from . import plots, sources
from .command import Common, command, option, resolve_device
from .ranks import joined
from .record import Run, mean_std
from .training import Fit, are_cifar10, fit_two_layer, images_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The settings of a run; those left out are the preset's."""

    preset: str = option("S1", "whose settings", choices=tuple(sources.SINGLE))
    seeds: int = option(1, "how many runs, each with its own seed", least=1, free=True)
    hidden: int | None = option(None, "units of the hidden layer", kind=int, least=1)
    learning_rate: float | None = option(None, "learning rate of SGD", kind=float, above=0)
    reg: float | None = option(None, "L2 regularisation", kind=float, least=0)
    epochs: int | None = option(None, "passes over the training images", kind=int, least=1)
    batch_size: int | None = option(None, "images in a minibatch", kind=int, least=1)
    print_every: int = option(sources.S1_EVERY, "iterations between two printed losses", least=1, free=True)


SMOKE = {"epochs": 2, "hidden": 16, "learning_rate": 1e-3, "seeds": 2}
NEEDS = ("matplotlib",)


def main(config: Config) -> dict[str, object]:
    """Train, draw, print and return the record; under torchrun, together with the other ranks."""
    with joined(config) as own:
        return _main(own)


def _main(config: Config) -> dict[str, object]:
    run, setting = Run.start("two_layer", config), _setting(config)
    split = images_for(config, run)
    resolve_device(config.backend, config.device)
    run.begin()
    fits = []
    for seed in config.run_seeds():
        print(f"seed {seed}: {setting.label()}, backend {config.backend}", flush=True)
        fits.append(_fit(config, setting, split, seed, run))
    _draw(fits[0], run, split.X_train.shape[1:])
    if are_cifar10(split) and setting == sources.SINGLE[config.preset]:
        _show_printed(config.preset, fits)
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
        label=f"seed {seed}",
        on_step=run.first_step,
        keep=run.folder / "kept" / f"{config.backend}-seed{seed}",
    )


def _setting(config: Config) -> sources.Setting:
    names = ("hidden", "learning_rate", "reg", "epochs", "batch_size")
    chosen = {name: value for name in names if (value := getattr(config, name)) is not None}
    return replace(sources.SINGLE[config.preset], **chosen)


def _show_printed(preset: str, fits: list[Fit]) -> None:
    """What the write-up says of this very run, beside ours."""
    if preset == "S1":
        _show_log(fits)
    elif (mark := sources.SINGLE[preset].printed) is not None:
        val = mean_std([fit.val_acc for fit in fits])
        print(f"validation accuracy: {preset} asks for about {mark:g}, ours {val}")


def _show_log(fits: list[Fit]) -> None:
    """S1's log in its order, a loss every 100 iterations, beside ours: means over the seeds."""
    print(f"{'':16}{'S1':>20}  ours")
    per_epoch = len(fits[0].loss_history) // (len(fits[0].val_acc_history) - 1)
    epochs = list(sources.S1_LOG)
    for number, printed in enumerate(sources.S1_LOSSES):
        at = number * sources.S1_EVERY
        while epochs and number > 0 and epochs[0].epoch * per_epoch <= at:
            _show_epoch(epochs.pop(0), fits)
        ours = mean_std([fit.loss_history[at] for fit in fits])
        print(f"iteration {at + 1:5d}:{printed:20.6f}  loss {ours}")
    for line in epochs:
        _show_epoch(line, fits)


def _show_epoch(line: sources.LogLine, fits: list[Fit]) -> None:
    train = mean_std([fit.train_acc_history[line.epoch] for fit in fits])
    val = mean_std([fit.val_acc_history[line.epoch] for fit in fits])
    print(f"epoch {line.epoch:9d}:{f'{line.train:.3f}, {line.val:.3f}':>20}  train {train}, val {val}")


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
    command(Config, main, SMOKE, NEEDS)()
