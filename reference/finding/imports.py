"""What a stranger's file imports: its neighbours, wherever they lie, and something in place of what is not there.

The finder stands behind Python's own and is asked only for what those cannot find. A missing layer of the course is
stood in for by torch (see course.py); anything else that is missing by an object that lets itself be imported,
called, subclassed and used as a decorator, and computes nothing. What was done is remembered, to be told.
"""

import functools
import importlib
import importlib.abc
import os
import sys
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from scratchproof.finding.course import COURSE, LAYERS
from scratchproof.finding.python2 import GONE, Source

ANCESTORS = 3  # how far up a file's imports are looked for
PACKAGE = "stranger"  # what the package of a lone file is called, so that `from ..layers import *` means something


class Stub:
    """Stands for whatever is missing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Stub(f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # As a decorator it leaves the function as it is.
        return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> "Stub":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __repr__(self) -> str:
        return f"<{self._name}, which is not installed>"


def _old_div(a: Any, b: Any) -> Any:
    return a // b if isinstance(a, int | np.integer) and isinstance(b, int | np.integer) else a / b


_BUILTINS = {**{name: value for name, value in GONE.items() if value is not None}, "range": range}
# Modules whose names are known by other ones today.
REPLACED: dict[str, dict[str, Any]] = {
    "past.builtins": _BUILTINS,
    "past.utils": {"old_div": _old_div},
    "future.builtins": _BUILTINS,
    "future.utils": {"iteritems": lambda d: iter(d.items()), "itervalues": lambda d: iter(d.values())},
    "six": {"iteritems": lambda d: iter(d.items()), "string_types": (str,), "integer_types": (int,)},
    "six.moves": {"xrange": range, "range": range, "zip": zip, "map": map, "reduce": functools.reduce},
    "__builtin__": _BUILTINS,
}
RENAMED = {"cPickle": "pickle", "six.moves.cPickle": "pickle", "StringIO": "io", "Queue": "queue"}


@dataclass(kw_only=True)
class Neighbours(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules beside a file and in the folders above it, and stubs what is nowhere.

    folder: where the file lies. remarks: what was done, in the order in which it was asked for. stands_in: whether
    torch's layers stand in for any of the course's.
    """

    folder: Path
    old: bool = False
    loaded: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    stubbed: list[str] = field(default_factory=list)
    stands_in: bool = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._file(fullname)
        beside = file is not None and file.parent == self.folder
        if fullname.split(".")[0] in sys.stdlib_module_names:
            return None
        if not beside and (found := self._elsewhere(fullname, path, target)):
            return found
        spec = ModuleSpec(fullname, self, origin=str(file) if file else None, is_package=True)
        if file and file.is_dir():
            spec.submodule_search_locations = [str(file)]
        return spec

    def exec_module(self, module: ModuleType) -> None:
        self.loaded.append(module.__name__)
        origin = module.__spec__.origin if module.__spec__ else None
        if origin is None:
            self._stand_in(module, module.__name__)
        elif Path(origin).is_file():
            self.found.append(module.__name__)
            self._run(module, Path(origin))
        elif (opening := Path(origin) / "__init__.py").is_file():
            self._open(module, opening)

    def told(self) -> Iterator[str]:
        """What had to be done, a sentence each."""
        yield from self.remarks
        packages = {name.rpartition(".")[0] for name in self.found} | {PACKAGE}
        if wanting := sorted(name for name in self.stubbed if name not in packages):
            yield f"not installed, so stubbed: {', '.join(wanting)}"

    def _elsewhere(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """What the other finders find of that name."""
        for finder in sys.meta_path:
            if not isinstance(finder, Neighbours) and (found := finder.find_spec(fullname, path, target)):
                return found
        return None

    def _run(self, module: ModuleType, file: Path) -> None:
        source = Source(text_of(file), file.name, old=self.old)
        module.__file__ = str(file)
        self.remarks.extend(source.remarks())
        source.run(vars(module))

    def _open(self, package: ModuleType, file: Path) -> None:
        """A package's own file, which may want all that the package holds: what it lacks is left out."""
        try:
            self._run(package, file)
        except Exception as error:
            self.remarks.append(f"{package.__name__}/__init__.py is left out: {type(error).__name__}")

    def _stand_in(self, module: ModuleType, name: str) -> None:
        package, _, last = name.rpartition(".")
        if last in COURSE:
            vars(module).update({**COURSE[last], **self._own_layers(package, last)})
            self.found.append(name)
            self.stands_in = True
            self.remarks.append(f"{name.removeprefix(PACKAGE + '.')} is not there: torch's own layers stand in for it")
        else:
            self.stubbed.append(name)
        if name in RENAMED:
            vars(module).update(vars(importlib.import_module(RENAMED[name])))
        vars(module).update(REPLACED.get(name, {}))
        _answer_anything(module)

    def _own_layers(self, package: str, last: str) -> dict[str, Any]:
        """The author's layers, where they lie beside what is missing and is made of them."""
        layers = f"{package}.{LAYERS}".lstrip(".")
        if last == LAYERS or self._file(layers) is None:
            return {}
        return {name: value for name, value in vars(importlib.import_module(layers)).items() if name[:1] != "_"}

    def _file(self, fullname: str) -> Path | None:
        """The file or folder of a module: the longest end of its name that lies in the folder or in one above it."""
        parts = fullname.split(".")
        for first in range(len(parts)):
            for folder in [self.folder, *self.folder.parents][: ANCESTORS + 1]:
                place = folder.joinpath(*parts[first:])
                if place.with_name(place.name + ".py").is_file():
                    return place.with_name(place.name + ".py")
                if place.is_dir() and first == 0:
                    return place
        return None


def _answer_anything(module: ModuleType) -> None:
    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Stub(f"{module.__name__}.{name}")

    vars(module).setdefault("__all__", [name for name in vars(module) if not name.startswith("_")])
    vars(module)["__getattr__"] = missing


@contextmanager
def importing(finder: Neighbours) -> Iterator[None]:
    """Within it what cannot be found is the finder's; afterwards what was loaded from the folder is forgotten.

    Two strangers may each have a `layers.py`: neither must get the other's.
    """
    before, folder = set(sys.modules), str(finder.folder)
    sys.meta_path.insert(0, finder)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if folder in sys.path:
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if name in finder.loaded or file.startswith(folder + os.sep):
                del sys.modules[name]


def text_of(file: Path) -> str:
    """A source's text, in the encoding that it declares or that fits."""
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return file.read_bytes().decode("latin-1").replace("\r\n", "\n")
