"""Subjects: whose code sits the exam. A module by name, a Python file by path, or torch itself.

Functions and classes are found by their CS231n names. Inputs are handed over by position, because strangers
rename their parameters; options by keyword where the function has them, or as the CS231n dictionary
(`conv_param`, `pool_param`, `bn_param`) where it has one argument more than the inputs.

The code of a module or a file runs in this process, with everything this process may do: examine code that you
would also be willing to run.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch

from scratchproof.errors import InputError
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import PRECISIONS, Array, Function, Gradients, Inputs, Precision, Pullback, floating, from_torch


class SubjectError(InputError):
    """The subject cannot be examined at all: no such file, it does not import, no such device."""


class ContractError(Exception):
    """The subject answered, but with something of the wrong form: a gradient missing, a parameter of another shape."""


class Unsupported(Exception):
    """The subject has no way to be given this option."""


class Subject(Protocol):
    """What the exam asks of a subject. A function is None where the subject does not have the layer."""

    @property
    def name(self) -> str: ...

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions in which it sits the exam unless told otherwise."""

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None: ...

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        """For nets: the class scores of test mode, as a function of the same inputs."""

    def documents_errors(self, layer: Layer) -> bool:
        """Whether its documentation promises a ValueError for bad input."""


def load(spec: str) -> Subject:
    """Find the subject that `spec` names.

    spec: `scratch` or any importable module, `path/to/layers.py`, or `torch[:DEVICE[:PRECISION]]`.
    Raises: SubjectError that says why it cannot be examined.
    """
    if spec == "torch" or spec.startswith("torch:"):
        return _load_torch(spec)
    module = _load_file(Path(spec)) if spec.endswith(".py") else _load_module(spec)
    return ModuleSubject(name=spec, module=module)


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchSubject:
    """torch in one precision on one device, examined like anybody else."""

    name: str
    device: str
    precision: Precision

    @property
    def precisions(self) -> tuple[str, ...]:
        return (self.precision.name,)

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        if layer.kind in ("start", "dropout"):
            return None
        found = from_torch(layer.torch, precision, device=self.device, constant=layer.constant, options=case.options)
        coarse = self.device == "cpu" and precision.unit > 2.0**-12
        return _without_onednn(found) if coarse else found

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        if layer.scores is None:
            return None
        return from_torch(layer.scores, precision, device=self.device, constant=layer.constant)

    def documents_errors(self, layer: Layer) -> bool:
        return False


def _without_onednn(function: Function) -> Function:
    """The same with torch's own kernels on the CPU.

    With oneDNN, bfloat16 convolution gives nan at outputs whose windows hold neither the nan nor the infinity of the
    input (6 of 8 seeds; none without it). Why is not known: perhaps 0 * inf in a padded block.
    """

    def within(**inputs: Array) -> tuple[Array, Pullback]:
        with torch.backends.mkldnn.flags(enabled=False):
            out, pullback = function(**inputs)

        def back(dout: Array) -> Gradients:
            with torch.backends.mkldnn.flags(enabled=False):
                return pullback(dout)

        return out, back

    return within


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSubject:
    """A Python module with CS231n names."""

    name: str
    module: ModuleType

    @property
    def precisions(self) -> tuple[str, ...]:
        return ("float64", "float32")

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        found = self._find(layer)
        if any(part is None for part in found) or not _offers(layer, *found):
            return None
        names = tuple(case.inputs(np.random.default_rng(0)))
        options = _Options(layer, case, len(names))
        return ADAPTERS[layer.kind](layer, options, precision, *found)

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        (found,) = self._find(layer)
        options = _Options(layer, case, 0)
        return None if found is None else _net_scores(layer, options, precision, found)

    def documents_errors(self, layer: Layer) -> bool:
        return "ValueError" in (inspect.getdoc(self._find(layer)[0]) or "")

    def _find(self, layer: Layer) -> tuple[Any, ...]:
        """The forward and the backward function, or the one function or class; None for what is not there."""
        if layer.kind not in PAIRS:
            return (self._attribute(layer.called, *ALIASES.get(layer.called, ())),)
        for suffix in SUFFIXES:
            pair = tuple(self._attribute(f"{layer.called}_{way}{suffix}") for way in ("forward", "backward"))
            if None not in pair:
                return pair
        return (None, None)

    def _attribute(self, *names: str) -> Callable[..., Any] | None:
        found = (getattr(self.module, name, None) for name in names)
        return next((value for value in found if callable(value)), None)


