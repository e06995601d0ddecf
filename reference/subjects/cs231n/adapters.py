"""From what a stranger's functions return to the contract `f(**inputs) -> (out, pullback)`, one adapter a kind."""

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchproof.finding.find import quiet
from scratchproof.subjects.cs231n.answers import array, form, scalar, scaled, told
from scratchproof.subjects.cs231n.calling import Call, calling, defaults, signature
from scratchproof.subjects.protocol import ContractError, Unimplemented
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Array, Function, Gradients, Inputs, Precision, Pullback, floating


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be brought to the contract: a row of the table, one of its cases, in one precision.

    promised: whether the package says that whatever it takes it can do. turned: whether its function takes the
    inputs that the layer names so as their transposes.
    """

    layer: Layer
    case: Case
    precision: Precision
    promised: bool = False
    turned: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(self.case.inputs(np.random.default_rng(0)))

    def calling(self, function: Callable[..., Any]) -> Call:
        return calling(function, self.layer, self.case, len(self.inputs) - len(self.layer.drawn))

    def handed(self, inputs: Inputs) -> Inputs:
        """The inputs without those that the subject draws itself."""
        return {name: value for name, value in inputs.items() if name not in self.layer.drawn}

    def laid(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Inputs as the subject lays them out, or their gradients as the row does."""
        turned = self.layer.turned if self.turned else ()
        return {name: np.ascontiguousarray(value.T) if name in turned else value for name, value in arrays.items()}


class CachePullback:
    """The pullback of a forward/backward pair; the cache is in sight, so that it can be seen to stay unwritten.

    A cache that serves only once (a stack that is popped) is made anew for the next cotangent.
    """

    def __init__(
        self, backward: Callable[..., Any], cache: Any, names: tuple[str, ...], again: Callable[[], Any]
    ) -> None:
        self.backward, self.cache, self.names, self.again = backward, cache, names, again
        self.pulled = False

    def __call__(self, dout: Any) -> Gradients:
        douts = tuple(dout.values()) if isinstance(dout, Mapping) else (dout,)
        with quiet(), told("backward"):
            try:
                found = self.backward(*douts, self.cache)
            except Exception:
                if not self.pulled:
                    raise
                found = self.backward(*douts, self.again())
        self.pulled = True
        grads = found if isinstance(found, tuple | list) else (found,)
        if all(grad is None for grad in grads):
            raise Unimplemented(f"backward returned {'None' if len(grads) == 1 else form(found) + ', all None'}")
        wanted = ", ".join(f"d{name}" for name in self.names)
        if len(grads) != len(self.names):
            raise ContractError(f"backward returned {_counted(grads)}, but should return {wanted}")
        if absent := [f"d{n}" for n, grad in zip(self.names, grads, strict=True) if grad is None]:
            raise Unimplemented(f"backward returned None for {', '.join(absent)}")
        return {name: array(grad, f"d{name}") for name, grad in zip(self.names, grads, strict=True)}


def _counted(grads: Any) -> str:
    return f"{len(grads)} gradients" if len(grads) != 1 else "1 gradient"


def from_pair(asked: Asked, forward: Callable[..., Any], backward: Callable[..., Any]) -> Function:
    call, names = asked.calling(forward), asked.layer.outputs

    def function(**inputs: Array) -> tuple[Any, Pullback]:
        given = asked.handed(inputs)

        def once() -> tuple[Any, Any]:
            with quiet(), told("forward"):
                found = call(given)
            if found is None:
                raise Unimplemented("forward returned None")
            *outs, cache = found if isinstance(found, tuple | list) else (found,)
            if len(outs) != max(1, len(names)):
                wanted = ", ".join(names or ("out",))
                raise ContractError(f"forward returned {form(found)}, but should return ({wanted}, cache)")
            if any(out is None for out in outs):
                raise Unimplemented("forward returned None for out")
            return outs, cache

        outs, cache = once()
        back = CachePullback(backward, cache, tuple(floating(given, asked.layer.constant)), lambda: once()[1])
        if not names:
            return array(outs[0], "out"), back
        return {name: array(out, name) for name, out in zip(names, outs, strict=True)}, back

    return function


