"""Is the sigmoid guilty on the three charges that the write-ups bring against it?

That its exponential is expensive: forward and backward are timed beside the other activations. That its outputs are
all positive: a neuron behind it then gets weight gradients of one sign, so that it can only go forward in all
weights or back in all, and zigzags to any target that lies between. A linear neuron learns a teacher's weights from
one layer of activations, an example at a time; told are the share of its steps in which all weight gradients have
one sign, and how much longer its way is than the straight line. That it saturates: its slope is at most 1/4, and
next to nothing at both ends.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch

from . import plots
from .activations import ACTIVATIONS
from .command import Basic, command, option
from .record import Run, mean_std

Array = NDArray[Any]
ARRIVED = 0.01
FLAT = 0.01
"""A slope below this share of the activation's steepest counts as saturated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """What is measured, and how carefully."""

    seeds: int = option(5, "how many neurons learn from each activation", least=1)
    numbers: int = option(1_000_000, "numbers in the timed array", least=1)
    rounds: int = option(15, "rounds of timing, all activations in each", least=1)
    inputs: int = option(10, "activations that the learning neuron sees", least=2)
    steps: int = option(20_000, "its steps at most", least=1)
    learning_rate: float = option(0.1, "its learning rate", above=0)
    scales: tuple[float, ...] = option((0.5, 1.0, 2.0, 5.0, 10.0), "deviations of the inputs that saturate", above=0)


SMOKE = {"seeds": 2, "numbers": 10_000, "rounds": 3, "steps": 200}
NEEDS = ("matplotlib",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How a neuron went to its teacher's weights, until it was there but for a hundredth of the way.

    steps: how many it took. one_sign: share of them in which no two weight gradients have opposite signs. detour: the
    length of its way over the distance from start to end. path: the first two weights after every step (steps + 1, 2).
    """

    steps: int
    one_sign: float
    detour: float
    path: Array
    target: Array


def main(config: Config) -> dict[str, object]:
    """Measure all three, print, draw, and return the record."""
    run = Run.start("sigmoid", config)
    run.begin()
    costs = _costs(config)
    walks = {name: [_walk(config, name, seed) for seed in config.run_seeds()] for name in ACTIVATIONS}
    saturated = {name: [_saturated(config, name, scale) for scale in config.scales] for name in ACTIVATIONS}
    _show(config, costs, walks, saturated)
    _draw_activations(run)
    _draw_walks(walks, run)
    told = {name: {"cost": costs[name], "saturated": saturated[name], **_means(found)} for name, found in walks.items()}
    return run.finish(told)


def _costs(config: Config) -> dict[str, float]:
    """Time of forward and backward over ReLU's: the median of the ratios, round by round."""
    x = np.random.default_rng(config.seed).standard_normal(config.numbers)
    seconds: dict[str, list[float]] = {name: [] for name in ACTIVATIONS}
    for _ in range(config.rounds + 1):
        for name, (forward, backward) in ACTIVATIONS.items():
            started = time.process_time()
            _, cache = forward(x)
            backward(x, cache)
            seconds[name].append(time.process_time() - started)
    kept = {
        name: np.maximum(values[1:], time.get_clock_info("process_time").resolution) for name, values in seconds.items()
    }
    return {name: float(np.median(values / kept["relu"])) for name, values in kept.items()}


def _walk(config: Config, name: str, seed: int) -> Walk:
    """A linear neuron learns a teacher's weights, of both signs, from the activations of random numbers."""
    rng = np.random.default_rng(seed)
    forward, _ = ACTIVATIONS[name]
    h, _ = forward(rng.standard_normal((config.steps, config.inputs)))
    teacher = np.where(np.arange(config.inputs) % 2, -1.0, 1.0) * rng.uniform(0.5, 1.5, config.inputs)
    w = np.zeros((config.inputs, 1))
    path, one_sign = [w[:, 0].copy()], 0
    for x in h:
        out, cache = scratch.affine_forward(x[None], w, np.zeros(1))
        _, dw, _ = scratch.affine_backward(out - x @ teacher, cache)
        one_sign += int((dw >= 0).all() or (dw <= 0).all())
        w = w - config.learning_rate * dw
        path.append(w[:, 0].copy())
        if np.linalg.norm(path[-1] - teacher) < ARRIVED * np.linalg.norm(teacher):
            break
    way, steps = np.array(path), len(path) - 1
    length = np.linalg.norm(np.diff(way, axis=0), axis=1).sum()
    return Walk(
        steps=steps,
        one_sign=one_sign / steps,
        detour=float(length / np.linalg.norm(way[-1] - way[0])),
        path=way[:, :2],
        target=teacher[:2],
    )


def _saturated(config: Config, name: str, scale: float) -> float:
    """The share of inputs, normal with this deviation, at which the slope is next to nothing."""
    x = scale * np.random.default_rng(config.seed).standard_normal(100_000)
    return float((_slope(name, x) < FLAT * _slope(name, np.linspace(-1, 1, 201)).max()).mean())


def _slope(name: str, x: Array) -> Array:
    forward, backward = ACTIVATIONS[name]
    return backward(np.ones_like(x), forward(x)[1])


def _means(walks: list[Walk]) -> dict[str, list[float]]:
    return {part: [getattr(walk, part) for walk in walks] for part in ("steps", "one_sign", "detour")}


def _show(
    config: Config, costs: dict[str, float], walks: dict[str, list[Walk]], saturated: dict[str, list[float]]
) -> None:
    print(f"{'':12}{'time, ReLU 1':>13}  {'steepest':>8}  {'steps of one sign':17}  {'way / distance':15}  steps")
    for name, found in walks.items():
        means = _means(found)
        steepest = _slope(name, np.linspace(-1, 1, 201)).max()
        cells = f"{costs[name]:13.2f}  {steepest:8.2f}  {mean_std(means['one_sign']):17}"
        print(f"{name:12}{cells}  {mean_std(means['detour']):15}  {np.mean(means['steps']):,.0f}")
    print(f"share of inputs where the slope is below {FLAT:.0%} of the steepest, by their standard deviation")
    print(f"{'':12}" + "".join(f"{scale:8g}" for scale in config.scales))
    for name, shares in saturated.items():
        print(f"{name:12}" + "".join(f"{share:8.1%}" for share in shares))


def _draw_activations(run: Run) -> None:
    """The activations and their slopes, as S3 draws them."""
    x = np.linspace(-6, 6, 601)
    drawing, (left, right) = plots.figure(2)
    values = {name: (x.tolist(), forward(x)[0].tolist()) for name, (forward, _) in ACTIVATIONS.items()}
    slopes = {name: (x.tolist(), _slope(name, x).tolist()) for name in ACTIVATIONS}
    plots.lines(left, values, x="x", y="activation", title="activations")
    plots.lines(right, slopes, x="x", y="slope", title="their slopes")
    left.set_ylim(-1.5, 3)
    plots.save(drawing, run.path("activations.png"))


def _draw_walks(walks: dict[str, list[Walk]], run: Run) -> None:
    """The first two weights on their way from zero, first steps only, beside the teacher's."""
    drawing, axes = plots.figure(len(walks), width=3.4, height=3.4)
    for axis, (name, found) in zip(axes, walks.items(), strict=True):
        path = found[0].path[:200]
        axis.plot(path[:, 0], path[:, 1], linewidth=0.9, marker=".", markersize=2, label="the neuron, 200 steps")
        axis.plot(*found[0].target, "*", markersize=11, color="tab:red", label="teacher")
        axis.set(xlabel="first weight", ylabel="second weight", title=f"behind {name}")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    plots.save(drawing, run.path("zigzag.png"))


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
