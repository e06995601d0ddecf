"""Where do a two-layer net's learning rate and regularisation matter? A thousand nets, trained at once, in one picture.

A grid of rates by regularisations, or with --search tpe a search by Optuna that asks for --nets settings in all,
--round of them at a time, and after every epoch gives up those below the median (or the lower half, with
--pruner halving). All nets of a round are one stack: X @ [W1₁ … W1_K] on shared minibatches. A run with --out goes
on where it stopped. On a GPU: --engine torch or triton, --device cuda, --precision tf32 or bfloat16.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scratchproof.images.data import Split

from . import plots
from .batched.stack import Member
from .batched.train import ENGINES, Machine, Outcome, Training
from .command import Common, command, option, resolve_device
from .record import Run
from .training import images_for

if TYPE_CHECKING:
    import optuna

RATES = (1e-6, 3e-2)
REGS = (1e-4, 30.0)
"""The corners of the field; their product stays below 1, where a step would wipe the weights out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """How many nets, of what kind, and how they are chosen."""

    nets: int = option(1000, "how many nets in all")
    hidden: int = option(100, "units of every net's hidden layer")
    epochs: int = option(10, "passes over the training images")
    batch_size: int = option(100, "images in a minibatch")
    search: str = option(
        "grid", "grid: rates by regularisations; tpe, random: a search", choices=("grid", "tpe", "random")
    )
    pruner: str = option("median", "which nets a search gives up", choices=("median", "halving", "none"))
    round: int = option(32, "nets that a search trains at a time")
    engine: str = option("numpy", "who multiplies", choices=ENGINES)
    precision: str = option("float32", "of the wide products", choices=("float32", "float64", "tf32", "bfloat16"))


SMOKE = {"nets": 4, "hidden": 4, "epochs": 2, "round": 2}
NEEDS = ("matplotlib", "optuna")


def main(config: Config) -> dict[str, object]:
    """Train them all, draw, print and return the record."""
    machine = _machine(config)
    run = Run.start("thousand", config)
    split = images_for(config, run)
    if min(config.nets, config.round) < 1:
        raise ValueError(f"nets is {config.nets} and round {config.round} but both must be at least 1")
    found = _grid(config, split, machine, run) if config.search == "grid" else _searched(config, split, machine, run)
    _show(found, config, run)
    results = [{**asdict(member), **outcome.summary()} for member, outcome in found]
    return run.finish({"nets": results})


def _machine(config: Config) -> Machine:
    """The engine asked for; --backend torch means the torch engine where none is named."""
    engine = "torch" if (config.engine, config.backend) == ("numpy", "torch") else config.engine
    device = resolve_device("scratch" if engine == "numpy" else "torch", config.device)
    return Machine(engine=engine, precision=config.precision, device=device)