def from_loss(asked: Asked, loss: Callable[..., Any]) -> Function:
    call = asked.calling(loss)
    (name,) = floating(asked.case.inputs(np.random.default_rng(0)), asked.layer.constant)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        with quiet(), told(""):
            found = call(asked.laid(inputs))
        if found is None or (isinstance(found, tuple | list) and found and all(part is None for part in found)):
            raise Unimplemented("returned None")
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise ContractError(f"returned {form(found)}, but should return (loss, d{name})")
        if found[0] is None or found[1] is None:
            raise Unimplemented(f"returned None for {'the loss' if found[0] is None else f'd{name}'}")
        out, gradient = scalar(found[0], asked.precision), array(found[1], f"d{name}")
        return out, lambda dout: asked.laid({name: scaled(gradient, dout)})

    return function


FINISHED = 10**9  # lines, which none has


def takes_columns(asked: Asked, loss: Callable[..., Any]) -> bool:
    """Whether a loss takes its inputs turned and not as the row has them, or gets farther with those."""
    return _reached(asked, loss, turned=True) > _reached(asked, loss, turned=False)


def _reached(asked: Asked, loss: Callable[..., Any], *, turned: bool) -> int:
    """The last line that is reached; what is turned must give a gradient that is turned, too."""
    layer = asked.layer
    sample = layer.cases[0].inputs(np.random.default_rng(0))  # of sizes that are all distinct
    (name,) = floating(sample, layer.constant)
    other = Asked(layer, layer.cases[0], asked.precision, turned=turned)
    given = other.laid(sample)
    try:
        with quiet():
            found = other.calling(loss)(given)
    except Exception as error:
        return _line(error, loss)
    fits = isinstance(found, tuple) and len(found) == 2 and np.shape(found[1]) == given[name].shape
    return FINISHED if fits or not turned else 0


