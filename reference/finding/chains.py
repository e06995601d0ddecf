"""Layers in a row, by the names that those have who write their own `layer_utils`: affine_bn_relu_forward, say.

What a lone file uses of such and does not define is made of the layers that it has, its author's where they are there.
"""

import ast
import builtins
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PIECES = {
    **dict.fromkeys(("affine", "fc"), "affine"),
    **dict.fromkeys(("bn", "batchnorm"), "batchnorm"),
    **dict.fromkeys(("ln", "layernorm"), "layernorm"),
    **dict.fromkeys(("sbn",), "spatial_batchnorm"),
    **dict.fromkeys(("dropout", "drop", "do"), "dropout"),
    "relu": "relu",
    "conv": "conv",
    "pool": "max_pool",
}
SPLIT = {"batch_norm": "batchnorm", "layer_norm": "layernorm", "max_pool": "pool"}
# How many arrays each takes beside its data, and whether a dictionary.
TAKES = {"affine": (2, False), "relu": (0, False), "conv": (2, True), "max_pool": (0, True), "dropout": (0, True)}
NORMALISES = (2, True)
Layer = Callable[..., Any]


def complete(namespace: dict[str, Any], tree: ast.Module, mark: Callable[[Layer], Layer]) -> None:
    """Put into a module what its functions use of chains of layers and nobody defines.

    mark: makes known of a function that it is not the author's.
    """
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for name in sorted(used - set(namespace) - set(vars(builtins))):
        chain, _, way = name.rpartition("_")
        if way in ("forward", "backward") and (pieces := _pieces(chain)):
            made = _forward(pieces, namespace) if way == "forward" else _backward(pieces, namespace)
            namespace[name] = mark(made)


def _pieces(chain: str) -> tuple[str, ...]:
    """The layers that a name is made of; none if it is made of anything else, or of one alone."""
    for words, word in SPLIT.items():
        chain = chain.replace(words, word)
    found = [PIECES.get(word, "") for word in chain.lower().split("_")]
    if "conv" in found:
        found = ["spatial_batchnorm" if piece == "batchnorm" else piece for piece in found]
    return tuple(found) if len(found) > 1 and all(found) else ()


def _named(namespace: Mapping[str, Any], piece: str, way: str) -> Layer:
    names = (f"{piece}_{way}", f"{piece}_{way}_fast", f"{piece}_{way}_naive")
    found: Layer = next(namespace[name] for name in names if name in namespace)
    return found


def _forward(pieces: tuple[str, ...], namespace: Mapping[str, Any]) -> Layer:
    def forward(x: Any, *args: Any) -> tuple[Any, list[Any]]:
        arrays: Iterator[Any] = (arg for arg in args if not isinstance(arg, Mapping))
        params: Iterator[Any] = (arg for arg in args if isinstance(arg, Mapping))
        caches = []
        for piece in pieces:
            count, param = TAKES.get(piece, NORMALISES)
            given = [next(arrays) for _ in range(count)] + ([next(params, {})] if param else [])
            x, cache = _named(namespace, piece, "forward")(x, *given)
            caches.append(cache)
        return x, caches

    return forward


def _backward(pieces: tuple[str, ...], namespace: Mapping[str, Any]) -> Layer:
    def backward(dout: Any, caches: list[Any]) -> Any:
        grads: list[Any] = []
        for piece, cache in zip(reversed(pieces), reversed(caches), strict=True):
            found = _named(namespace, piece, "backward")(dout, cache)
            dout, *others = found if isinstance(found, tuple) else (found,)
            grads = [*others, *grads]
        return (dout, *grads) if grads else dout

    return backward
