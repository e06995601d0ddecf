"""The journal of a subject's training run: every batch, every parameter before and after, every gradient.

The subject trains by itself, with its own Solver where it has one; a tap between the Solver and the net writes
down what passes. All sizes of a case differ from each other, so that no transpose can hide.
"""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from scratchproof.errors import InputError
from scratchproof.vjp import Array

Params = dict[str, Array]

ROWS, BATCH = 200, 20
PER_EPOCH = ROWS // BATCH


class UnusableError(InputError):
    """The subject cannot be trained at all: it has no such net, or the net cannot be built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One net, small enough for a thousand steps in seconds.

    name: as `reference.nets.from_params` knows it. class_name: the subject's. sizes: handed over by position;
    options by keyword, those that the class takes. shape: of one input row. loss: as in `reference.nets.LOSSES`.
    """

    name: str
    class_name: str
    sizes: tuple[Any, ...]
    shape: tuple[int, ...]
    loss: str = "softmax"
    reg: float = 0.02
    classes: int = 10


CASES = {
    case.name: case
    for case in (
        Case(name="two_layer", class_name="TwoLayerNet", sizes=(48, 17, 10), shape=(48,)),
        Case(name="linear", class_name="LinearClassifier", sizes=(48, 10), shape=(48,)),
        Case(name="xor", class_name="XorNet", sizes=(8,), shape=(2,), loss="logistic", reg=0.0, classes=2),
        Case(name="convnet", class_name="ConvNet", sizes=((3, 8, 6), 4, 5, 17, 10), shape=(3, 8, 6)),
    )
}