def _line(error: Exception, function: Callable[..., Any]) -> int:
    """The line of the function in which an error arose."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    places = ((frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__))
    return max((line for one, line in places if one is code), default=0)


def from_forward(asked: Asked, forward: Callable[..., Any]) -> Function:
    call = asked.calling(forward)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        with quiet(), told("forward"):
            found = call(inputs)
        if found is None:
            raise Unimplemented("returned None")
        return array(np.stack(found) if isinstance(found, tuple | list) else found, "out"), lambda dout: {}

    return function


def without_dx(asked: Asked, forward: Callable[..., Any], backward: Callable[..., Any]) -> Function:
    """A pair whose backward is told that nobody needs dx, and gives None for it."""

    def others(dout: Array, cache: Any) -> Any:
        dx, *rest = backward(dout, cache, need_dx=False)
        if dx is not None:
            raise ContractError(f"backward returned {form(dx)} for dx, but should return None: need_dx is False")
        return tuple(rest)

    return from_pair(asked, forward, others)


def from_rule(asked: Asked, rule: Callable[..., Any]) -> Function:
    """An update rule: from w and the gradients of several steps to w after each of them.

    The rule returns (w, config), as CS231n's do, or writes into w and returns config or nothing. The config holds
    every option: which rates stand where one is missing is the author's choice. Only of a package that promises that
    whatever it takes it can do, the first step of a case without options is asked without a config.
    """
    options = {**defaults(asked.layer), **asked.case.options}
    alone = asked.promised and not asked.case.options and _by_itself(rule)

    def stepped(w: Array, dw: Array, alone: bool) -> list[Array]:
        config, found = dict(options), []
        for count, step in enumerate(dw):
            with quiet(), told(""):
                answered = rule(w, step) if alone and not count else rule(w, step, config)
            if answered is None and alone and not count:
                return []  # where its state is, nobody knows
            if isinstance(answered, tuple) and answered[0] is None:
                raise Unimplemented("returned None for w")
            w, config = answered if isinstance(answered, tuple) else (w, answered or config)
            found.append(np.array(array(w, "w")))
        return found

    def function(w: Array, dw: Array) -> tuple[Array, Pullback]:
        return np.stack(stepped(w.copy(), dw, alone) or stepped(w.copy(), dw, False)), lambda dout: {}

    return function


def _by_itself(rule: Callable[..., Any]) -> bool:
    """Whether a rule can be called without a config."""
    parameters = signature(rule)
    return parameters is not None and all(p.default is not p.empty for p in parameters[2:])


STATISTICS = ("running_mean", "running_var")


def running(asked: Asked, forward: Callable[..., Any], _: Any) -> Function:
    """The statistics that batch norm in training leaves in its bn_param."""

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        *given, mean, var = inputs.values()
        options = {"mode": "train", **asked.case.options}
        if not mean.any() and not var.any():  # as a net begins: with nothing in its bn_param
            with suppress(KeyError):  # whose net puts them there before
                _trained(forward, [value.copy() for value in given], dict(options))
        # Copies, which an author may bring up to date where they lie.
        kept = _trained(forward, given, {**options, "running_mean": mean.copy(), "running_var": var.copy()})
        return np.stack([_like(array(kept[name], name), mean, name) for name in STATISTICS]), lambda dout: {}

    return function


def _trained(forward: Callable[..., Any], given: Sequence[Array], kept: dict[str, Any]) -> dict[str, Any]:
    """The bn_param after a forward pass in training."""
    with quiet(), told("forward"):
        found = forward(*given, kept)
    if found is None or found[0] is None:
        raise Unimplemented("forward returned None")
    if absent := [name for name in STATISTICS if kept.get(name) is None]:
        raise ContractError(f"bn_param holds no {' and no '.join(absent)} after training: they are never stored")
    return kept


def _like(found: Array, due: Array, name: str) -> Array:
    """The statistics in the shape that is due: a row of them, as keepdims leaves it, serves as well."""
    if found.size != due.size:
        raise ContractError(f"{name} has shape {found.shape}, but should be {due.shape}")
    return found.reshape(due.shape)


def inference(asked: Asked, forward: Callable[..., Any], _: Any) -> Function:
    """Batch norm in test mode, on the statistics in its bn_param."""

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        *given, mean, var = inputs.values()
        kept = {"mode": "test", **asked.case.options, "running_mean": mean, "running_var": var}
        with quiet(), told("forward"):
            found = forward(*given, kept)
        out = found[0] if isinstance(found, tuple | list) and found else found
        if out is None:
            raise Unimplemented("forward returned None in test mode")
        return array(out, "out"), lambda dout: {}

    return function


def from_drawn(asked: Asked, forward: Callable[..., Any], backward: Callable[..., Any]) -> Function:
    """A pair that draws a mask itself; p is what it keeps, or what it drops, whichever its draws show."""
    of_pair = from_pair(asked, forward, backward)
    p = asked.case.options["p"]
    if asked.layer.mode == "test":
        return _copied(of_pair)  # the identity may well return what it was given
    if not _drops(asked, of_pair, p):
        return of_pair
    other = Case(name=asked.case.name, inputs=asked.case.inputs, options={**asked.case.options, "p": 1 - p})
    return from_pair(Asked(asked.layer, other, asked.precision), forward, backward)


def _copied(function: Function) -> Function:
    def copied(**inputs: Array) -> tuple[Array, Pullback]:
        out, pullback = function(**inputs)
        return out.copy(), lambda dout: {name: grad.copy() for name, grad in pullback(dout).items()}

    return copied


def _drops(asked: Asked, function: Function, keep: float) -> bool:
    """Whether the share that stays is nearer to 1 - p than to p, on an array that leaves little to chance.

    Where it is neither, the mask is drawn wrong, and what is kept tells by how it is scaled which of them is meant.
    """
    try:
        out, _ = function(**{name: np.ones((100, 100), asked.precision.array_dtype) for name in asked.inputs})
    except Exception:
        return False  # what it raises is told where it is examined
    kept: Array = np.asarray(out)[np.asarray(out) != 0]
    share = kept.size / 100**2
    if min(abs(share - keep), abs(share - (1 - keep))) > CHANCE and kept.size:
        return bool(abs(kept.mean() * (1 - keep) - 1) < abs(kept.mean() * keep - 1))
    return abs(share - (1 - keep)) < abs(share - keep)


CHANCE = 0.04  # by how much a share of 10,000 elements may be off: eight standard deviations


Adapter = Callable[..., Function]
ADAPTERS: dict[str, Adapter] = {
    "pair": from_pair,
    "partial": without_dx,
    "drawn": from_drawn,
    "loss": from_loss,
    "forward": from_forward,
    "rule": from_rule,
    "running": running,
    "inference": inference,
}
