"""A notebook's definitions: its functions, its classes, and what they need; what it runs is left out."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scratchproof.errors import InputError
from scratchproof.finding.python2 import Source

KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def run(file: Path, namespace: dict[str, Any]) -> list[str]:
    """Execute the imports, definitions and constants of a notebook; return remarks on the cells that were left out.

    Raises: InputError if the file is no notebook.
    """
    remarks: list[str] = []
    skipped: list[str] = []
    for number, text in enumerate(cells(file), start=1):
        try:
            source = Source(text, f"{file.name}, cell {number}")
            source.tree.body = [node for node in source.tree.body if _is_definition(node)]
            source.run(namespace)
            remarks += source.remarks()
        except Exception as error:
            skipped.append(f"{number} ({type(error).__name__})")
    if skipped:
        remarks.append(f"{file.name}: skipped the cells {', '.join(skipped)}")
    return remarks


def cells(file: Path) -> Iterator[str]:
    """The text of each code cell, without the lines that are meant for the notebook or for a shell."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        found = document.get("cells") or [cell for sheet in document["worksheets"] for cell in sheet["cells"]]
        code = [cell for cell in found if cell["cell_type"] == "code"]
        texts = ["".join(cell.get("source", cell.get("input", ""))) for cell in code]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{file} is not a notebook that can be read: .ipynb files hold JSON with cells") from None
    for text in texts:
        lines = text.splitlines()
        yield "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)


def _is_definition(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return not any(isinstance(part, ast.Call) for part in ast.walk(node.value))
    return isinstance(node, KEPT)
