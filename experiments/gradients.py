"""Numerical or analytic gradient: how wrong is the one, and what does it cost beside the other?

A finite difference is wrong twice: by truncation, which falls with the step, and by rounding, which grows as the
step shrinks. So its error against the analytic gradient has a least value in between: near h = cube root of
epsilon for the central difference, near the square root for the one-sided one. And it needs two evaluations of
the loss, forward passes alone, for every parameter, where the analytic gradient costs about two or three evaluations
in all: it is for checking.
The net is the two-layer net in float64; its ReLU kinks make a few large steps worse than smooth theory has it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch

from . import plots
from .command import Common, command, option, resolve_device
from .record import Run
from .training import images_for

Array = NDArray[Any]
Gradient = Callable[[], dict[str, Array]]
STEPS = tuple(10.0**-k for k in range(1, 13))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The sizes that are measured."""

    seeds: int = option(3, "how many nets the error is averaged over", least=1)
    widths: tuple[int, ...] = option((2, 4, 8, 16, 32), "hidden units of the nets whose cost is measured", least=1)
    features: int = option(48, "pixels that the nets see, evenly spaced out of all", least=1)
    images: int = option(20, "images in the minibatch", least=1)
    directions: int = option(200, "parameters that the error is measured on", least=1)


SMOKE = {"seeds": 2, "widths": (2, 4), "features": 12, "directions": 20}
NEEDS = ("matplotlib",)


def main(config: Config) -> dict[str, object]:
    """Measure error and cost, print, draw, and return the record."""
    device = resolve_device(config.backend, config.device)
    run = Run.start("gradients", config)
    X, y = _minibatch(config, run)
    run.begin()
    runs = [_errors(config, X, y, seed, device) for seed in config.run_seeds()]
    errors = {name: np.mean([each[name] for each in runs], axis=0) for name in runs[0]}
    costs = [_cost(config, X, y, hidden, device) for hidden in config.widths]
    for name, values in errors.items():
        best = int(np.argmin(values))
        print(f"{name} difference: least mean error {values[best]:.1e} at h = {STEPS[best]:.0e}")
    for cost in costs:
        print(
            f"{cost['parameters']:6d} parameters: numerical {cost['numerical']:.2e} s, analytic"
            f" {cost['analytic']:.2e} s, ratio {cost['numerical'] / cost['analytic']:,.0f}"
        )
    run.table("error.csv", ("h", *errors), zip(STEPS, *errors.values(), strict=True))
    _draw(errors, costs, run)
    return run.finish({"steps": STEPS, "errors": errors, "costs": costs})


def _minibatch(config: Config, run: Run) -> tuple[Array, Array]:
    """A few images, thinned out to `features` values of about unit size."""
    split = images_for(config, run)
    X = split.X_train[: config.images].reshape(config.images, -1)
    columns = np.linspace(0, X.shape[1] - 1, config.features).astype(np.int64)
    return X[:, columns].astype(np.float64) / 64, split.y_train[: config.images]


def _net(config: Config, hidden: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return scratch.TwoLayerNet(config.features, hidden, 10, weight_scale=0.1, reg=0.1, rng=rng)


def _analytic(net: Any, X: Array, y: Array, backend: str, device: str) -> Gradient:
    """Backpropagation by hand, or torch's autograd on the same net."""
    if backend == "scratch":
        return lambda: net.loss(X, y)[1]
    import torch

    from scratchproof.table import nets

    module = nets.from_params("two_layer", net.params).to(device)
    inputs, labels = (torch.from_numpy(np.array(array)).to(device) for array in (X, y))

    def gradient() -> dict[str, Array]:
        module.zero_grad()
        torch.autograd.backward(nets.objective(module, inputs, labels, reg=net.reg))
        return nets.dump_grad(module)

    return gradient


def _errors(config: Config, X: Array, y: Array, seed: int, device: str) -> dict[str, list[float]]:
    """Mean absolute error of both differences for every step, over some parameters of W1."""
    net = _net(config, max(config.widths), seed)
    exact = _analytic(net, X, y, config.backend, device)()["W1"].ravel()
    chosen = np.random.default_rng(seed).choice(exact.size, min(config.directions, exact.size), replace=False)
    weights, here = net.params["W1"].ravel(), _loss(net, X, y)
    errors: dict[str, list[float]] = {"central": [], "one-sided": []}
    for h in STEPS:
        ahead, behind = (np.array([_moved(net, X, y, weights, at, step) for at in chosen]) for step in (h, -h))
        errors["central"].append(float(np.abs((ahead - behind) / (2 * h) - exact[chosen]).mean()))
        errors["one-sided"].append(float(np.abs((ahead - here) / h - exact[chosen]).mean()))
    return errors


def _moved(net: Any, X: Array, y: Array, weights: Array, at: int, step: float) -> float:
    """The loss with one parameter moved by `step`, and put back."""
    kept = weights[at]
    weights[at] = kept + step
    loss = _loss(net, X, y)
    weights[at] = kept
    return loss


def _loss(net: Any, X: Array, y: Array) -> float:
    """The loss by a forward pass alone: `net.loss(X, y)` would go backward too."""
    scores = net.loss(X)
    shifted = scores - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]
    squares = sum(np.vdot(w, w) for name, w in net.params.items() if name.startswith("W"))
    return float(losses.mean() + 0.5 * net.reg * squares)


def _cost(config: Config, X: Array, y: Array, hidden: int, device: str) -> dict[str, float]:
    """Seconds for one whole gradient, by two evaluations a parameter and analytically (median of 20)."""
    net = _net(config, hidden, config.seed)
    analytic = _analytic(net, X, y, config.backend, device)
    parameters = sum(value.size for value in net.params.values())
    started = time.perf_counter()
    for value in net.params.values():
        flat = value.reshape(-1)
        for at in range(flat.size):
            _moved(net, X, y, flat, at, 1e-5)
            _moved(net, X, y, flat, at, -1e-5)
    numerical = time.perf_counter() - started
    return {"parameters": parameters, "numerical": numerical, "analytic": _median_time(analytic)}


def _median_time(call: Callable[[], object]) -> float:
    times = []
    for _ in range(21):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))


def _draw(errors: dict[str, Array], costs: list[dict[str, float]], run: Run) -> None:
    drawing, (left, right) = plots.figure(2)
    series = {name: (STEPS, values.tolist()) for name, values in errors.items()}
    plots.lines(left, series, x="step h", y="mean error", title="numerical less analytic", log="xy", marker="o")
    sizes = [cost["parameters"] for cost in costs]
    times = {name: (sizes, [cost[name] for cost in costs]) for name in ("numerical", "analytic")}
    plots.lines(right, times, x="parameters", y="seconds", title="cost of one gradient", log="xy", marker="o")
    right.set_xticks(sizes, [f"{size:,}" for size in sizes])
    plots.save(drawing, run.path("gradients.png"))


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
