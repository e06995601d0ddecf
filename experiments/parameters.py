"""Why do fully connected layers explode on images, and what does a convolution save?

First the unit that both are made of: a perceptron, a linear combination and then a nonlinearity, learning AND, OR
and (in vain) exclusive or by the perceptron's rule. Then both layers side by side, counted on the arrays that they
really need: weights from one image to one unit, and from a 32x32x3 image to the 28x28x6 numbers that six 5x5
filters give. Last the arithmetic of windows, each size measured on what scratch's convolution returns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchproof import scratch

from . import plots
from .command import Basic, command, option
from .record import Run

Array = NDArray[Any]
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
GATES = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "xor": (0, 1, 1, 0)}
WINDOWS = (
    # input, filter, stride, padding
    (7, 3, 1, 0),
    (7, 3, 2, 0),
    (7, 3, 3, 0),
    (7, 3, 1, 1),
    (32, 5, 1, 0),
    (32, 5, 1, 2),
    (32, 7, 2, 3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """The sizes that are counted."""

    sides: tuple[int, ...] = option((32, 64, 128, 224), "widths and heights of the images", least=5)
    filters: int = option(6, "5x5 filters of the convolution", least=1)
    rounds: int = option(20, "passes over the four corners that the perceptron gets", least=1)


SMOKE = {"sides": (8, 32), "rounds": 10}
NEEDS = ("matplotlib",)


def main(config: Config) -> dict[str, object]:
    """Learn, count and measure; print, draw, and return the record."""
    run = Run.start("parameters", config)
    run.begin()
    gates = {name: _perceptron(np.array(labels), config.rounds) for name, labels in GATES.items()}
    _show_gates(gates)
    counts = [_count(side, config.filters) for side in config.sides]
    _show_counts(counts, config.filters)
    windows = list(_windows())
    _draw(counts, config.filters, run)
    run.table("windows.csv", ("input", "filter", "stride", "padding", "output", "left out"), windows)
    return run.finish({"perceptron": gates, "counts": counts, "windows": windows})


def _perceptron(labels: Array, rounds: int) -> dict[str, Any]:
    """step(w · x + b), moved by the perceptron's rule, w += (y - out) x, wherever it errs."""
    w, b = np.zeros((2, 1)), np.zeros(1)
    for _ in range(rounds):
        for x, y in zip(CORNERS, labels, strict=True):
            error = y - float(_fires(x[None], w, b)[0])
            w, b = w + error * x[:, None], b + error
    return {"weights": w[:, 0], "bias": b, "answers": _fires(CORNERS, w, b), "labels": labels}


def _fires(X: Array, w: Array, b: Array) -> Array:
    """The linear combination, then the step."""
    combined, _ = scratch.affine_forward(X, w, b)
    return (combined[:, 0] > 0).astype(np.int64)


def _show_gates(gates: dict[str, dict[str, Any]]) -> None:
    print("perceptron: 1 where w1 x1 + w2 x2 + b > 0, else 0; answers at (0,0) (0,1) (1,0) (1,1)")
    for name, gate in gates.items():
        w1, w2 = gate["weights"]
        right = "right" if (gate["answers"] == gate["labels"]).all() else "wrong: no straight line parts them"
        print(
            f"{name:4} w1 {w1:4g}  w2 {w2:4g}  b {gate['bias'][0]:4g}  {gate['answers']} of {gate['labels']}, {right}"
        )


def _count(side: int, filters: int) -> dict[str, int]:
    """Weights and biases that lead from a side x side x 3 image to what `filters` 5x5 windows give of it."""
    w, b = np.zeros((filters, 3, 5, 5)), np.zeros(filters)
    out, _ = scratch.conv_forward(np.zeros((1, 3, side, side)), w, b)
    pixels = 3 * side * side
    return {
        "side": side,
        "outputs": out.size,
        "unit": pixels + 1,
        "fully connected": (pixels + 1) * out.size,
        "convolution": w.size + b.size,
    }


def _show_counts(counts: list[dict[str, int]], filters: int) -> None:
    print(f"\n{'image':>11}  {'outputs':>10}  {'one unit':>9}  {'fully connected':>17}  convolution, {filters} of 5x5")
    for line in counts:
        side, wide = line["side"], line["side"] - 4
        cells = f"{line['unit']:9,}  {line['fully connected']:17,}  {line['convolution']:,}"
        print(f"{f'{side}x{side}x3':>11}  {f'{wide}x{wide}x{filters}':>10}  {cells}")


def _windows() -> Iterator[tuple[int, ...]]:
    """Each case of WINDOWS, the size of what comes out, and the rows that no window reaches; printed."""
    print("\ninput  filter  stride  padding  output = (input + 2 padding - filter) // stride + 1")
    for size, window, stride, pad in WINDOWS:
        x, w = np.zeros((1, 1, size, size)), np.zeros((1, 1, window, window))
        out, _ = scratch.conv_forward(x, w, np.zeros(1), stride=stride, pad=pad)
        left_out = (size + 2 * pad - window) % stride
        note = f" ({left_out} left out)" if left_out else " (size kept)" if out.shape[2] == size else ""
        print(f"{size:5}  {window:6}  {stride:6}  {pad:7}  {out.shape[2]}{note}")
        yield size, window, stride, pad, out.shape[2], left_out


def _draw(counts: list[dict[str, int]], filters: int, run: Run) -> None:
    drawing, (axis,) = plots.figure(1, width=6)
    sides = [line["side"] for line in counts]
    labels = {"fully connected": "fully connected, to as many outputs", "unit": "one fully connected unit"}
    labels["convolution"] = f"convolution, {filters} of 5x5"
    series = {label: (sides, [line[name] for line in counts]) for name, label in labels.items()}
    plots.lines(
        axis, series, x="width of the image", y="parameters", title="parameters of a layer", log="xy", marker="o"
    )
    axis.set_xticks(sides, [str(side) for side in sides])
    axis.minorticks_off()
    plots.save(drawing, run.path("parameters.png"))


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
