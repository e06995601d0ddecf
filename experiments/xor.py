"""Which nets can learn exclusive or?

A linear (logistic) classifier cannot: its boundary is one straight line. Two linear layers cannot either: they
collapse into one, W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2), which is checked on the trained weights. A
hidden layer with tanh can. The linear ones see the four corners and train by SGD (rate 0.1; the classifier starts
from a standard normal), the tanh net sees them with a little noise and trains by Adam (rate 0.01). All take one
batch an epoch. Prints the truth table with every net's answer and the tanh net's loss; draws the boundaries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch

from . import plots
from .command import Computed, command, option, resolve_device
from .record import Run, mean_std

Array = NDArray[Any]
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LABELS = np.array([0, 1, 1, 0])
LIMITS = (-0.5, 1.5)
LOGGED = 5  # stretches that the loss of the tanh net is told after: every 1,000 of 5,000 epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Computed):
    """The settings of all runs."""

    seeds: int = option(5, "how many runs of each net, each with its own seed", least=1)
    hidden: int = option(8, "units of the tanh layer", least=1)
    linear_epochs: int = option(1000, "steps of the two linear nets", least=1)
    epochs: int = option(5000, "steps of the tanh net", least=1)
    copies: int = option(25, "noisy copies of each corner", least=1)
    noise: float = option(0.02, "standard deviation of the noise", least=0)


SMOKE = {"seeds": 2, "linear_epochs": 200, "epochs": 600}
NEEDS = ("matplotlib",)


class Logistic(scratch.Net):
    """A straight line: one affine layer to one logit, binary cross-entropy on its sigmoid."""

    _criterion = staticmethod(scratch.logistic_loss)

    def __init__(self, *, rng: np.random.Generator) -> None:
        self.dtype, self.reg = np.dtype(np.float64), 0.0
        self.params = {"W": scratch.gaussian((2, 1), scale=1.0, rng=rng), "b": np.zeros(1)}

    def predict(self, X: Array) -> Array:
        """1 where the logit is positive, else 0."""
        return (self.loss(X) > 0).astype(np.int64)

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        out, cache = scratch.affine_forward(X, self.params["W"], self.params["b"])
        return out[:, 0], cache

    def _backward(self, dscores: Array, cache: Any) -> dict[str, Array]:
        _, dW, db = scratch.affine_backward(dscores[:, None], cache)
        return {"W": dW, "b": db}


class TwoLinear(scratch.XorNet):
    """The tanh net without its tanh."""

    def _forward(self, X: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        h, first = scratch.affine_forward(X, self.params["W1"], self.params["b1"])
        out, second = scratch.affine_forward(h, self.params["W2"], self.params["b2"])
        return out[:, 0], (first, second)

    def _backward(self, dscores: Array, cache: Any) -> dict[str, Array]:
        first, second = cache
        dh, dW2, db2 = scratch.affine_backward(dscores[:, None], second)
        _, dW1, db1 = scratch.affine_backward(dh, first)
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A net, and how it is trained and drawn: on one batch an epoch, its boundary on a grid of points."""

    make: Callable[[np.random.Generator], Any]
    rule: str
    learning_rate: float
    epochs: int
    copies: int
    noise: float
    grid: int


def _kinds(config: Config) -> dict[str, Kind]:
    linear: dict[str, Any] = {"rule": "sgd", "learning_rate": 0.1, "epochs": config.linear_epochs}
    linear |= {"copies": 1, "noise": 0.0, "grid": 100}
    noisy: dict[str, Any] = {"epochs": config.epochs, "copies": config.copies, "noise": config.noise, "grid": 200}
    return {
        "linear": Kind(make=lambda rng: Logistic(rng=rng), **linear),
        "two linear layers": Kind(make=lambda rng: TwoLinear(config.hidden, rng=rng), **linear),
        "tanh": Kind(make=lambda rng: scratch.XorNet(config.hidden, rng=rng), rule="adam", learning_rate=0.01, **noisy),
    }


def main(config: Config) -> dict[str, object]:
    """Train all nets on every seed, print, draw, and return the record."""
    device = resolve_device(config.backend, config.device)
    run = Run.start("xor", config)
    run.use(f"none: the four corners, for tanh {config.copies} copies each with noise {config.noise}")
    run.begin()
    drawing, axes = plots.figure(3, width=4)
    metrics: dict[str, Any] = {}
    firsts = {}
    for axis, (name, kind) in zip(axes, _kinds(config).items(), strict=True):
        trained = [_train(config, name, kind, seed, device, run) for seed in config.run_seeds()]
        firsts[name], losses, _ = trained[0]
        solved = sum(net.predict(CORNERS).tolist() == LABELS.tolist() for net, *_ in trained)
        accuracies = [accuracy for *_, accuracy in trained]
        print(f"{name}: accuracy {mean_std(accuracies)}, exclusive or learnt by {solved} of {len(trained)} seeds")
        metrics[name] = {
            "accuracy": accuracies,
            "solved": solved,
            "loss": _log(losses) if name == "tanh" else losses[-1],
        }
        if name == "two linear layers":
            metrics["collapse"] = _collapse(firsts[name])
        _draw(axis, firsts[name], kind, config, name)
    metrics["truth table"] = _truth_table(firsts)
    plots.bar(axes, "probability of 1")
    plots.save(drawing, run.path("boundaries.png"))
    return run.finish(metrics)


