"""Which activations stop the gradient? (The write-ups' inline question 1, measured.)

Two answers. At one point: sigmoid's and tanh's gradient vanishes far from zero, ReLU's is exactly zero for every
negative input, leaky ReLU's never is. In a deep stack (affine, activation, affine, ...): how much of the
gradient at the last layer arrives at the first, by depth and by the scale of the weights (times 1 / sqrt of the
width), and how many ReLU units are dead, that is zero for every image of the batch.
"""

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
Pair = tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]
ACTIVATIONS: dict[str, Pair] = {
    "sigmoid": (scratch.sigmoid_forward, scratch.sigmoid_backward),
    "tanh": (scratch.tanh_forward, scratch.tanh_backward),
    "relu": (scratch.relu_forward, scratch.relu_backward),
    "leaky_relu": (scratch.leaky_relu_forward, scratch.leaky_relu_backward),
}
INPUTS = np.array([-10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """The stacks that are measured."""

    seeds: int = option(3, "how many stacks of each kind, each with its own seed", least=1)
    depths: tuple[int, ...] = option((1, 2, 4, 8, 16, 32), "numbers of layers", least=1)
    scales: tuple[float, ...] = option((0.5, 1.0, 1.41, 2.0), "weights' scale, times 1 / sqrt(width)", above=0)
    width: int = option(100, "units of every layer", least=1)
    images: int = option(200, "images in the batch", least=1)


SMOKE = {"seeds": 2, "depths": (1, 4), "scales": (0.5, 1.41), "width": 20}
NEEDS = ("matplotlib",)


def main(config: Config) -> dict[str, object]:
    """Measure points and stacks, print, draw, and return the record."""
    device = resolve_device(config.backend, config.device)
    run = Run.start("activations", config)
    split = images_for(config, run)
    run.begin()
    X = split.X_train[: config.images].reshape(config.images, -1).astype(np.float64) / 64
    gradients = _at_points()
    rows = [
        (
            name,
            scale,
            depth,
            *np.mean([_stack(config, X, name, scale, depth, s, device) for s in config.run_seeds()], 0),
        )
        for name in ACTIVATIONS
        for scale in config.scales
        for depth in config.depths
    ]
    run.table("stacks.csv", ("activation", "scale", "depth", "gradient kept", "dead units"), rows)
    _show(config, rows)
    _draw(config, rows, run)
    return run.finish({"inputs": INPUTS, "gradients": gradients, "stacks": rows})


def _at_points() -> dict[str, Array]:
    """The gradient of every activation at a few inputs; printed."""
    print("gradient at x =" + "".join(f"{x:10g}" for x in INPUTS))
    gradients = {}
    for name, (forward, backward) in ACTIVATIONS.items():
        _, cache = forward(INPUTS)
        gradients[name] = backward(np.ones_like(INPUTS), cache)
        print(f"{name:15}" + "".join(f"{value:10.2g}" for value in gradients[name]))
    return gradients


def _stack(
    config: Config, X: Array, name: str, scale: float, depth: int, seed: int, device: str
) -> tuple[float, float]:
    """The gradient's norm at the first layer's output over that at the last, and the share of dead units."""
    rng = np.random.default_rng(seed)
    fans = [X.shape[1]] + [config.width] * (depth - 1)
    weights = [scratch.gaussian((fan, config.width), scale=scale * fan**-0.5, rng=rng) for fan in fans]
    dout = rng.standard_normal((len(X), config.width))
    first, dead = (_by_hand if config.backend == "scratch" else _by_autograd(device))(name, X, weights, dout)
    return float(np.linalg.norm(first) / np.linalg.norm(dout)), dead


def _by_hand(name: str, X: Array, weights: list[Array], dout: Array) -> tuple[Array, float]:
    """Forward and backward through the stack; the gradient at the first affine layer's output."""
    forward, backward = ACTIVATIONS[name]
    caches, dead, h = [], [], X
    for W in weights:
        a, affine_cache = scratch.affine_forward(h, W, np.zeros(W.shape[1]))
        h, cache = forward(a)
        caches.append((affine_cache, cache))
        dead.append(np.mean((h == 0).all(axis=0)))
    dh = dout
    for affine_cache, cache in reversed(caches):
        da = backward(dh, cache)
        dh, _, _ = scratch.affine_backward(da, affine_cache)
    return da, float(np.mean(dead))


def _by_autograd(device: str) -> Callable[[str, Array, list[Array], Array], tuple[Array, float]]:
    import torch
    from torch.nn import functional as F

    functions: dict[str, Callable[[Any], Any]] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": F.leaky_relu,
    }

    def measure(name: str, X: Array, weights: list[Array], dout: Array) -> tuple[Array, float]:
        h, dead, first = torch.from_numpy(X).to(device), [], None
        for W in weights:
            a = h @ torch.from_numpy(W).to(device)
            first = a.requires_grad_() if first is None else first
            h = functions[name](a)
            dead.append(float((h == 0).all(dim=0).double().mean()))
        assert first is not None
        (da,) = torch.autograd.grad(h, first, torch.from_numpy(dout).to(device))
        return da.cpu().numpy(), float(np.mean(dead))

    return measure


def _show(config: Config, rows: list[tuple[Any, ...]]) -> None:
    deepest = max(config.depths)
    print(f"share of the gradient that passes {deepest} layers (dead units), by scale of the weights")
    for name in ACTIVATIONS:
        cells = [f"{kept:9.1e} ({dead:4.0%})" for n, _, depth, kept, dead in rows if (n, depth) == (name, deepest)]
        print(f"{name:12}" + "  ".join(cells))


def _draw(config: Config, rows: list[tuple[Any, ...]], run: Run) -> None:
    drawing, axes = plots.figure(len(config.scales) + 1, width=3.6)
    for axis, scale in zip(axes, config.scales, strict=False):
        kept = {name: (config.depths, [r[3] for r in rows if r[:2] == (name, scale)]) for name in ACTIVATIONS}
        title = f"weights {scale:g} / sqrt(width)"
        plots.lines(axis, kept, x="layers", y="gradient kept", title=title, log="xy", marker="o")
    dead = {f"{s:g}": (config.depths, [r[4] for r in rows if r[:2] == ("relu", s)]) for s in config.scales}
    if len({tuple(shares) for _, shares in dead.values()}) == 1:  # a ReLU's zero is a zero at any scale
        dead = {"any scale": next(iter(dead.values()))}
    plots.lines(axes[-1], dead, x="layers", y="dead share", title="dead ReLUs, by scale", log="x", marker="o")
    for axis in axes:
        axis.set_xticks(config.depths, [str(depth) for depth in config.depths], minor=False)
        axis.minorticks_off()
    plots.save(drawing, run.path("activations.png"))


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
