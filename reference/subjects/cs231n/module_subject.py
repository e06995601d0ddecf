"""A Python module with CS231n's names as a subject."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from scratchproof.finding.course import theirs
from scratchproof.finding.find import Found
from scratchproof.subjects.cs231n import nets
from scratchproof.subjects.cs231n.adapters import Asked, takes_columns
from scratchproof.subjects.cs231n.calling import takes, wants_dictionary
from scratchproof.subjects.cs231n.mapping import Table, mapped
from scratchproof.subjects.cs231n.net_adapters import EVERY_ADAPTER, scores
from scratchproof.subjects.cs231n.spelling import spelled
from scratchproof.subjects.cs231n.torch_adapters import from_tensors, of_tensors
from scratchproof.subjects.protocol import Spelling
from scratchproof.table.layers import EVERY_ROW, Case, Layer
from scratchproof.vjp import Function, Precision

# The kinds of rows for which a subject has two functions, and those for which it has a class.
PAIRS = ("pair", "partial", "drawn", "running", "inference")
NETS = ("net", "seeded", "predict", "tested", "start", "dropout")
# What CS231n calls them where it has several; the plainest is the author's own.
SUFFIXES = ("", "_naive", "_fast", "_im2col", "_strides")
TURNED = "turned"
ALIASES = {"ConvNet": ("ThreeLayerConvNet",)}
# What Python 3 says of a size that Python 2 would have divided to a whole number.
DIVIDED = re.compile(
    "float.*object cannot be interpreted as an integer|slice indices must be integers|only integers|indices must be int"
)


def wanted() -> set[str]:
    """Every name under which a module may hold something to examine."""
    names: set[str] = set()
    for layer in EVERY_ROW:
        names.update(name for pair in _candidates(layer) for name in pair)
    return names


def _candidates(layer: Layer) -> list[tuple[str, ...]]:
    """The names that a row goes by: of its pair of functions, or of its one function or class."""
    name = layer.called
    if layer.kind in PAIRS:
        back = layer.backward or f"{name}_backward"
        return [(f"{name}_forward{suffix}", f"{back}{suffix}") for suffix in SUFFIXES]
    return [(name,), *((alias,) for alias in ALIASES.get(name, ()))]


@dataclass(slots=True, kw_only=True)
class ModuleSubject:
    """A Python module with CS231n names.

    renamed: its own names by those of CS231n. mapping: see mapping.py. as_python2: the module read as Python 2, where
    that may be what it is. known: which rows it has, and which it takes turned. of_tensors: its functions that are
    written in torch, by row.
    """

    name: str
    module: ModuleType
    remarks: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, Table] = field(default_factory=dict)
    as_python2: Callable[[], Found] | None = None
    known: dict[tuple[str, ...], bool] = field(default_factory=dict)
    of_tensors: dict[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def precisions(self) -> tuple[str, ...]:
        return ("float64", "float32")

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        asked = Asked(layer, case, precision, promised=self.refuses_all(layer))
        if not self._there(asked):
            return None
        if layer.name in self.of_tensors:
            return from_tensors(asked, self.of_tensors[layer.name])
        return self._patient(lambda: EVERY_ADAPTER[layer.kind](self._laid(asked), *self._find(layer)))

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        asked = Asked(layer, case, precision)
        if layer.kind not in NETS or not self._there(asked):
            return None
        return self._patient(lambda: scores(asked, *self._find(layer)))

    def documents_errors(self, layer: Layer) -> bool:
        return "ValueError" in (inspect.getdoc(self._find(layer)[0]) or "")

    def refuses_all(self, layer: Layer) -> bool:
        """A package promises it by `__refuses__ = ValueError`."""
        return vars(self.module).get("__refuses__") is ValueError

    def spelled(self, layer: Layer, case: Case, precision: Precision) -> Spelling | None:
        if layer.name in self.of_tensors:
            return None  # a script would have to be another one
        if self.known.get((TURNED, layer.name, precision.name)):
            return None
        return spelled(Asked(layer, case, precision), self._find(layer))

    def _there(self, asked: Asked) -> bool:
        """Whether it has the layer, found out once for each case, its options and precision."""
        key = (asked.layer.name, asked.case.name, asked.precision.name, *asked.case.options)
        if key not in self.known:
            self.known[key] = self._looks_right(asked)
        return self.known[key]

    def _laid(self, asked: Asked) -> Asked:
        """The same, saying whether its function takes inputs turned, found out once for each precision."""
        layer = asked.layer
        if not layer.turned:
            return asked
        key = (TURNED, layer.name, asked.precision.name)
        if key not in self.known:
            self.known[key] = takes_columns(asked, *self._find(layer))
        return replace(asked, turned=self.known[key])

    def _looks_right(self, asked: Asked) -> bool:
        """The names, and not another thing under them."""
        layer, found = asked.layer, self._find(asked.layer)
        if of_tensors(asked, found[0], found[1] if len(found) > 1 else None) and takes(found[0], len(asked.inputs)):
            self.of_tensors[layer.name] = found[0]
            return True
        if None in found:
            return False
        if layer.kind in NETS:
            return inspect.isclass(found[0]) and nets.is_one(layer, asked.case, asked.precision, found[0])
        if layer.kind == "partial" and "need_dx" not in _parameters(found[1]):
            return False
        positions = len(asked.inputs) - len(layer.drawn) - (2 if layer.kind in ("running", "inference") else 0)
        if layer.kind == "rule":
            return True
        wants = wants_dictionary(found[0], positions)
        return takes(found[0], positions) and layer.dictionary in (None, wants)

    def _patient(self, make: Callable[[], Function]) -> Function:
        """The function; if it stumbles over a size that is no whole number, the same read as Python 2."""
        made = make()

        def function(**inputs: Any) -> Any:
            nonlocal made
            try:
                return made(**inputs)
            except (TypeError, IndexError) as error:
                if self.as_python2 is None or not DIVIDED.search(str(error)):
                    raise
            self._grow_old()
            made = make()
            return made(**inputs)

        return function

    def _grow_old(self) -> None:
        assert self.as_python2 is not None
        found, self.as_python2 = self.as_python2(), None
        self.module, self.remarks = found.module, found.remarks
        self.known.clear()

    def _find(self, layer: Layer) -> tuple[Any, ...]:
        """The forward and the backward function, or the one function or class; None for what is not there."""
        candidates = [tuple(map(self._attribute, names)) for names in _candidates(layer)]
        return next((found for found in candidates if None not in found), candidates[0])

    def _attribute(self, name: str) -> Callable[..., Any] | None:
        if (made := mapped(self.module, self.mapping).get(name)) is not None:
            return made
        value = getattr(self.module, self.renamed.get(name, name), None)
        return value if callable(value) and theirs(value) else None


def _parameters(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
