"""Train a net with either backend and report it in one form.

The torch backend starts from the very parameters of the scratch net and draws its batches from the same
generator, so the two differ by rounding alone until it has grown. A training that is given a folder to keep itself
in survives a kill: the scratch Solver goes on from its last epoch, a torch run starts again, and both end with the
bits they would have ended with.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch
from scratchproof.images.data import CIFAR10_CLASSES, Split, load_split
from scratchproof.progress import progress

from . import kept
from .command import Common, resolve_device
from .ranks import expected_ranks
from .record import Run
from .sources import Setting

Array = NDArray[Any]
Step = Callable[[int, int, float], object]
CIFAR10_TRAIN = 49_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a net is trained: the Solver's settings."""

    learning_rate: float
    epochs: int
    batch_size: int
    update_rule: str = "sgd"
    config: Mapping[str, float] = field(default_factory=dict)
    lr_decay: float = 1.0
    reg: float = 0.0
    print_every: int = 100
    verbose: bool = False
    loss: str = "softmax"
    augment: Callable[[Any, np.random.Generator], Any] | None = None
    lr_schedule: Callable[[int, int], float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What came out of a training; parameters and accuracies are those of the best epoch on validation.

    last_test_acc alone is that of the last step's parameters.
    """

    params: dict[str, Array]
    train_acc: float
    val_acc: float
    test_acc: float
    last_test_acc: float
    loss_history: list[float]
    train_acc_history: list[float]
    val_acc_history: list[float]
    seconds: float
    cpu_seconds: float
    gather_share: float
    diverged: str | None

    def summary(self) -> dict[str, Any]:
        """What goes into a record: everything but parameters, told by their digest, and the loss of every iteration."""
        left_out = ("params", "loss_history")
        digest = hashlib.sha256(b"".join(self.params[name].tobytes() for name in sorted(self.params))).hexdigest()
        told = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in left_out}
        return {**told, "params_sha256": digest[:16]}


def images_for(config: Common, run: Run) -> Split:
    """The split of the images that the config names; the run notes which they are.

    Raises: ValueError if the run folder holds results of others.
    """
    split = load_split(config.data, root=config.root, download=config.download)
    run.use(split.description)
    return split


def are_cifar10(split: Split) -> bool:
    """Whether these are all of CIFAR-10's images: what the write-ups print can be compared with no others."""
    return split.class_names == CIFAR10_CLASSES and len(split.y_train) == CIFAR10_TRAIN


def fit(
    twin: str | Callable[[], Any],
    net: Any,
    split: Split,
    plan: Plan,
    *,
    backend: str,
    device: str = "auto",
    rng: np.random.Generator,
    label: str = "training",
    on_step: Step = lambda *_: None,
    keep: Path | None = None,
) -> Fit:
    """Train `net`, or with the torch backend its twin from the same start, on the split.

    twin: two_layer | linear | convnet, the name of its torch.nn twin, or what makes one. rng: draws the
    batches. label: what a progress bar says. on_step: called after every iteration with (done, total, loss).
    keep: a folder of this training's own, from which it is resumed, or taken if it was finished.
    A loss that stops being finite ends the training; what was best until then counts.
    Raises: CheckpointError if the folder holds another training's.
    """
    device = resolve_device(backend, device)
    who = kept.identity(
        net.params, rng, backend=backend, device=device, images=split.description, **kept.settings_of(plan)
    )
    ranks = expected_ranks()
    if keep is not None and ranks == 1 and (found := kept.outcome(keep, who)) is not None:
        print(f"{label}: done before, taken from {keep}", flush=True)
        return found
    sittings = keep if backend == "scratch" or ranks > 1 else None  # torch alone begins again
    watch = _Stopwatch(plan.augment, kept.spent(sittings))
    solver = _solver(twin, net, split, plan, watch, backend, device, rng, sittings)
    if solver.iteration and not plan.verbose:
        print(f"{label}: resumed after iteration {solver.iteration} of {solver.total}", flush=True)
    diverged = _train(solver, plan, watch, label, on_step, sittings)
    result = _report(solver, split, watch.times(), diverged)
    if keep is not None:
        kept.finish(keep, who, result)
    return result


def _train(solver: Any, plan: Plan, watch: "_Stopwatch", label: str, on_step: Step, keep: Path | None) -> str | None:
    """Run the solver to its end; None, or what it says where it diverges."""
    per_epoch = solver.total // plan.epochs
    # A verbose solver prints lines of its own: a bar may still run below them on a terminal.
    with progress(label, every=float("inf") if plan.verbose else 10.0) as advance:

        def step(done: int, total: int, loss: float) -> None:
            on_step(done, total, loss)
            advance(done, total)
            if keep is not None and done % per_epoch == 0:
                kept.note_time(keep, watch.times())
            watch.step()

        try:
            solver.train(progress=step)
        except ArithmeticError as error:
            return str(error)
    return None


def fit_two_layer(
    setting: Setting,
    split: Split,
    *,
    seed: int,
    backend: str,
    device: str = "auto",
    print_every: int | None = None,
    label: str | None = None,
    on_step: Step = lambda *_: None,
    keep: Path | None = None,
) -> Fit:
    """Train the two-layer net in float32 at one of the write-ups' settings; verbose if `print_every` is given."""
    reg = setting.reg if setting.arrives else 0.0
    rng = np.random.default_rng(seed)
    sizes = int(np.prod(split.X_train.shape[1:])), setting.hidden, len(split.class_names)
    net = scratch.TwoLayerNet(*sizes, reg=reg, dtype=np.float32, rng=rng)
    plan = Plan(
        learning_rate=setting.learning_rate,
        epochs=setting.epochs,
        batch_size=setting.batch_size,
        lr_decay=setting.lr_decay,
        reg=reg,
        print_every=print_every or 1,
        verbose=print_every is not None,
    )
    options: Any = {"backend": backend, "device": device, "rng": rng, "label": label or setting.label()}
    return fit("two_layer", net, split, plan, on_step=on_step, keep=keep, **options)


class _Stopwatch:
    """The time a training takes, over all its sittings; and from the end of a step to the arrival of the next batch:
    gathering, measured from outside.
    """

    def __init__(self, augment: Callable[[Any, np.random.Generator], Any] | None, before: Mapping[str, float]) -> None:
        self._before = before
        self._gathering = 0.0
        self._augment = augment
        self._last: float | None = None
        self._started, self._cpu = time.perf_counter(), time.process_time()

    def batch(self, X: Any, rng: np.random.Generator) -> Any:
        if self._last is not None:
            self._gathering += time.perf_counter() - self._last
        return X if self._augment is None else self._augment(X, rng)

    def step(self) -> None:
        self._last = time.perf_counter()

    def times(self) -> dict[str, float]:
        """Seconds, seconds of a core, and seconds of gathering."""
        now = {
            "seconds": time.perf_counter() - self._started,
            "cpu_seconds": time.process_time() - self._cpu,
            "gathering": self._gathering,
        }
        return {name: value + self._before[name] for name, value in now.items()}


def _solver(
    twin: str | Callable[[], Any],
    net: Any,
    split: Split,
    plan: Plan,
    watch: _Stopwatch,
    backend: str,
    device: str,
    rng: np.random.Generator,
    keep: Path | None,
) -> Any:
    options: dict[str, Any] = {
        "update_rule": plan.update_rule,
        "optim_config": {"learning_rate": plan.learning_rate, **plan.config},
        "lr_decay": plan.lr_decay,
        "num_epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "print_every": plan.print_every,
        "verbose": plan.verbose,
        # On a GPU the images stay there, unless NumPy touches every batch.
        "augment": plan.augment if device == "cuda" and plan.augment is None else watch.batch,
        "lr_schedule": plan.lr_schedule,
        "rng": rng,
    }
    if backend == "scratch":
        checkpoint = None if keep is None else keep / kept.CHECKPOINTS
        return scratch.Solver(net, split.training(), checkpoint=checkpoint, **options)
    from scratchproof.table import nets
    from scratchproof.training.optim import TorchSolver

    made = twin() if callable(twin) else nets.build(twin, _shapes(net), split.X_train.shape[1:])
    module = nets.load(made, net.params)
    if expected_ranks() > 1:
        from .distributed import ShardedSolver

        options["checkpoint"] = None if keep is None else keep / kept.CHECKPOINTS
        return ShardedSolver(module, split.training(), loss=plan.loss, reg=plan.reg, device=device, **options)
    return TorchSolver(module, split.training(), loss=plan.loss, reg=plan.reg, device=device, **options)


def _shapes(net: Any) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in net.params.items()}


def _report(solver: Any, split: Split, times: dict[str, float], diverged: str | None) -> Fit:
    last_test_acc = solver.check_accuracy(split.X_test, split.y_test)
    best = {name: np.array(value) for name, value in solver.best_params.items()}
    if isinstance(solver, scratch.Solver):
        for name, value in best.items():
            solver.model.params[name][...] = value
    else:
        from scratchproof.table import nets

        nets.load(solver.model, best)
    epoch = int(np.argmax(solver.val_acc_history))
    return Fit(
        params=best,
        train_acc=solver.train_acc_history[epoch],
        val_acc=solver.best_val_acc,
        last_test_acc=last_test_acc,
        test_acc=solver.check_accuracy(split.X_test, split.y_test),
        loss_history=solver.loss_history,
        train_acc_history=solver.train_acc_history,
        val_acc_history=solver.val_acc_history,
        seconds=times["seconds"],
        cpu_seconds=times["cpu_seconds"],
        gather_share=times["gathering"] / times["seconds"],
        diverged=diverged,
    )
