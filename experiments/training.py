"""Train a net with either backend and report it in one form.

The torch backend starts from the very parameters of the scratch net and draws its batches from the same
generator, so the two differ by rounding alone until it has grown.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch
from scratchproof.images.data import Split, load_split
from scratchproof.progress import progress

from .command import Common, resolve_device
from .record import Run
from .sources import Setting

Array = NDArray[Any]
Step = Callable[[int, int, float], object]


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
        """What goes into a record: everything but parameters and the loss of every iteration."""
        left_out = ("params", "loss_history")
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in left_out}


def images_for(config: Common, run: Run) -> Split:
    """The split of the images that the config names; the run notes which they are."""
    split = load_split(config.data, root=config.root, download=config.download)
    run.images = split.description
    return split


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
) -> Fit:
    """Train `net`, or with the torch backend its twin from the same start, on the split.

    twin: two_layer | linear | convnet, the name of its torch.nn twin, or what makes one. rng: draws the
    batches. label: what a progress bar says. on_step: called after every iteration with (done, total, loss).
    A loss that stops being finite ends the training; what was best until then counts.
    """
    watch = _Stopwatch(plan.augment)
    solver = _solver(twin, net, split, plan, watch, backend, resolve_device(backend, device), rng)
    started, cpu, diverged = time.perf_counter(), time.process_time(), None
    # A verbose solver prints lines of its own: a bar may still run below them on a terminal.
    with progress(label, every=float("inf") if plan.verbose else 10.0) as advance:

        def step(done: int, total: int, loss: float) -> None:
            on_step(done, total, loss)
            advance(done, total)
            watch.step()

        try:
            solver.train(progress=step)
        except ArithmeticError as error:
            diverged = str(error)
    seconds = time.perf_counter() - started
    times = {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "gather_share": watch.gathering / seconds,
    }
    return _report(solver, split, times, diverged)


def fit_two_layer(
    setting: Setting,
    split: Split,
    *,
    seed: int,
    backend: str,
    device: str = "auto",
    print_every: int | None = None,
    on_step: Step = lambda *_: None,
) -> Fit:
    """Train the two-layer net in float32 at one of the write-ups' settings; verbose if `print_every` is given."""
    rng = np.random.default_rng(seed)
    sizes = int(np.prod(split.X_train.shape[1:])), setting.hidden, len(split.class_names)
    net = scratch.TwoLayerNet(*sizes, reg=setting.reg, dtype=np.float32, rng=rng)
    plan = Plan(
        learning_rate=setting.learning_rate,
        epochs=setting.epochs,
        batch_size=setting.batch_size,
        lr_decay=setting.lr_decay,
        reg=setting.reg,
        print_every=print_every or 1,
        verbose=print_every is not None,
    )
    options: Any = {"backend": backend, "device": device, "rng": rng, "label": setting.label()}
    return fit("two_layer", net, split, plan, on_step=on_step, **options)


class _Stopwatch:
    """The time from the end of a step to the arrival of the next batch: gathering, measured from outside."""

    def __init__(self, augment: Callable[[Any, np.random.Generator], Any] | None) -> None:
        self.gathering = 0.0
        self._augment = augment
        self._last: float | None = None

    def batch(self, X: Any, rng: np.random.Generator) -> Any:
        if self._last is not None:
            self.gathering += time.perf_counter() - self._last
        return X if self._augment is None else self._augment(X, rng)

    def step(self) -> None:
        self._last = time.perf_counter()


def _solver(
    twin: str | Callable[[], Any],
    net: Any,
    split: Split,
    plan: Plan,
    watch: _Stopwatch,
    backend: str,
    device: str,
    rng: np.random.Generator,
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
        return scratch.Solver(net, split.training(), **options)
    from scratchproof.table import nets
    from scratchproof.training.optim import TorchSolver

    made = twin() if callable(twin) else nets.build(twin, _shapes(net), split.X_train.shape[1:])
    module = nets.load(made, net.params)
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
        diverged=diverged,
        **times,
    )
