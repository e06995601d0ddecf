"""A mistake: the row that should tell of it, what was done wrong, and the text written for the right one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from scratchproof.subjects.subject import ModuleSubject

HERE = Path(__file__).parent
FILES = (HERE / "textbook.py", HERE / "textbook_nets.py")


@dataclass(frozen=True, slots=True)
class Slip:
    """In the text, `new` stands for `old`, which is there once in the named function or class.

    due: the words that a right cause of it holds, where they are known.
    """

    row: str
    function: str
    name: str
    old: str
    new: str
    due: str = ""


def subject_of(slip: Slip | None, files: Sequence[Path] = FILES) -> ModuleSubject:
    """The textbook, or other text, with one mistake or without.

    Raises: ValueError if the text to replace is not there once.
    """
    module = ModuleType("textbook")
    for file in files:
        source = file.read_text(encoding="utf-8")
        source = re.sub(r"from scratchproof\.bank\.mistakes\.textbook import \(.*?\)\n", "", source, flags=re.DOTALL)
        exec(compile(mistaken(source, slip), file.name, "exec"), vars(module))
    return ModuleSubject(name="textbook", module=module)


def mistaken(source: str, slip: Slip | None) -> str:
    """The source with the slip made in its function, which may stand in another file.

    Raises: ValueError if the function does not hold the text exactly once.
    """
    if slip is None:
        return source
    found = re.search(rf"^(def|class) {slip.function}\b.*?(?=^(def|class) |\Z)", source, re.DOTALL | re.MULTILINE)
    if not found:
        return source
    if found[0].count(slip.old) != 1:
        raise ValueError(f"{slip.function} holds {slip.old!r} {found[0].count(slip.old)} times: once is needed")
    return source.replace(found[0], found[0].replace(slip.old, slip.new))
