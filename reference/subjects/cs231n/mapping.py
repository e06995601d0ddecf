"""A small file that says how a stranger's code answers to CS231n's names: classes, other names, (out, in) weights.

A TOML file, a table a layer, named as the table's rows are:

    [affine]
    class = "Linear"                        # made anew for every call, with
    new = ["w.0", "w.1"]                    # these arguments: sizes of the inputs' axes, options by name, or numbers
    parameters = { w = "W", b = "b" }       # where it keeps the inputs behind the first,
    gradients = { w = "grads.W", b = "db" } # and where their gradients are after backward
    transposed = ["w"]                      # kept with the axes the other way round, (out, in)

    [relu]
    forward = "act"                         # of a class: its method; without one: a function, whose cache goes to
    backward = "act_grad"                   # this one, as CS231n's do
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from scratchproof.errors import InputError
from scratchproof.subjects.protocol import ContractError
from scratchproof.table.layers import EVERY_ROW
from scratchproof.vjp import Array

Table = Mapping[str, Any]
KINDS: dict[str, type] = {"class": str, "forward": str, "backward": str, "new": list, "transposed": list}
KINDS |= {"parameters": dict, "gradients": dict}


def read(file: Path) -> dict[str, Table]:
    """The tables of a mapping file. Raises: InputError that says what is wrong with it."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as TOML: {error}") from None
    pairs = {row.name for row in EVERY_ROW if row.kind == "pair" and not row.of}
    for name, table in tables.items():
        if name not in pairs or not isinstance(table, dict):
            raise InputError(f"{file}: [{name}] is no layer with a forward and a backward pass: such as [affine]")
        for key, value in table.items():
            if not isinstance(value, KINDS.get(key, ())):
                raise InputError(f"{file}: {key} of [{name}] is none of {', '.join(KINDS)}, or not of its form")
    return tables


def told(tables: Mapping[str, Table]) -> set[str]:
    """The names of a module's own that a mapping speaks of."""
    whole = {table[key] for table in tables.values() for key in ("class",) if key in table}
    ways = {table[key] for table in tables.values() for key in ("forward", "backward") if key in table}
    return whole | ways


def mapped(module: ModuleType, tables: Mapping[str, Table]) -> dict[str, Callable[..., Any]]:
    """The functions of CS231n's names that a mapping makes of a module."""
    found: dict[str, Callable[..., Any]] = {}
    for name, table in tables.items():
        row = next(row for row in EVERY_ROW if row.name == name)
        inputs = tuple(row.cases[0].inputs(np.random.default_rng(0)))
        make = _of_class if "class" in table else _of_functions
        found[f"{name}_forward"], found[f"{name}_backward"] = make(module, name, table, inputs)
    return found


def _of_class(module: ModuleType, name: str, table: Table, inputs: tuple[str, ...]) -> tuple[Any, Any]:
    kept, gradients = table.get("parameters", {}), table.get("gradients", {})
    if missing := [p for p in inputs[1:] if p not in kept or p not in gradients]:
        raise InputError(f"[{name}] says nothing of {', '.join(missing)}: needed in parameters and in gradients")

    def forward(*values: Array, **options: Any) -> tuple[Any, Any]:
        given = dict(zip(inputs, values, strict=True))
        layer = _attribute(module, table["class"])(*(_argument(a, given, options) for a in table.get("new", ())))
        for parameter, place in kept.items():
            _put(layer, place, _turned(given[parameter], parameter in table.get("transposed", ())))
        run = getattr(layer, table.get("forward", "forward"), layer)
        return run(values[0]), layer

    def backward(dout: Array, layer: Any) -> Any:
        dx = _attribute(layer, table.get("backward", "backward"))(dout)
        grads = (_turned(_attribute(layer, gradients[p]), p in table.get("transposed", ())) for p in inputs[1:])
        found = (dx, *map(np.array, grads))
        return found if len(found) > 1 else dx

    return forward, backward


def _of_functions(module: ModuleType, name: str, table: Table, inputs: tuple[str, ...]) -> tuple[Any, Any]:
    turned = [parameter in table.get("transposed", ()) for parameter in inputs]

    def forward(*values: Array, **options: Any) -> Any:
        run = _attribute(module, table.get("forward", f"{name}_forward"))
        return run(*map(_turned, values, turned), **options)

    def backward(dout: Array, cache: Any) -> Any:
        found = _attribute(module, table.get("backward", f"{name}_backward"))(dout, cache)
        return tuple(map(_turned, found, turned)) if isinstance(found, tuple | list) else found

    return forward, backward


def _argument(told: Any, given: Mapping[str, Array], options: Mapping[str, Any]) -> Any:
    """An argument of a constructor: `w.0` is the size of the first axis of w, `stride` an option."""
    name, _, axis = str(told).partition(".")
    if isinstance(told, str) and name in given:
        return given[name].shape[int(axis)]
    return options.get(told, told)


def _turned(value: Any, around: bool) -> Any:
    return np.transpose(value) if around else value


def _attribute(holder: Any, place: str) -> Any:
    """`grads.W`: attributes, or keys of dictionaries. Raises: ContractError where there is none."""
    for name in place.split("."):
        try:
            holder = holder[name] if isinstance(holder, Mapping) else getattr(holder, name)
        except (KeyError, AttributeError):
            raise ContractError(f"{place} is not there: {type(holder).__name__} has no {name}") from None
    return holder


def _put(holder: Any, place: str, value: Array) -> None:
    *way, last = place.split(".")
    holder = _attribute(holder, ".".join(way)) if way else holder
    if isinstance(holder, Mapping):
        holder[last] = value  # type: ignore[index]
    else:
        setattr(holder, last, value)