# A rate at which each rule makes progress on all of these nets without leaving the region where rounding stays small.
CONFIGS: dict[str, dict[str, float]] = {
    "sgd": {"learning_rate": 0.05},
    "sgd_momentum": {"learning_rate": 0.01, "momentum": 0.9},
    "rmsprop": {"learning_rate": 0.002, "decay_rate": 0.99, "epsilon": 1e-8},
    "adam": {"learning_rate": 0.002, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}


@dataclass(slots=True, kw_only=True)
class Journal:
    """What happened, step by step. `params` has one entry more than there are steps: the last is the end.

    rates: the learning rate that was due at each step. stopped: why the run ended early, or an empty string.
    """

    case: Case
    rule: str
    config: Mapping[str, float]
    lr_decay: float
    params: list[Params] = field(default_factory=list)
    X: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    grads: list[Params] = field(default_factory=list)
    stopped: str = ""

    @property
    def steps(self) -> int:
        return len(self.params) - 1

    @property
    def rates(self) -> tuple[float, ...]:
        rate = self.config["learning_rate"]
        return tuple(rate * self.lr_decay ** (step // PER_EPOCH) for step in range(self.steps))


class _Enough(BaseException):
    """The wanted number of steps is done; no `except Exception` of a subject's may hold it up."""


class _Tap:
    """The subject's net, with a journal beside it; everything but `loss(X, y)` passes straight through."""

    def __init__(self, net: Any, journal: Journal, steps: int, advance: Callable[[], None]) -> None:
        self._net, self._journal, self._steps, self._advance = net, journal, steps, advance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._net, name)

    def loss(self, X: Array, y: Array | None = None, **options: Any) -> Any:
        if y is None:
            return self._net.loss(X, **options)
        journal = self._journal
        journal.params.append(_copied(self._net.params))
        if len(journal.losses) == self._steps:
            raise _Enough
        journal.X.append(X.copy())
        journal.y.append(y.copy())
        loss, grads = self._net.loss(X, y, **options)
        journal.losses.append(float(loss))
        journal.grads.append(_copied(grads))
        self._advance()
        return loss, grads


def record(
    module: ModuleType,
    case: Case,
    rule: str,
    *,
    steps: int,
    lr_decay: float = 1.0,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Journal:
    """Let the subject train `case` for `steps` steps by `rule`, in float64, and write down what happens.

    With a `Solver` in the module, it is the Solver that trains; otherwise `loss` and the rule are called in turn.
    An exception out of the subject ends the journal at the last whole step and is kept in `stopped`.
    Raises: UnusableError if the net cannot be built.
    """
    rng = np.random.default_rng(seed)
    journal = Journal(case=case, rule=rule, config=dict(CONFIGS[rule]), lr_decay=lr_decay)
    data, net = _make_data(case, rng), _build(module, case, rng)
    tap = _Tap(net, journal, steps, advance)
    drive = _by_solver if callable(getattr(module, "Solver", None)) else _by_rule
    try:
        drive(module, tap, data, journal, steps, rng)
    except _Enough:
        return journal
    except Exception as error:
        journal.stopped = f"{type(error).__name__}: {error}"
        whole = max(0, len(journal.params) - 1)
        del journal.losses[whole:], journal.grads[whole:], journal.X[whole:], journal.y[whole:]
        return journal
    journal.params.append(_copied(net.params))
    return journal


def find_rule(module: ModuleType, rule: str) -> Callable[..., Any] | None:
    """The subject's update rule, from the module itself or its `optim` room; None where it has none."""
    rooms = [module]
    with contextlib.suppress(ImportError):
        rooms.append(importlib.import_module(f"{module.__name__}.optim"))
    found = (getattr(room, rule, None) for room in rooms)
    return next((function for function in found if callable(function)), None)


def _by_solver(
    module: ModuleType, tap: _Tap, data: dict[str, Array], journal: Journal, steps: int, rng: np.random.Generator
) -> None:
    drawn_from = {"rng": rng} if "rng" in inspect.signature(module.Solver).parameters else {}
    solver = module.Solver(
        tap,
        data,
        update_rule=journal.rule,
        optim_config=dict(journal.config),
        lr_decay=journal.lr_decay,
        num_epochs=-(-steps // PER_EPOCH),
        batch_size=BATCH,
        verbose=False,
        **drawn_from,
    )
    solver.train()


def _by_rule(
    module: ModuleType, tap: _Tap, data: dict[str, Array], journal: Journal, steps: int, rng: np.random.Generator
) -> None:
    """The plainest of loops, for a subject that has update rules but no Solver."""
    rule = find_rule(module, journal.rule)
    assert rule is not None, "the caller has looked"
    states: dict[str, dict[str, Any]] = {name: dict(journal.config) for name in tap.params}
    for step in range(steps):
        rows = rng.choice(ROWS, BATCH, replace=False)
        _, grads = tap.loss(data["X_train"][rows], data["y_train"][rows])
        for name, w in tap.params.items():
            states[name]["learning_rate"] = journal.config["learning_rate"] * journal.lr_decay ** (step // PER_EPOCH)
            found = rule(w, grads[name], states[name])
            if isinstance(found, tuple):  # CS231n's form: the next value and the config come back
                tap.params[name], states[name] = found


def _build(module: ModuleType, case: Case, rng: np.random.Generator) -> Any:
    net_class = getattr(module, case.class_name, None)
    if not callable(net_class):
        raise UnusableError(f"{module.__name__} has no {case.class_name}, which lockstep on {case.name} needs")
    offered = {"weight_scale": 0.1, "reg": case.reg, "dtype": np.float64, "rng": rng}
    try:
        taken = inspect.signature(net_class).parameters
        return net_class(*case.sizes, **{key: value for key, value in offered.items() if key in taken})
    except Exception as error:
        raise UnusableError(f"{case.class_name} cannot be built: {type(error).__name__}: {error}") from error


def _make_data(case: Case, rng: np.random.Generator) -> dict[str, Array]:
    """Rows that can be learnt: the exclusive or of two noisy bits, or a random linear teacher with some noise."""
    rows = ROWS + 40
    if case.name == "xor":
        bits = rng.integers(0, 2, (rows, 2))
        X, y = bits + 0.02 * rng.standard_normal((rows, 2)), bits[:, 0] ^ bits[:, 1]
    else:
        X = rng.standard_normal((rows, *case.shape))
        scores = X.reshape(rows, -1) @ rng.standard_normal((int(np.prod(case.shape)), case.classes))
        y = (scores + 3 * rng.standard_normal(scores.shape)).argmax(axis=1)
    return {"X_train": X[:ROWS], "y_train": y[:ROWS], "X_val": X[ROWS:], "y_val": y[ROWS:]}


def _copied(arrays: Mapping[str, Any]) -> Params:
    return {name: np.array(value) for name, value in arrays.items()}