def _log(losses: list[float]) -> dict[str, float]:
    """The loss before every thousandth epoch (of 5,000) and after the last; printed."""
    stretch = max(1, len(losses) // LOGGED)
    told = {f"{epoch:,}": losses[epoch] for epoch in range(0, len(losses), stretch)}
    told[f"{len(losses):,}"] = losses[-1]
    for epoch, loss in told.items():
        print(f"  epoch {epoch:>5}: loss {loss:.6f}")
    return told


def _truth_table(nets: dict[str, Any]) -> dict[str, list[float]]:
    """Exclusive or, and the probability of 1 that each net's first seed gives; printed."""
    answers = {name: scratch.sigmoid_forward(net.loss(CORNERS))[0].tolist() for name, net in nets.items()}
    print("x1 x2 | x1 xor x2 | " + " | ".join(f"p of {name}" for name in nets))
    for row, ((x1, x2), label) in enumerate(zip(CORNERS, LABELS, strict=True)):
        cells = " | ".join(f"{values[row]:{len(name) + 5}.3f}" for name, values in answers.items())
        print(f"{x1:2.0f} {x2:2.0f} | {label:9d} | {cells}")
    return answers


def points(copies: int, noise: float, seed: int) -> tuple[Array, Array]:
    """The corners with noise (4 · copies, 2) and their labels."""
    rng = np.random.default_rng(seed)
    X = np.repeat(CORNERS, copies, axis=0)
    return X + noise * rng.standard_normal(X.shape), np.repeat(LABELS, copies)


def _train(config: Config, name: str, kind: Kind, seed: int, device: str, run: Run) -> tuple[Any, list[float], float]:
    """The net with its trained parameters, whichever backend trained them, its losses and its accuracy."""
    rng = np.random.default_rng(seed)
    X, y = points(kind.copies, kind.noise, seed)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    net = kind.make(rng)
    options: dict[str, Any] = {
        "update_rule": kind.rule,
        "optim_config": {"learning_rate": kind.learning_rate},
        "num_epochs": kind.epochs,
        "batch_size": len(X),
        "verbose": False,
        "rng": rng,
    }
    if config.backend == "scratch":
        solver: Any = scratch.Solver(net, data, **options)
        solver.train(progress=run.first_step)
    else:
        solver = _train_torch(name, net.params, data, device, options, run)
        from scratchproof.table import nets

        net.params.update(nets.dump(solver.model))
    return net, solver.loss_history, float(np.mean(net.predict(X) == y))


def _train_torch(
    name: str, params: dict[str, Array], data: dict[str, Array], device: str, options: dict[str, Any], run: Run
) -> Any:
    from torch import nn

    from scratchproof.table import nets
    from scratchproof.training.optim import TorchSolver

    if name == "linear":
        module = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    elif name == "tanh":
        module = nets.xor_net(params["W1"].shape[1])
    else:
        module = nn.Sequential(nn.Linear(2, len(params["b1"])), nn.Linear(len(params["b1"]), 1), nn.Flatten(0))
    solver = TorchSolver(nets.load(module, params), data, loss="logistic", device=device, **options)
    solver.train(progress=run.first_step)
    return solver


def _collapse(net: TwoLinear) -> float:
    """How far the two layers are from the one layer that they multiply out to; prints it."""
    p = net.params
    X = np.random.default_rng(0).uniform(*LIMITS, (1000, 2))
    one_layer = X @ (p["W1"] @ p["W2"]) + (p["b1"] @ p["W2"] + p["b2"])
    gap = float(np.abs(net.loss(X) - one_layer[:, 0]).max())
    print(f"  two layers less the one layer they collapse into: at most {gap:.1e} on 1,000 points")
    return gap


def _draw(axis: Any, net: Any, kind: Kind, config: Config, name: str) -> None:
    ticks = np.linspace(*LIMITS, kind.grid)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    probability, _ = scratch.sigmoid_forward(net.loss(grid))
    plots.boundary(axis, probability.reshape(kind.grid, kind.grid), LIMITS, f"XOR, {name}")
    plots.points(axis, *points(kind.copies, kind.noise, config.seed))


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
