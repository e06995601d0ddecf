"""Pictures, drawn without a screen. matplotlib is imported here and nowhere else, when a picture is drawn."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]
STYLES = ("-", "--", "-.", ":")
Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Lines by their label: (x, y)."""


def figure(columns: int = 1, *, width: float = 5.0, height: float = 3.8) -> "tuple[Figure, list[Axes]]":
    """A figure with `columns` axes side by side, each `width` by `height` inches."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width * columns, height), layout="constrained")
    return drawing, list(np.ravel(drawing.subplots(1, columns, squeeze=False)))


def save(drawing: "Figure", path: Path) -> None:
    """Write the figure as PNG."""
    drawing.savefig(path, dpi=120)


def lines(axes: "Axes", series: Series, *, x: str, y: str, title: str = "", log: str = "", marker: str = "") -> None:
    """Draw lines with a legend, each in a style of its own: where they coincide, all are seen. log: "x", "y", "xy"."""
    for (label, (xs, ys)), style in zip(series.items(), cycle(STYLES), strict=False):
        axes.plot(xs, ys, label=label, marker=marker or None, markersize=3, linewidth=1.5, linestyle=style)
    axes.set(xlabel=x, ylabel=y, title=title)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    for way in log:
        bare_minor_ticks(axes, way)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def bare_minor_ticks(axes: "Axes", way: str) -> None:
    """Leave the labels of a logarithmic axis ("x" or "y") to its powers of ten: those in between run together."""
    from matplotlib.ticker import NullFormatter

    (axes.xaxis if way == "x" else axes.yaxis).set_minor_formatter(NullFormatter())


def histories(path: Path, losses: Sequence[float], accuracies: Mapping[str, Sequence[float]], title: str) -> None:
    """Loss by iteration, thin, with its running mean; accuracy by epoch."""
    drawing, (left, right) = figure(2)
    iterations = np.arange(1, len(losses) + 1)
    window = max(1, len(losses) // 50)
    few = window == 1
    left.plot(iterations, losses, linewidth=1.3 if few else 0.5, color=None if few else "0.6", label="each minibatch")
    if not few:
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        left.plot(iterations[window - 1 :], smooth, linewidth=1.4, label=f"mean of the last {window}")
    left.set(xlabel="iteration", ylabel="loss", title=title)
    left.grid(alpha=0.3)
    left.legend(fontsize=8)
    epochs(right, accuracies, "accuracy")
    save(drawing, path)


def epochs(axes: "Axes", accuracies: Mapping[str, Sequence[float]], title: str) -> None:
    """Accuracies by epoch, from epoch 0; the ticks are whole epochs."""
    from matplotlib.ticker import MaxNLocator

    series = {label: (range(len(values)), values) for label, values in accuracies.items()}
    lines(axes, series, x="epoch", y="accuracy", title=title, marker="o")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def tiles(path: Path, images: Array, title: str, *, labels: Sequence[str] = ()) -> None:
    """Images (n, C, H, W) of any range as a square of tiles, each stretched to the full range of colours."""
    n = len(images)
    columns = int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(max(0.9 * columns, 4), 0.9 * rows + 0.5), layout="constrained")
    grid = np.ravel(drawing.subplots(rows, columns, squeeze=False))
    for axes in grid:
        axes.axis("off")
    for number, (axes, image) in enumerate(zip(grid, images, strict=False)):
        low, high = image.min(), image.max()
        pixels = (image - low) / (high - low if high > low else 1)
        axes.imshow(pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0], interpolation="nearest")
        if labels:
            axes.set_title(labels[number], fontsize=7)
    drawing.suptitle(title, fontsize=9)
    save(drawing, path)


def heat_map(
    axes: "Axes",
    values: Array,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float],
    down: str = "",
    across: str = "",
    title: str,
    form: str = ".3f",
) -> None:
    """A table as colours between `limits`, each cell with its number; nan cells stay empty."""
    axes.imshow(np.ma.masked_invalid(values), aspect="auto", cmap="viridis", vmin=limits[0], vmax=limits[1])
    middle = sum(limits) / 2
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(
                j, i, f"{value:{form}}", ha="center", va="center", fontsize=8, color="w" if value < middle else "k"
            )
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(down, fontsize=8)
    axes.set_title(title, fontsize=9)


def boundary(axes: "Axes", probability: Array, limits: tuple[float, float], title: str) -> None:
    """A field of probabilities (G, G) over a square as shades, and the line at one half."""
    extent = (*limits, *limits)
    axes.imshow(probability, origin="lower", extent=extent, cmap="RdBu_r", vmin=0, vmax=1, alpha=0.8)
    ticks = np.linspace(*limits, len(probability))
    if probability.min() < 0.5 < probability.max():
        axes.contour(ticks, ticks, probability, levels=[0.5], colors="k", linewidths=1)
    axes.set(xlabel="x1", ylabel="x2", title=title)


def bar(axes: "Sequence[Axes]", label: str) -> None:
    """One bar of colours for all the axes, which share their scale."""
    axes[0].figure.colorbar(axes[-1].images[0], ax=list(axes), label=label, shrink=0.8)


def points(axes: "Axes", X: Array, y: Array) -> None:
    """Points (N, 2) of two classes."""
    for label, marker, colour in ((0, "o", "tab:blue"), (1, "s", "tab:red")):
        axes.scatter(
            X[y == label, 0], X[y == label, 1], marker=marker, color=colour, edgecolor="k", s=18, label=f"y = {label}"
        )
    axes.legend(fontsize=7, loc="upper right")
