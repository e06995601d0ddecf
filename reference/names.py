"""The names of the table's rows, without importing torch: read from the source of the rows."""

import ast
from collections.abc import Iterator
from pathlib import Path


def names() -> tuple[str, ...]:
    """Every row's name, in alphabetical order; nothing where the source cannot be read."""
    try:
        files = sorted((Path(__file__).parent / "table").rglob("*.py"))
        found = {name for file in files for name in _rows(file.read_text(encoding="utf-8"))}
    except OSError:
        return ()
    return tuple(sorted(found, key=str.lower))


def _rows(source: str) -> Iterator[str]:
    """The literal `name=` of every call but those that make a case of a row."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id == "Case"):
            values = (keyword.value for keyword in node.keywords if keyword.arg == "name")
            yield from (v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str))
