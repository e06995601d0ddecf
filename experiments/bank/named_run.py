"""Which of the named mistakes, and of those that show only sometimes, does the exam catch?

Each is made in the textbook's right code (which must itself pass), and sits the row that should tell of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from scratchproof.bank.kill import Bench
from scratchproof.progress import progress
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row

from ..command import Common, command, option
from ..record import Run
from .named import NAMED, SOMETIMES, Slip

HERE = Path(__file__).parent
FILES = ("textbook", "textbook_nets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Which mistakes."""

    rows: str = option("", "only the mistakes of these rows, separated by commas")
    effort: str = option("normal", "quick | normal | thorough")


SMOKE = {"rows": "relu"}


def main(config: Config) -> dict[str, object]:
    """Count, print and return what was caught and what lives."""
    torch.set_num_threads(1)
    run = Run.start("named", config)
    bench, lives, told = Bench(seed=config.seed, effort=config.effort), [], {}
    banks = {"named": NAMED, "sometimes": SOMETIMES}
    asked = [(b, s) for b, slips in banks.items() for s in slips if not config.rows or s.row in config.rows.split(",")]
    with progress("mistakes", every=20.0) as advance:
        for done, (bank, slip) in enumerate(asked):
            advance(done, len(asked))
            key = f"{bank}: {slip.row}: {slip.name}"
            told[key] = bench.kill(subject_of(slip), [row(slip.row)])
            if not told[key]:
                lives.append(key)
    for bank in banks:
        due = [key for key in told if key.startswith(bank)]
        print(f"{bank}: {sum(bool(told[key]) for key in due)} of {len(due)} caught")
    print("\n".join(f"  lives: {key}" for key in lives))
    return run.finish({"told": told, "lives": lives})


def subject_of(slip: Slip | None, files: Sequence[str] = FILES) -> ModuleSubject:
    """The textbook with one mistake, or without. Raises: ValueError if the text to replace is not there once."""
    module = ModuleType("textbook")
    for file in files:
        source = (HERE / f"{file}.py").read_text(encoding="utf-8")
        source = re.sub(r"from \.textbook import \(.*?\)\n", "", source, flags=re.DOTALL)
        exec(compile(mistaken(source, slip), f"{file}.py", "exec"), vars(module))
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


if __name__ == "__main__":
    command(Config, main, SMOKE)()
