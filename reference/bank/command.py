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
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Put what is measured into this file of measurements, from which a certificate is made.",
)
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
    keep: Path | None,
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

    from scratchproof.bank.banks import Ledger, by_row, tally
    from scratchproof.bank.certificate import keep as kept
    from scratchproof.bank.certificate import of_banks, of_precision
    from scratchproof.bank.kill import Bench, package_called
    from scratchproof.bank.measure import run_bank, smallest
    from scratchproof.report.files import write
    from scratchproof.table.layers import family

    torch.set_num_threads(1)
    chosen, rows = banks or BANKS, [layer for name in layers for layer in family(name)]
    ledger, bench, changed = Ledger(file=results, again=again), Bench(seed=seed, effort=effort), package_called(package)
    runs = {bank: run_bank(bank, changed, rows, ledger, bench, every) for bank in chosen if bank != "precision"}
    tallies = [tally(bank, *run) for bank, run in runs.items()]
    found = smallest(rows, seed) if "precision" in chosen else []
    _show(tallies, found)
    if files.get("json"):
        write(files["json"], _record(tallies, found))  # type: ignore[arg-type]
    if keep:
        counted = of_banks(effort, {bank: by_row(*run) for bank, run in runs.items()}) if runs else {}
        kept(keep, {**counted, **(of_precision(found) if found else {})})
    sys.exit(0 if all(tally.passed for tally in tallies) else 1)


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
