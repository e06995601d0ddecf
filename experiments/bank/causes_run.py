"""Does the exam name the cause, and the right one?

Every mistake of the banks sits the row that should tell of it. What the exam says of it is right if it holds the words
that are due, wrong if it names another mistake, a fact if it only says what is known of the wrong numbers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scratchproof.bank.mistakes import NAMED, Slip, subject_of
from scratchproof.bank.mistakes.slip import FILES
from scratchproof.exam.causes.facts import KNOWN
from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Result, Severity, Verdict
from scratchproof.exam.exam import Papers
from scratchproof.progress import progress
from scratchproof.table.layers import row

from ..command import Common, command, option
from ..record import Run
from .dues import DUES
from .fresh import FRESH, UNSEEN

HOMEWORK = (Path(__file__).with_name("homework.py"),)
KINDS = ("right", "fact", "none", "wrong")
ITSELF = (Severity.SHAPE, Severity.CRASH)  # these say in their messages what is the matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """Which mistakes."""

    rows: str = option("", "only the mistakes of these rows, separated by commas")
    bank: str = option("", "named | fresh | unseen; all unless said")


SMOKE = {"rows": "relu", "bank": "fresh"}


def main(config: Config) -> dict[str, object]:
    """Count, print and return what was said of every mistake that was caught."""
    torch.set_num_threads(1)
    run = Run.start("causes", config)
    papers: Papers = {}
    said: dict[str, dict[str, Any]] = {}
    asked = [one for one in _asked(config) if not config.rows or one[1].row in config.rows.split(",")]
    with progress("causes", every=20.0) as advance:
        for done, (bank, slip, due) in enumerate(asked):
            advance(done, len(asked))
            told = causes(slip, papers, FILES if bank == "named" else HOMEWORK)
            if told:
                said[f"{bank}: {slip.row}: {slip.name}"] = {"kind": kind_of(told, due), "told": told, "due": due}
    for bank in ("named", "fresh", "unseen"):
        counts = Counter(str(one["kind"]) for name, one in said.items() if name.startswith(bank))
        if counts:
            print(f"{bank}: {counts.total()} caught; " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
    for name, one in said.items():
        if one["kind"] != "right":
            print(
                f"  {one['kind']}: {name} (due: {one['due']})\n"
                + "\n".join(f"      {line}" for line in one["told"][:4])
            )
    return run.finish({"said": said})


def _asked(config: Config) -> Iterator[tuple[str, Slip, str]]:
    """Each bank's mistakes with the words that are due; one that has no name is only counted where it has none."""
    if config.bank in ("", "named"):
        yield from (("named", slip, DUES.get((slip.row, slip.name), "")) for slip in NAMED)
    for bank, slips in {"fresh": FRESH, "unseen": UNSEEN}.items():
        if config.bank in ("", bank):
            yield from ((bank, slip, slip.due) for slip in slips)


def causes(slip: Slip, papers: Papers, files: Sequence[Path]) -> list[str]:
    """What the exam says of a mistake: causes, or messages that are as good. Empty if nothing is wrong."""
    report = examine(subject_of(slip, files), row(slip.row), "float64", papers=papers)
    wrong = [r for r in report.results if r.verdict not in (Verdict.PASS, Verdict.MISSING)]
    return list(dict.fromkeys(_said(result) for result in wrong))


def _said(result: Result) -> str:
    if result.cause:
        return result.cause
    return f"message: {result.message}" if result.severity in ITSELF else f"only: {result.message}"


def kind_of(told: list[str], due: str) -> str:
    """right, fact, none or wrong."""
    named = [line for line in told if not line.startswith((KNOWN, "as if ", "message: ", "only: "))]
    if any(not due or not re.search(due, line) for line in named):
        return "wrong"
    if named or (due and any(re.search(due, line) for line in told if not line.startswith("only: "))):
        return "right"
    return "fact" if any(line.startswith((KNOWN, "as if ", "message: ")) for line in told) else "none"


if __name__ == "__main__":
    command(Config, main, SMOKE)()
