"""How a stranger's functions are called, in words: for a script that calls them where this package is not installed."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from scratchproof.subjects.cs231n import nets
from scratchproof.subjects.cs231n.adapters import Asked
from scratchproof.subjects.cs231n.calling import defaults
from scratchproof.subjects.protocol import Spelling

PLAIN = (int, float, str, bool, type(None))


def spelled(asked: Asked, found: tuple[Callable[..., Any], ...]) -> Spelling | None:
    """The call of a row's functions; None for what is not called once with arrays."""
    ways: dict[str, Callable[..., Spelling]] = {
        "pair": _functions,
        "loss": _functions,
        "rule": _rule,
        "running": _in_mode("train"),
        "inference": _in_mode("test"),
        "net": _net,
    }
    way = ways.get(asked.layer.kind)
    return way(asked, *found) if way else None


def _functions(asked: Asked, *found: Callable[..., Any]) -> Spelling:
    style = asked.calling(found[0]).styles[0]
    return Spelling(file=_file(found[0]), names=_names(found), args=list(style.args), keywords=dict(style.keywords))


def _rule(asked: Asked, rule: Callable[..., Any]) -> Spelling:
    return Spelling(file=_file(rule), names=_names((rule,)), args=[{**defaults(asked.layer), **asked.case.options}])


def _in_mode(mode: str) -> Callable[..., Spelling]:
    def way(asked: Asked, forward: Callable[..., Any], _: Any) -> Spelling:
        return Spelling(file=_file(forward), names=_names((forward,)), args=[{"mode": mode, **asked.case.options}])

    return way


def _net(asked: Asked, net_class: Callable[..., Any]) -> Spelling:
    inputs = asked.case.inputs(np.random.default_rng(0))
    net, names = nets.constructed(asked.layer, asked.case, asked.precision, net_class, inputs)
    made = nets.keywords(net_class, asked.case, asked.precision)
    return Spelling(
        file=_file(net_class),
        names=_names((net_class,)),
        keywords={name: value if isinstance(value, PLAIN) else None for name, value in made.items()},
        loss={
            name: value
            for name, value in nets.options(asked.case, net, np.random.default_rng(0)).items()
            if isinstance(value, PLAIN)
        },
        params={ours: str(theirs) for ours, theirs in names.items()},
    )


def _names(found: tuple[Callable[..., Any], ...]) -> tuple[str, ...]:
    return tuple(str(getattr(one, "__name__", "")) for one in found)


def _file(found: Callable[..., Any]) -> str:
    """The file that a function or a class stands in."""
    written = getattr(found, "loss", found) if inspect.isclass(found) else found
    return str(getattr(inspect.unwrap(written), "__globals__", {}).get("__file__", ""))