# The kinds of rows for which a subject has two functions.
PAIRS = ("pair", "partial", "running", "inference")
# What CS231n calls them where it has several.
SUFFIXES = ("", "_naive", "_fast")
ALIASES = {"ConvNet": ("ThreeLayerConvNet",)}


@dataclass(frozen=True, slots=True)
class _Options:
    """How the options of a case reach a function that may want keywords, a dictionary, or nothing."""

    layer: Layer
    case: Case
    inputs: int

    def given(self, function: Callable[..., Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        options = dict(self.case.options)
        parameters = inspect.signature(function).parameters
        variadic = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if variadic or set(options) <= set(parameters):
            extra = [p for p in list(parameters.values())[self.inputs :] if p.default is p.empty and _positional(p)]
            return ((self._dictionary(),) if extra else ()), options
        if len(parameters) == self.inputs + 1:
            return (self._dictionary(),), {}
        raise Unsupported(f"takes no {', '.join(sorted(set(options) - set(parameters)))}")

    def _dictionary(self) -> dict[str, Any]:
        defaults = {
            name: p.default
            for name, p in inspect.signature(self.layer.torch).parameters.items()
            if p.kind is p.KEYWORD_ONLY
        }
        return {"mode": "train", **defaults, **self.case.options}


def _positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class CachePullback:
    """The pullback of a forward/backward pair; the cache is in sight, so that it can be seen to stay unwritten."""

    backward: Callable[..., Any]
    cache: Any
    names: tuple[str, ...]

    def __call__(self, dout: Array) -> Gradients:
        found = self.backward(dout, self.cache)
        grads = found if isinstance(found, tuple | list) else (found,)
        if len(grads) != len(self.names):
            wanted = ", ".join(f"d{name}" for name in self.names)
            raise ContractError(f"backward returned {len(grads)} gradients, but should return {wanted}")
        return {name: _array(grad, f"d{name}") for name, grad in zip(self.names, grads, strict=True)}


def _from_pair(
    layer: Layer, options: _Options, precision: Precision, forward: Callable[..., Any], backward: Callable[..., Any]
) -> Function:
    positional, keywords = options.given(forward)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        found = forward(*inputs.values(), *positional, **keywords)
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise ContractError(f"forward returned {_form(found)}, but should return (out, cache)")
        out, cache = found
        return _array(out, "out"), CachePullback(backward, cache, tuple(floating(inputs, layer.constant)))

    return function


def _from_loss(layer: Layer, options: _Options, precision: Precision, loss: Callable[..., Any]) -> Function:
    positional, keywords = options.given(loss)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        (name,) = floating(inputs, layer.constant)
        found = loss(*inputs.values(), *positional, **keywords)
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise ContractError(f"returned {_form(found)}, but should return (loss, d{name})")
        out, gradient = _scalar(found[0], precision), _array(found[1], f"d{name}")
        return out, lambda dout: {name: _scaled(gradient, dout)}

    return function


def _from_forward(layer: Layer, options: _Options, precision: Precision, forward: Callable[..., Any]) -> Function:
    positional, keywords = options.given(forward)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        found = forward(*inputs.values(), *positional, **keywords)
        out = np.stack(found) if isinstance(found, tuple | list) else found
        return _array(out, "out"), lambda dout: {}

    return function


def _from_net(layer: Layer, options: _Options, precision: Precision, net_class: Callable[..., Any]) -> Function:
    held: list[Any] = []
    offered = {**options.case.options, "rng": np.random.default_rng(0)}

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        net = _holding(held, layer, options, precision, net_class, inputs)
        given = {k: v for k, v in offered.items() if k in inspect.signature(net.loss).parameters}
        found = net.loss(inputs["X"], inputs["y"], **given)
        if not (isinstance(found, tuple | list) and len(found) == 2 and isinstance(found[1], Mapping)):
            raise ContractError(f"loss(X, y) returned {_form(found)}, but should return (loss, gradients by name)")
        loss, grads = _scalar(found[0], precision), found[1]
        wanted = floating(inputs, layer.constant)
        if missing := sorted(set(wanted) - set(grads)):
            raise ContractError(f"loss(X, y) gave no gradient for {', '.join(missing)}")
        return loss, lambda dout: {name: _scaled(_array(grads[name], f"d{name}"), dout) for name in wanted}

    return function


def _net_scores(layer: Layer, options: _Options, precision: Precision, net_class: Callable[..., Any]) -> Function:
    held: list[Any] = []

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        net = _holding(held, layer, options, precision, net_class, inputs)
        return _array(net.loss(inputs["X"]), "scores"), lambda dout: {}

    return function


def _predict(layer: Layer, options: _Options, precision: Precision, net_class: Callable[..., Any]) -> Function:
    held: list[Any] = []

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        net = _holding(held, layer, options, precision, net_class, inputs)
        return _array(net.predict(inputs["X"]), "labels"), lambda dout: {}

    return function


def _start(layer: Layer, options: _Options, precision: Precision, net_class: Callable[..., Any]) -> Function:
    """A new net's parameters, one after another in the order of the inputs, which only say their shapes."""

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        net = _construct(layer, options, precision, net_class, inputs)
        return np.concatenate([np.ravel(net.params[name]) for name in inputs]), lambda dout: {}

    return function


def _from_rule(layer: Layer, options: _Options, precision: Precision, rule: Callable[..., Any]) -> Function:
    """An update rule: from w and the gradients of several steps to w after each of them.

    The rule returns (w, config), as CS231n's do, or writes into w and returns config or nothing.
    """

    def function(w: Array, dw: Array) -> tuple[Array, Pullback]:
        w, config, found = w.copy(), dict(options.case.options), []
        for step in dw:
            answered = rule(w, step, config)
            w, config = answered if isinstance(answered, tuple) else (w, answered or config)
            found.append(np.array(_array(w, "w")))
        return np.stack(found), lambda dout: {}

    return function


def _without_dx(
    layer: Layer, options: _Options, precision: Precision, forward: Callable[..., Any], backward: Callable[..., Any]
) -> Function:
    """A pair whose backward is told that nobody needs dx, and gives None for it."""
    positional, keywords = options.given(forward)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        out, cache = forward(*inputs.values(), *positional, **keywords)

        def wanted(dout: Array, cache: Any) -> Any:
            dx, *others = backward(dout, cache, need_dx=False)
            if dx is not None:
                raise ContractError(f"backward returned {_form(dx)} for dx, but should return None: need_dx is False")
            return tuple(others)

        return _array(out, "out"), CachePullback(wanted, cache, tuple(floating(inputs, layer.constant)))

    return function


def _running(layer: Layer, options: _Options, precision: Precision, forward: Callable[..., Any], _: Any) -> Function:
    """The statistics that batch norm in training leaves in its bn_param."""

    def function(
        x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array
    ) -> tuple[Array, Pullback]:
        kept = {"mode": "train", **options.case.options, "running_mean": running_mean, "running_var": running_var}
        forward(x, gamma, beta, kept)
        return np.stack([kept["running_mean"], kept["running_var"]]), lambda dout: {}

    return function


def _inference(layer: Layer, options: _Options, precision: Precision, forward: Callable[..., Any], _: Any) -> Function:
    """Batch norm in test mode, on the statistics in its bn_param."""

    def function(
        x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array
    ) -> tuple[Array, Pullback]:
        kept = {"mode": "test", "running_mean": running_mean, "running_var": running_var}
        return _array(forward(x, gamma, beta, kept)[0], "out"), lambda dout: {}

    return function


def _holding(
    held: list[Any],
    layer: Layer,
    options: _Options,
    precision: Precision,
    net_class: Callable[..., Any],
    inputs: Inputs,
) -> Any:
    """The one net that is held from call to call, as in training, with the inputs' parameters bound anew."""
    if not held:
        held.append(_construct(layer, options, precision, net_class, inputs))
    net = held[0]
    net.params.update({name: inputs[name] for name in floating(inputs, layer.constant)})
    return net


def _construct(
    layer: Layer, options: _Options, precision: Precision, net_class: Callable[..., Any], inputs: Inputs
) -> Any:
    """A new net of the inputs' sizes."""
    assert layer.sizes is not None
    offered = {"dtype": precision.array_dtype, "rng": np.random.default_rng(0), **options.case.options}
    parameters = inspect.signature(net_class).parameters
    everything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    net = net_class(*layer.sizes(inputs), **{k: v for k, v in offered.items() if everything or k in parameters})
    wanted = floating(inputs, layer.constant)
    if set(net.params) != set(wanted):
        raise ContractError(f"params holds {sorted(net.params)}, but should hold {sorted(wanted)}")
    for name in wanted:
        shape = np.shape(net.params[name])
        if shape != inputs[name].shape:
            raise ContractError(f"{name} is made with shape {shape}, but should have {inputs[name].shape}")
    return net


def _offers(layer: Layer, *found: Any) -> bool:
    """Whether what was found has what a row of this kind asks of it."""
    return layer.kind not in OFFERED or OFFERED[layer.kind](*found)


def _takes(name: str, function: Callable[..., Any]) -> bool:
    return name in inspect.signature(function).parameters


ADAPTERS: dict[str, Callable[..., Function]] = {
    "pair": _from_pair,
    "loss": _from_loss,
    "forward": _from_forward,
    "net": _from_net,
    "rule": _from_rule,
    "partial": _without_dx,
    "predict": _predict,
    "start": _start,
    "dropout": _from_net,
    "running": _running,
    "inference": _inference,
}

# Whether what was found offers what a row of that kind asks of it.
OFFERED: dict[str, Callable[..., bool]] = {
    "partial": lambda forward, backward: _takes("need_dx", backward),
    "predict": lambda net_class: hasattr(net_class, "predict"),
    "dropout": lambda net_class: _takes("dropout", net_class),
    "running": lambda forward, backward: _takes("bn_param", forward),
    "inference": lambda forward, backward: _takes("bn_param", forward),
}


def _array(value: Any, what: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiuc":
        raise ContractError(f"{what} is {_form(value)}, but should be an array of numbers")
    return array


def _scalar(value: Any, precision: Precision) -> Array:
    # A Python float has no precision of its own to lose.
    return np.asarray(value, dtype=precision.array_dtype) if type(value) is float else _array(value, "loss")


def _scaled(gradient: Array, dout: Array) -> Array:
    """A loss's gradient for the cotangent `dout`, a scalar, in the gradient's own dtype."""
    return np.asarray(gradient * dout.astype(gradient.dtype), dtype=gradient.dtype)


def _form(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def _load_torch(spec: str) -> TorchSubject:
    parts = spec.split(":")
    device = parts[1] if len(parts) > 1 else "cpu"
    name = parts[2] if len(parts) > 2 else "float32"
    if len(parts) > 3 or name not in PRECISIONS:
        raise SubjectError(f"{spec!r} is not torch[:DEVICE[:PRECISION]] with a precision of {', '.join(PRECISIONS)}")
    check_device(device)
    if name == "tf32" and device == "cpu":
        raise SubjectError("TF32 is a CUDA format: use torch:cuda:tf32")
    return TorchSubject(name=f"torch:{device}:{name}", device=device, precision=PRECISIONS[name])


def check_device(device: str) -> None:
    """Raises: SubjectError if torch cannot compute on `device` here."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise SubjectError(f"{device!r} is not a device that torch knows: use cpu or cuda") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise SubjectError("CUDA is asked for, but torch finds no usable GPU on this machine: use --device cpu or auto")
    if kind not in ("cpu", "cuda"):
        raise SubjectError(f"device {device!r} is not supported: use cpu or cuda")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise SubjectError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"subject_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))  # so that it can import its neighbours
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise SubjectError(f"{path} does not import: {type(error).__name__}: {error}") from error
    finally:
        with suppress(ValueError):  # it may have cleared the path
            sys.path.remove(str(path.parent.resolve()))
    return module


def _load_module(name: str) -> ModuleType:
    if name == "scratch":  # the package's own, whatever a folder of that name holds here
        return importlib.import_module("scratchproof.scratch")
    sys.path.insert(0, "")  # as `python -m` does: the working folder comes first
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise SubjectError(f"module {name!r} does not import: {type(error).__name__}: {error}") from error
    finally:
        with suppress(ValueError):
            sys.path.remove("")
