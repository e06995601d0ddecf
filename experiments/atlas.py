"""Where do torch and JAX disagree about a derivative, and who is right?

Asks both for the value, the first and the second derivative of some hundred functions at ordinary points, kinks and
edges, in float64; a third opinion are one-sided differences of the values. Writes the page docs/atlas.md with --page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scratchproof.progress import progress

from .atlas_words import WORDS
from .command import Basic, command, option
from .record import Run

if TYPE_CHECKING:
    from .atlas_ask import Finding
    from .atlas_table import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """What is asked, and where the page goes."""

    only: str = option("", "functions whose name contains this")
    page: str | None = option(None, "write the page here too, as Markdown", kind=str)


SMOKE = {"only": "relu"}
NEEDS = ("jax",)
INTRODUCTION = """# Where torch and JAX disagree about a derivative

Made by `python -m experiments.atlas --page docs/atlas.md` with torch {torch} and JAX {jax}, float64, on the CPU:
{functions} functions, each at ordinary points and at its kinks and edges ({points} points), value, first and second
derivative. They differ at {apart} points, in {names} functions; everywhere else they agree.

Arrays are flat; a function with several outputs is weighted by 1, ¾, -1¼, …; of second derivatives the diagonal is
compared. A third opinion are one-sided differences of torch's values: **right**, **wrong** where both sides meet in
one derivative; **allowed**, **outside** at a kink, by whether the answer lies between the slopes of the two sides
(input by input: a box around the subdifferential); **-** where differences are not finite or the values differ
already, and words must do.
"""


def main(config: Config) -> dict[str, object]:
    """Ask, print, write the page, return the record. Raises: ValueError where a difference has no explanation."""
    run = Run.start("atlas", config)
    chosen = [entry for entry in entries() if config.only in entry.name]
    if not chosen:
        raise ValueError(f"no function's name contains {config.only!r}")
    run.begin()
    found = list(_ask(chosen))
    text = page(found)
    run.path("atlas.md").write_text(text, encoding="utf-8")
    print(text)
    if missing := sorted({f"{f.name} at {f.at}" for f in found if f.differ and words(f) is None}):
        raise ValueError(f"nobody has said why torch and JAX differ in: {'; '.join(missing)}")
    if config.page is not None:
        Path(config.page).write_text(text, encoding="utf-8")
    return run.finish({"findings": [_plain(f) for f in found if f.differ], "functions": len(chosen)})


def entries() -> "list[Entry]":
    """The whole table. Raises: ValueError where JAX is not installed."""
    try:
        from . import atlas_arrays, atlas_table
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}: the atlas needs JAX, pip install 'scratchproof[jax]'") from None
    apart = (atlas_table.activations, atlas_table.elementary, atlas_table.special_functions, atlas_table.pairs)
    together = (atlas_arrays.reductions, atlas_arrays.orders)
    return [entry for part in (*apart, *together) for entry in part()]


def words(finding: "Finding") -> str | None:
    """Why torch and JAX differ there."""
    told = WORDS.get(finding.name, {})
    return told.get(finding.at, told.get("*"))


def page(found: "Sequence[Finding]") -> str:
    """The atlas as Markdown: differences first, in the table's order, then what agrees."""
    names = list(dict.fromkeys(f.name for f in found))
    apart = [f for f in found if f.differ]
    differing = {f.name for f in apart}
    head = INTRODUCTION.format(
        torch=version("torch").split("+")[0],
        jax=version("jax"),
        functions=len(names),
        points=len({(f.name, f.at) for f in found}),
        apart=len({(f.name, f.at) for f in apart}),
        names=len(differing),
    )
    lines = ["| function | at | | torch | JAX | why |", "|---|---|---|---|---|---|"]
    for _, rows in groupby(apart, lambda f: (f.name, f.at)):
        lines += [_line(row, first=i == 0) for i, row in enumerate(rows)]
    agreeing = ", ".join(name for name in names if name not in differing)
    return f"{head}\n" + "\n".join(lines) + f"\n\nThese agree at every point asked: {agreeing}.\n"


def _line(f: "Finding", *, first: bool) -> str:
    place = (f.name, f.at) if first else ("", "")
    why = (words(f) or "**unexplained**") if first else ""
    cells = (*place, f.order, _answer(f, f.torch), _answer(f, f.jax), why)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _answer(f: "Finding", answer: Any) -> str:
    verdict = f.allowed(answer)
    numbers = ", ".join(f"{value + 0.0:.4g}" for value in answer)
    return f"{numbers} (**{verdict}**)" if verdict != "no verdict" else f"{numbers} (-)"


def _ask(chosen: "Sequence[Entry]") -> "Iterator[Finding]":
    from .atlas_ask import findings

    with progress("atlas") as advance:
        for done, entry in enumerate(chosen, start=1):
            yield from findings(entry)
            advance(done, len(chosen))


def _plain(f: "Finding") -> dict[str, Any]:
    answers = {"torch": [str(v) for v in f.torch], "jax": [str(v) for v in f.jax]}
    verdicts = {"torch is": f.allowed(f.torch), "jax is": f.allowed(f.jax)}
    return {"name": f.name, "at": f.at, "order": f.order, **answers, **verdicts, "why": words(f)}


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
