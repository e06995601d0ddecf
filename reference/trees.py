"""Nested values by name: a dictionary, tuple, named tuple or list of arrays as one flat dictionary, and back.

The leaves of `{"cell": (h, c)}` are called `cell.0` and `cell.1`; a value that is no container is a leaf, and None
is an empty container. Names are made of the keys, the fields and the places on the way, joined by full stops.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def flat(tree: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a tree by name, in order; a bare leaf is called `name`.

    Raises: ValueError if two leaves would have the same name.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in _leaves(tree, name):
        if path in leaves:
            raise ValueError(f"two values are called {path!r}: give them other names")
        leaves[path] = leaf
    return leaves


def rebuild(tree: Any, leaves: Iterable[Any]) -> Any:
    """A tree of the same form with other leaves, taken in order."""
    remaining = iter(leaves)
    return mapped(lambda _: next(remaining), tree)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with `function` applied to each leaf, in order."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {key: mapped(function, value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        values = [mapped(function, value) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return function(tree)


def _leaves(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    if tree is None:
        return
    children = _children(tree)
    if children is None:
        yield name, tree
        return
    for key, value in children:
        yield from _leaves(value, f"{name}.{key}" if name else str(key))


def _children(tree: Any) -> Iterable[tuple[Any, Any]] | None:
    if isinstance(tree, Mapping):
        return tree.items()
    if hasattr(tree, "_fields"):
        return zip(tree._fields, tree, strict=True)
    return enumerate(tree) if isinstance(tree, tuple | list) else None
