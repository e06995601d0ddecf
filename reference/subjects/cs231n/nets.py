"""A stranger's net: made in the sizes of the inputs, given their values, whatever its parameters are called.

CS231n's are W1, b1, gamma1, beta1, ...; some count from 0, write ("W", 1) or w_1. What is meant is told by the
letters and by the order of the numbers.
"""

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scratchproof.finding.find import quiet
from scratchproof.subjects.cs231n.calling import SYNONYMS
from scratchproof.subjects.protocol import ContractError, Unimplemented, Unsupported
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Array, Inputs, Precision, floating

Names = dict[str, Any]
NORMALISED = {"batchnorm": {"use_batchnorm": True}, "layernorm": {}}


def is_one(layer: Layer, case: Case, precision: Precision, net_class: type) -> bool:
    """Whether a class is a net as this row asks for one: CS231n has classifiers of the same names without `params`.

    One whose constructor fails is asked no further, if it was given all it wants.
    """
    inputs = case.inputs(np.random.default_rng(0))
    case = replace(case, options=copy.deepcopy(dict(case.options)))  # an rng is not to be drawn from here
    try:
        sizes, given = layer.sizes(inputs) if layer.sizes else (), keywords(net_class, case, precision)
        inspect.signature(net_class).bind(*sizes, **given)
    except (TypeError, Unsupported):
        return False
    if layer.kind == "predict" and not hasattr(net_class, "predict"):
        return False
    if layer.of and not _knows(net_class, case, every=layer.kind in ("start", "dropout", "seeded")):
        return False
    try:
        with quiet():
            net = net_class(*sizes, **given)
    except Exception:
        return True
    return hasattr(net, "params") and hasattr(net, "loss")


def _knows(net_class: type, case: Case, *, every: bool) -> bool:
    """Whether its constructor knows a case's options, reg aside: by a parameter, or by its name in the code.

    One that takes whatever it is given (`**kwargs`) may know nothing of it. every: whether it must take them all.
    """
    parameters = inspect.signature(net_class).parameters
    codes = [getattr(vars(one).get("__init__"), "__code__", None) for one in inspect.getmro(net_class)]
    said = {name for code in codes if code for name in (*code.co_consts, *code.co_varnames)}
    called = {name: _called(name, parameters) for name in case.options if name != "reg"}
    return all(said.intersection(names) if names else not every for names in called.values())


class Held:
    """The one net that is held from call to call, as in training, with the inputs' parameters bound anew."""

    def __init__(self, layer: Layer, case: Case, precision: Precision, net_class: Callable[..., Any]) -> None:
        self.net: Any = None
        self.made: Callable[[Inputs], tuple[Any, Names]] = lambda inputs: constructed(
            layer, case, precision, net_class, inputs
        )
        self.names: Names = {}
        self.shapes: dict[Any, tuple[int, ...]] = {}
        self.rng = np.random.default_rng(0)

    def __call__(self, inputs: Inputs) -> tuple[Any, Names]:
        """The net, and its own names by ours."""
        if self.net is None:
            self.net, self.names = self.made(inputs)
            self.shapes = {name: np.shape(self.net.params[name]) for name in self.names.values()}
        self.net.params.update({name: self.laid(name, inputs[ours]) for ours, name in self.names.items()})
        return self.net, self.names

    def laid(self, name: Any, value: Array) -> Array:
        """A parameter's value in the shape in which its author keeps it: a bias may be a row."""
        return value.reshape(self.shapes[name]) if alike(value.shape, self.shapes[name]) else value


def constructed(
    layer: Layer, case: Case, precision: Precision, net_class: Callable[..., Any], inputs: Inputs
) -> tuple[Any, Names]:
    """A new net of the inputs' sizes, and its own names by ours."""
    assert layer.sizes is not None
    net = net_class(*layer.sizes(inputs), **keywords(net_class, case, precision))
    names = matched(floating(inputs, layer.constant), net.params)
    for ours, name in names.items():
        shape = np.shape(net.params[name])
        if not alike(inputs[ours].shape, shape):
            raise ContractError(f"{name} is made with shape {shape}, but should have {inputs[ours].shape}")
    return net, names


def alike(shape: tuple[int, ...], kept: tuple[int, ...]) -> bool:
    """Whether a parameter may be kept so: as it is, or a vector as a row or a column."""
    return kept == shape or (len(shape) == 1 and kept in ((1, *shape), (*shape, 1)))


def options(case: Case, net: Any, rng: np.random.Generator) -> dict[str, Any]:
    """The options that its `loss` takes."""
    parameters = inspect.signature(net.loss).parameters
    offered = {**case.options, "rng": rng}
    return {name: value for ours, value in offered.items() for name in _called(ours, parameters)[:1]}


def batch(inputs: Inputs) -> tuple[Array, Array]:
    images, labels = list(inputs.values())[:2]
    return images, labels


def matched(wanted: list[str], params: Mapping[Any, Any]) -> Names:
    """The net's own name of every parameter. Raises: ContractError if it has other ones, or Unimplemented if none."""
    if not params:
        raise Unimplemented("params is empty: nothing is made yet")
    if set(wanted) <= set(params):
        return {name: name for name in wanted}
    kinds: dict[str, dict[int, Any]] = {}
    for name in params:
        letters, number = _parts(name)
        kinds.setdefault(letters, {})[number] = name
    found: Names = {}
    for ours in wanted:
        letters, number = _parts(ours)
        theirs = kinds.get(letters, {})
        at = number - 1 + min(theirs, default=0)
        if at in theirs:
            found[ours] = theirs[at]
    if missing := [name for name in wanted if name not in found]:
        held = sorted(map(str, params))
        if all(re.match("gamma|beta", name) for name in missing):
            raise Unimplemented(f"params holds no {', '.join(missing)}: the normalisation is not there")
        raise ContractError(f"params holds {held}, but should hold {sorted(wanted)}")
    return found


def _parts(name: Any) -> tuple[str, int]:
    """`W1`, `w_1`, ("W", 1) -> ("w", 1)."""
    text = "".join(map(str, name)) if isinstance(name, tuple) else str(name)
    digits = re.findall(r"\d+", text)
    return re.sub(r"[\d_\W]", "", text).lower(), int(digits[-1]) if digits else 0


def keywords(net_class: Callable[..., Any], case: Case, precision: Precision) -> dict[str, Any]:
    """What its constructor is given by name."""
    parameters = inspect.signature(net_class).parameters
    offered = {"dtype": precision.array_dtype.type, "rng": np.random.default_rng(0), **case.options}
    made = {name: value for ours, value in offered.items() for name in _called(ours, parameters)[:1]}
    kind = case.options.get("normalization")
    if kind and "normalization" not in made:
        older = {name: value for name, value in NORMALISED.get(kind, {}).items() if name in parameters}
        if not older:
            raise Unsupported(f"takes no normalization={kind!r}")
        made |= older
    return made


def _called(ours: str, parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """What an option is called where it is taken."""
    if ours in parameters:
        return [ours]
    others = [name for name in SYNONYMS.get(ours, ()) if name in parameters]
    everything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return others or ([ours] if everything and ours != "rng" else [])
