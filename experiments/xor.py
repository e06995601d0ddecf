"""Which nets can learn exclusive or?

A linear (logistic) classifier cannot: its boundary is one straight line. Two linear layers cannot either: they
collapse into one, W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2), which is checked on the trained weights. A
hidden layer with tanh can. All see the four corners with a little noise, as one batch an epoch; the linear ones
train by SGD (rate 0.1), the tanh net by Adam (rate 0.01). The boundaries are drawn on a 200 x 200 grid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch

from . import plots
from .command import Common, command, option, resolve_device
from .record import Run, mean_std

Array = NDArray[Any]
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LABELS = np.array([0, 1, 1, 0])
LIMITS = (-0.5, 1.5)
GRID = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The settings of all runs."""

    seeds: int = option(5, "how many runs of each net, each with its own seed")
    hidden: int = option(8, "units of the tanh layer")
    linear_epochs: int = option(1000, "steps of the two linear nets")
    epochs: int = option(5000, "steps of the tanh net")
    copies: int = option(25, "noisy copies of each corner")
    noise: float = option(0.02, "standard deviation of the noise")


SMOKE = {"seeds": 2, "linear_epochs": 200, "epochs": 600}


class Logistic(scratch.Net):
    """A straight line: one affine layer to one logit, binary cross-entropy on its sigmoid."""

    _criterion = staticmethod(scratch.logistic_loss)

    def __init__(self, *, rng: np.random.Generator) -> None:
        self.dtype, self.reg = np.dtype(np.float64), 0.0
        self.params = {"W": scratch.xavier_uniform(2, 1, rng=rng), "b": np.zeros(1)}

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


def main(config: Config) -> dict[str, object]:
    """Train all nets on every seed, print, draw, and return the record."""
    if config.data != "synthetic":
        raise ValueError(f"xor makes its own points, but --data is {config.data!r}: leave it out")
    device = resolve_device(config.backend, config.device)
    run = Run.start("xor", config)
    run.images = f"none: the four corners, {config.copies} copies each, noise {config.noise}"
    nets: dict[str, Callable[[np.random.Generator], Any]] = {
        "linear": lambda rng: Logistic(rng=rng),
        "two linear layers": lambda rng: TwoLinear(config.hidden, rng=rng),
        "tanh": lambda rng: scratch.XorNet(config.hidden, rng=rng),
    }
    drawing, axes = plots.figure(3, width=4)
    metrics: dict[str, Any] = {}
    for axis, (name, make) in zip(axes, nets.items(), strict=True):
        trained = [_train(config, name, make, seed, device, run) for seed in config.run_seeds()]
        solved = sum(net.predict(CORNERS).tolist() == LABELS.tolist() for net, _ in trained)
        accuracies = [accuracy for _, accuracy in trained]
        print(f"{name}: accuracy {mean_std(accuracies)}, exclusive or learnt by {solved} of {len(trained)} seeds")
        metrics[name] = {"accuracy": accuracies, "solved": solved}
        if name == "two linear layers":
            metrics["collapse"] = _collapse(trained[0][0])
        _draw(axis, trained[0][0], config, name)
    plots.save(drawing, run.path("boundaries.png"))
    return run.finish(metrics)


def points(config: Config, seed: int) -> tuple[Array, Array]:
    """The corners with noise (4 · copies, 2) and their labels."""
    rng = np.random.default_rng(seed)
    X = np.repeat(CORNERS, config.copies, axis=0)
    return X + config.noise * rng.standard_normal(X.shape), np.repeat(LABELS, config.copies)


def _train(
    config: Config, name: str, make: Callable[[np.random.Generator], Any], seed: int, device: str, run: Run
) -> tuple[Any, float]:
    """The net with its trained parameters, whichever backend trained them, and its accuracy."""
    rng = np.random.default_rng(seed)
    X, y = points(config, seed)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    adam = name == "tanh"
    net = make(rng)
    options: dict[str, Any] = {
        "update_rule": "adam" if adam else "sgd",
        "optim_config": {"learning_rate": 0.01 if adam else 0.1},
        "num_epochs": config.epochs if adam else config.linear_epochs,
        "batch_size": len(X),
        "verbose": False,
        "rng": rng,
    }
    if config.backend == "scratch":
        scratch.Solver(net, data, **options).train(progress=run.first_step)
    else:
        net.params.update(_train_torch(name, net.params, data, device, options, run))
    return net, float(np.mean(net.predict(X) == y))


def _train_torch(
    name: str, params: dict[str, Array], data: dict[str, Array], device: str, options: dict[str, Any], run: Run
) -> dict[str, Array]:
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
    return nets.dump(module)


def _collapse(net: TwoLinear) -> float:
    """How far the two layers are from the one layer that they multiply out to; prints it."""
    p = net.params
    X = np.random.default_rng(0).uniform(*LIMITS, (1000, 2))
    one_layer = X @ (p["W1"] @ p["W2"]) + (p["b1"] @ p["W2"] + p["b2"])
    gap = float(np.abs(net.loss(X) - one_layer[:, 0]).max())
    print(f"  two layers less the one layer they collapse into: at most {gap:.1e} on 1,000 points")
    return gap


def _draw(axis: Any, net: Any, config: Config, name: str) -> None:
    ticks = np.linspace(*LIMITS, GRID)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    probability, _ = scratch.sigmoid_forward(net.loss(grid))
    plots.boundary(axis, probability.reshape(GRID, GRID), LIMITS, f"{name}: probability of 1")
    plots.points(axis, *points(config, config.seed))


if __name__ == "__main__":
    command(Config, main, SMOKE)()