def _grid(config: Config, split: Split, machine: Machine, run: Run) -> list[tuple[Member, Outcome]]:
    across = max(1, round(config.nets**0.5))
    down = -(-config.nets // across)
    pairs = [(rate, reg) for rate in np.geomspace(*RATES, down) for reg in np.geomspace(*REGS, across)]
    members = [_member(config, float(rate), float(reg)) for rate, reg in pairs[: config.nets]]
    training = _training(config, members, split, machine, run, "grid", config.seed)
    return list(zip(members, training.run(partial(_report, training.members)), strict=True))


def _searched(config: Config, split: Split, machine: Machine, run: Run) -> list[tuple[Member, Outcome]]:
    """Rounds of trials: each is a stack; its nets report after every epoch and may be given up."""
    study, found = _study(config), list[tuple[Member, Outcome]]()
    for start in range(0, config.nets, config.round):
        trials = [study.ask() for _ in range(min(config.round, config.nets - start))]
        members = [
            _member(config, trial.suggest_float("rate", *RATES, log=True), trial.suggest_float("reg", *REGS, log=True))
            for trial in trials
        ]
        training = _training(config, members, split, machine, run, f"round-{start:05d}", config.seed + start)
        told = _Told(trials)
        for number, outcome in enumerate(training.run(told.after_epoch)):
            told.finish(study, number, outcome)
            found.append((members[number], outcome))
    return found


class _Told:
    """What Optuna has been told of a round's nets; a resumed round is told again from its histories."""

    def __init__(self, trials: "list[optuna.Trial]") -> None:
        self._trials, self._reported = trials, [0] * len(trials)

    def after_epoch(self, training: Training) -> list[int]:
        """Report the last accuracies; the nets to give up."""
        _report(training.members, training)
        for k in training.left:
            self._report(k, training.outcomes[k])
        return [k for k in training.left if self._trials[k].should_prune()]

    def _report(self, k: int, outcome: Outcome) -> None:
        for epoch, accuracy in list(enumerate(outcome.val_acc_history))[self._reported[k] :]:
            self._trials[k].report(accuracy, epoch)
        self._reported[k] = len(outcome.val_acc_history)

    def finish(self, study: "optuna.Study", k: int, outcome: Outcome) -> None:
        """A net that diverged counts with what it reached before."""
        self._report(k, outcome)
        study.tell(self._trials[k], outcome.val_acc)


def _study(config: Config) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers: dict[str, Any] = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    pruners: dict[str, Any] = {
        "median": optuna.pruners.MedianPruner,
        "halving": optuna.pruners.SuccessiveHalvingPruner,
        "none": optuna.pruners.NopPruner,
    }
    sampler = samplers[config.search](seed=config.seed)
    return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruners[config.pruner]())


def _member(config: Config, rate: float, reg: float) -> Member:
    return Member(hidden=config.hidden, learning_rate=rate, reg=reg, epochs=config.epochs, seed=config.seed)


def _training(
    config: Config, members: list[Member], split: Split, machine: Machine, run: Run, name: str, seed: int
) -> Training:
    checkpoint: Path | None = run.path(f"checkpoints-{name}") if config.out else None
    rng = np.random.default_rng(seed)
    return Training(members, split, batch_size=config.batch_size, rng=rng, machine=machine, checkpoint=checkpoint)


def _report(members: tuple[Member, ...], training: Training) -> tuple[int, ...]:
    best = max(outcome.val_acc for outcome in training.outcomes)
    lost = sum(outcome.diverged is not None for outcome in training.outcomes)
    pace = f"{training.pace:.3g} net-epochs/s"
    print(f"epoch {training.epoch}: {pace}; {lost} of {len(members)} diverged; best {best:.3f}", flush=True)
    return ()


def _show(found: list[tuple[Member, Outcome]], config: Config, run: Run) -> None:
    member, outcome = max(found, key=lambda pair: pair[1].val_acc)
    setting = f"learning rate {member.learning_rate:.2e}, reg {member.reg:.2e}"
    print(f"best of {len(found)}: {setting}: validation {outcome.val_acc:.3f}, test {outcome.test_acc:.3f}")
    rows = [(m.learning_rate, m.reg, o.val_acc, o.test_acc, o.diverged or "") for m, o in found]
    run.table("nets.csv", ("learning_rate", "reg", "val_acc", "test_acc", "diverged"), rows)
    drawing, (axes,) = plots.figure(width=7, height=5)
    rates, regs, accuracies = (np.array([row[i] for row in rows]) for i in range(3))
    dots = axes.scatter(rates, regs, c=accuracies, s=max(6.0, 12000 / len(rows)), cmap="viridis", marker="s")
    lost = np.array([row[4] != "" for row in rows])
    axes.scatter(rates[lost], regs[lost], s=6, color="tab:red", marker="x", label=f"diverged ({lost.sum()})")
    title = f"{len(found)} two-layer nets, {config.hidden} hidden units, {config.epochs} epochs"
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="regularisation", title=title)
    axes.legend(loc="upper left", fontsize=8)
    drawing.colorbar(dots, label="validation accuracy, best epoch")
    plots.save(drawing, run.path("nets.png"))


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
