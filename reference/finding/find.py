"""Find the module that a path or a name means: a file, a folder, a notebook, or what Python imports by that name."""

import ast
import contextlib
import importlib
import io
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from scratchproof.errors import InputError
from scratchproof.finding import notebook
from scratchproof.finding.chains import complete
from scratchproof.finding.course import own
from scratchproof.finding.imports import PACKAGE, Neighbours, importing, text_of
from scratchproof.finding.paths import OWN, is_path
from scratchproof.finding.python2 import Source

DEEP = 3  # how far down a folder is searched
MANY = 200  # files


class NotFound(InputError):
    """There is nothing of that name, or it cannot be imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A module, what was done so that it could be imported, and whether it may have been written for Python 2."""

    module: ModuleType
    remarks: tuple[str, ...] = ()
    may_be_old: bool = False


def find(spec: str, names: Collection[str], *, old: bool = False) -> Found:
    """The module that `spec` names, its output kept out of ours.

    spec: a .py file, a folder, an .ipynb notebook, or an importable name. names: what is looked for; of a folder only
    the files that define one of these are imported. old: whether to read the source as Python 2.
    Raises: NotFound that says why there is none.
    """
    with quiet():
        if not is_path(spec):
            return Found(module=_by_name(spec))
        path = Path(spec)
        return _folder(path, set(names), old) if path.is_dir() else _file(path, old)


@contextmanager
def quiet() -> Iterator[None]:
    """Within it nothing that is printed comes out, and nothing can be asked for."""
    standard = sys.stdin
    sys.stdin = io.StringIO()
    try:
        with contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(_Nowhere()):
            yield
    finally:
        sys.stdin = standard


class _Nowhere(io.TextIOBase):
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def writable(self) -> bool:
        return True


def _file(path: Path, old: bool) -> Found:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    finder = Neighbours(folder=path.parent.resolve(), old=old)
    module = _empty(f"{PACKAGE}.{path.parent.name or 'folder'}.{path.stem}", path)
    with importing(finder), _told(path):
        if path.suffix == ".ipynb":
            remarks = notebook.run(path, vars(module))
            return Found(module=module, remarks=(*remarks, *finder.told()))
        source = Source(text_of(path), path.name, old=old)
        sys.modules[module.__name__] = module
        finder.loaded.append(module.__name__)
        source.run(vars(module))
    if finder.stands_in:
        complete(vars(module), source.tree, own)
    return Found(module=module, remarks=(*source.remarks(), *finder.told()), may_be_old=source.may_be_old)


def _folder(folder: Path, names: set[str], old: bool) -> Found:
    """One module with the public names of every file in a folder that defines something of interest."""
    files = {file: there for file in _sources(folder) if (there := names & defined(file))}
    if not files:
        raise NotFound(f"{folder} holds no .py file with anything to examine, such as affine_forward")
    merged, old_enough = _empty(folder.name, folder), True
    remarks: list[str] = []
    sources: dict[str, Path] = {}
    for file, there in files.items():
        try:
            found = _file(file, old)
        except NotFound as error:
            remarks.append(str(error))
            continue
        remarks += found.remarks
        old_enough = old_enough and found.may_be_old
        for name in sorted(there):
            if name in sources:
                remarks.append(f"{name} is taken from {sources[name]}; {file} has another")
            elif (value := vars(found.module).get(name)) is not None:
                sources[name] = file
                setattr(merged, name, value)
    if not sources:
        raise NotFound(f"nothing in {folder} imports: {remarks[0]}")
    return Found(module=merged, remarks=tuple(dict.fromkeys(remarks)), may_be_old=old_enough)


def _sources(folder: Path) -> list[Path]:
    """The .py files of a folder, those nearer its top first."""
    found = (file for depth in range(DEEP) for file in sorted(folder.glob("*/" * depth + "*.py")))
    return [file for file, _ in zip(found, range(MANY), strict=False) if file.is_file()]


def defined(file: Path) -> set[str]:
    """The names of the functions and classes that a file defines, without importing it."""
    try:
        body = Source(text_of(file), file.name).tree.body
    except (SyntaxError, ValueError, RecursionError, OSError):
        return set()
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def _empty(name: str, file: Path) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(__file__=str(file), __package__=name.rpartition(".")[0])
    return module


def _by_name(name: str) -> ModuleType:
    if name == OWN:
        return importlib.import_module("scratchproof.scratch")
    sys.path.insert(0, "")  # as `python -m` does: the working folder comes first
    try:
        with _told(f"module {name!r}"):
            return importlib.import_module(name)
    finally:
        if "" in sys.path:
            sys.path.remove("")


@contextmanager
def _told(what: Any) -> Iterator[None]:
    """Say in one line why something does not import, whatever it raises."""
    try:
        yield
    except (KeyboardInterrupt, NotFound):
        raise
    except BaseException as error:
        raise NotFound(f"{what} does not import: {described(error)}") from error


def described(error: BaseException) -> str:
    """`ValueError: message`, even where saying it raises."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__
