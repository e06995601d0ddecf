"""The layers of this package's nets, as rows of the table: which they are, with which options and parameters."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from scratchproof.table.layers import Case, Layer, row
from scratchproof.vjp import Array, Pullback


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One layer of a net: its path in the twin, its row of the table, its options and its parameters' names."""

    path: str
    layer: Layer
    options: Mapping[str, Any]
    params: tuple[str, ...]

    def case(self) -> Case:
        names = ("x", "y") if self.layer.kind == "loss" else ("x", "w", "b")[: 1 + len(self.params)]
        none = {name: np.zeros(0, int if name == "y" else float) for name in names}
        return Case(name=self.path, inputs=lambda rng: dict(none), options=self.options)


def drawn(params: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Parameters that keep every layer's values of order one, so that no error hides in a layer that is all zero."""
    found = {}
    for name, value in params.items():
        fan_in = value.shape[0] if value.ndim == 2 else int(np.prod(value.shape[1:]))
        scale = fan_in**-0.5 if value.ndim > 1 else 0.1
        found[name] = scale * rng.standard_normal(value.shape)
    return found


def steps(twin: nn.Sequential) -> Iterator[Step]:
    """The twin's children that are layers of the table; reshaping is none."""
    number = 0
    for path, child in twin.named_children():
        if type(child) not in ROWS:
            continue
        name, options = ROWS[type(child)]
        params: tuple[str, ...] = ()
        if name in ("affine", "conv"):
            number += 1
            params = (f"W{number}", f"b{number}")
        yield Step(path=path, layer=row(name), options=options(child), params=params)


def _no_options(child: nn.Module) -> dict[str, Any]:
    return {}


def _conv_options(child: Any) -> dict[str, Any]:
    return {"stride": child.stride[0], "pad": child.padding[0]}


def _pool_options(child: Any) -> dict[str, Any]:
    return {"pool_height": child.kernel_size, "pool_width": child.kernel_size, "stride": child.stride}


ROWS: dict[type[nn.Module], tuple[str, Callable[[Any], dict[str, Any]]]] = {
    nn.Linear: ("affine", _no_options),
    nn.ReLU: ("relu", _no_options),
    nn.Tanh: ("tanh", _no_options),
    nn.Conv2d: ("conv", _conv_options),
    nn.MaxPool2d: ("max_pool", _pool_options),
}


def reshaped(child: nn.Module, x: Array) -> tuple[Array, Pullback]:
    """What a child that is no layer of the table does with its input, and its pullback."""
    out = x.reshape(-1) if getattr(child, "start_dim", 1) == 0 else x.reshape(len(x), -1)
    return out, lambda dout: {"x": dout.reshape(x.shape)}
