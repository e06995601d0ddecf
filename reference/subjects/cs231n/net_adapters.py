"""From a stranger's net to the contract: its loss and gradients, its scores, its labels, its first parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from scratchproof.finding.find import quiet
from scratchproof.subjects.cs231n import nets
from scratchproof.subjects.cs231n.adapters import ADAPTERS, Adapter, Asked
from scratchproof.subjects.cs231n.answers import array, form, scalar, scaled, told
from scratchproof.subjects.protocol import ContractError, Unimplemented
from scratchproof.table.course.recurrent import STEPS
from scratchproof.vjp import Array, Function, Inputs, Pullback


def from_net(asked: Asked, net_class: Callable[..., Any]) -> Function:
    held = nets.Held(asked.layer, asked.case, asked.precision, net_class)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        with quiet(), told("loss(X, y)"):
            net, names = held(inputs)
            found = net.loss(*nets.batch(inputs), **nets.options(asked.case, net, held.rng))
        if found is None:
            raise Unimplemented("loss(X, y) returned None")
        if not (isinstance(found, tuple | list) and len(found) == 2 and isinstance(found[1], Mapping)):
            raise ContractError(f"loss(X, y) returned {form(found)}, but should return (loss, gradients by name)")
        if not found[1] or found[0] is None:
            raise Unimplemented("loss(X, y) gives no gradients")
        loss, grads = scalar(found[0], asked.precision), found[1]
        if missing := [str(name) for name in names.values() if name not in grads]:
            raise ContractError(f"loss(X, y) gave no gradient for {', '.join(missing)}")

        def gradient(ours: str, name: Any) -> Array:
            found = array(grads[name], f"d{ours}")
            return found.reshape(inputs[ours].shape) if found.shape == held.shapes[name] else found

        return loss, lambda dout: {ours: scaled(gradient(ours, name), dout) for ours, name in names.items()}

    return function


def scores(asked: Asked, net_class: Callable[..., Any]) -> Function:
    return _told(asked, net_class, "loss(X)", "scores", lambda net, inputs: net.loss(nets.batch(inputs)[0]))


def predict(asked: Asked, net_class: Callable[..., Any]) -> Function:
    return _told(asked, net_class, "predict(X)", "labels", lambda net, inputs: net.predict(next(iter(inputs.values()))))


def _told(
    asked: Asked, net_class: Callable[..., Any], call: str, what: str, ask: Callable[[Any, Inputs], Any]
) -> Function:
    """What a net says of a batch by itself, without gradients."""
    held = nets.Held(asked.layer, asked.case, asked.precision, net_class)

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        with quiet(), told(call):
            net, _ = held(inputs)
            found = ask(net, inputs)
        if found is None:
            raise Unimplemented(f"{call} returned None")
        return array(found, what), lambda dout: {}

    return function


def tested(asked: Asked, net_class: Callable[..., Any]) -> Function:
    """The scores of a new net in test mode, after it was trained on other images, its parameters unchanged."""

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        held = nets.Held(asked.layer, asked.case, asked.precision, net_class)
        train, labels, images = list(inputs.values())[:3]
        with quiet(), told("loss(X)"):
            net, _ = held(inputs)
            for _step in range(STEPS):
                net.loss(train, labels)
            found = net.loss(images)
        if found is None:
            raise Unimplemented("loss(X) returned None")
        return array(found, "scores"), lambda dout: {}

    return function


def start(asked: Asked, net_class: Callable[..., Any]) -> Function:
    """A new net's parameters, one after another in the order of the inputs, which only say their shapes."""

    def function(**inputs: Array) -> tuple[Array, Pullback]:
        with quiet(), told("the constructor"):
            net, names = nets.constructed(asked.layer, asked.case, asked.precision, net_class, inputs)
        return np.concatenate([np.ravel(net.params[names[name]]) for name in inputs]), lambda dout: {}

    return function


NET_ADAPTERS: dict[str, Adapter] = {
    "net": from_net,
    "seeded": from_net,
    "predict": predict,
    "tested": tested,
    "start": start,
    "dropout": from_net,
}
EVERY_ADAPTER: dict[str, Adapter] = {**ADAPTERS, **NET_ADAPTERS}
