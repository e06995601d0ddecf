"""`scratchproof mutants`: how much wrong code the exam catches, and how small an error it sees."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from scratchproof.console import console
from scratchproof.options import effort_option, json_option, layer_option, once, seed_option, usable

BANKS = ("named", "sometimes", "mechanical", "precision")
FORMATS = ("float64", "float32", "float16", "bfloat16")


@click.command()
@click.argument("package", default="scratch")
@click.option(
    "--bank",
    "banks",
    multiple=True,
    callback=once,
    type=click.Choice(BANKS),
    help="Only this bank; may be repeated.",
)
@layer_option
@effort_option
@click.option("--every", default=1, show_default=True, type=click.IntRange(1), help="Only every so-manieth of a bank.")
@seed_option
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    default="scratchproof-mutants.jsonl",
    show_default=True,
    help="The file in which results are kept; what stands there is not examined again.",
)
@click.option("--again", is_flag=True, help="Examine anew what lived: after the exam has learnt something.")
@json_option
def mutants(
    package: str,
    banks: tuple[str, ...],
    layers: tuple[str, ...],
    effort: str,
    every: int,
    seed: int,
    results: Path,
    again: bool,
    **files: Path | None,
) -> None:
    """Put wrong versions of right code to the exam, and count those that it catches.

    named: mistakes as students make them. sometimes: mistakes that show only at some size, order of calls, layout or
    value. mechanical: every small change to the source of PACKAGE. precision: no versions but a measure, the smallest
    error that is seen.

    A run that was stopped goes on where it was. Exit status: 0 if everything is caught, 1 if something lives.
    """
    usable(files)
    import torch

    from scratchproof.bank.banks import Ledger
    from scratchproof.bank.kill import Bench
    from scratchproof.report.files import write

    torch.set_num_threads(1)
    chosen = banks or BANKS
    ledger = Ledger(file=results, again=again)
    killing = [bank for bank in chosen if bank != "precision"]
    tallies = _kills(package, killing, layers, every, ledger, Bench(seed=seed, effort=effort))
    found = _precision(layers, seed) if "precision" in chosen else []
    _show(tallies, found)
    if files.get("json"):
        write(files["json"], _record(tallies, found))  # type: ignore[arg-type]
    sys.exit(0 if all(tally.passed for tally in tallies) else 1)


def _kills(package: str, banks: Sequence[str], names: Sequence[str], every: int, ledger: Any, bench: Any) -> list[Any]:
    from scratchproof.bank.banks import asked, tally
    from scratchproof.bank.kill import package_called
    from scratchproof.progress import progress

    rows = _rows(names)
    tallies = []
    for bank in banks:
        held = list(asked(bank, package_called(package), rows))[::every]
        with progress(bank) as advance:
            told = ledger.examine(bench, held, advance)
        tallies.append(tally(bank, held, told))
    return tallies


def _rows(names: Sequence[str]) -> list[Any]:
    from scratchproof.table.layers import family

    return [layer for name in names for layer in family(name)]


def _precision(names: Sequence[str], seed: int) -> list[Any]:
    from scratchproof.bank.precision import rows, seen
    from scratchproof.progress import progress
    from scratchproof.vjp import PRECISIONS

    asked = [(layer, PRECISIONS[name]) for layer in rows(_rows(names)) for name in FORMATS]
    found: list[Any] = []
    with progress("precision") as advance:
        for done, (layer, precision) in enumerate(asked):
            advance(done, len(asked))
            found += seen(layer, precision, seed)
    return found


def _show(tallies: Sequence[Any], found: Sequence[Any]) -> None:
    from rich.table import Table

    printed = console()
    if tallies:
        table = Table("bank", "held", "equivalent", "caught", "live", "of what is due", box=None)
        for tally in tallies:
            table.add_row(*tally.as_row())
        printed.print(table)
        for tally in tallies:
            for name in tally.lives:
                printed.print(f"  lives: {tally.bank}: {name}", soft_wrap=True)
    if found:
        printed.print("\nThe smallest error that is seen, in units in the last place, in the quantity that is worst:")
        printed.print(_finest(found))


def _finest(found: Sequence[Any]) -> Any:
    """A line a layer; for each format one element, one row, everywhere."""
    from rich.table import Table

    from scratchproof.bank.precision import WHERE

    table = Table("layer", *FORMATS, box=None)
    for layer in dict.fromkeys(one.layer for one in found):
        cells = []
        for name in FORMATS:
            units = [
                max(
                    (o.units for o in found if (o.layer, o.precision, o.where) == (layer, name, where)),
                    default=float("nan"),
                )
                for where in WHERE
            ]
            cells.append(" ".join(f"{u:.0f}" for u in units))
        table.add_row(layer, *cells)
    return table


def _record(tallies: Sequence[Any], found: Sequence[Any]) -> str:
    from dataclasses import asdict

    from scratchproof.report.document import as_json, environment

    return as_json(
        {
            "format": "scratchproof-mutants-1",
            "environment": environment("cpu"),
            "banks": [asdict(tally) for tally in tallies],
            "precision": [_finite(asdict(one)) for one in found],
        }
    )


def _finite(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: what is not seen at all is null."""
    return {name: None if value == float("inf") else value for name, value in fields.items()}
