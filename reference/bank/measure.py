"""The banks run and the smallest errors sought, for a table or a certificate."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from scratchproof.bank.banks import BANKS, Asked, Ledger, asked, by_row
from scratchproof.bank.certificate import Part, of_banks, of_precision
from scratchproof.bank.kill import Bench, package_called
from scratchproof.bank.precision import Seen, rows, seen
from scratchproof.progress import progress
from scratchproof.table.layers import Layer
from scratchproof.vjp import PRECISIONS

FORMATS = ("float64", "float32", "float16", "bfloat16")


def run_bank(
    bank: str, package: ModuleType, layers: Sequence[Layer], ledger: Ledger, bench: Bench, every: int = 1
) -> tuple[list[Asked], dict[str, str]]:
    """What of a bank is for these rows (or for all), and what is told of each."""
    held = list(asked(bank, package, layers))[::every]
    with progress(bank) as advance:
        return held, ledger.examine(bench, held, advance)


def smallest(layers: Sequence[Layer], seed: int) -> list[Seen]:
    """The smallest errors that are seen in these rows (or in all), in each format."""
    wanted = [(layer, PRECISIONS[name]) for layer in rows(layers) for name in FORMATS]

    def found() -> Iterator[Seen]:
        with progress("precision") as advance:
            for done, (layer, precision) in enumerate(wanted):
                advance(done, len(wanted))
                yield from seen(layer, precision, seed)

    return list(found())


def afresh(layers: Sequence[Layer], effort: str, seed: int) -> Part:
    """The parts of a certificate for these rows, measured now."""
    bench = Bench(seed=seed, effort=effort)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(file=Path(folder, "ledger.jsonl"))
        runs = {bank: run_bank(bank, package_called("scratch"), layers, ledger, bench) for bank in BANKS}
    counted = {bank: by_row(held, told) for bank, (held, told) in runs.items()}
    return {**of_banks(effort, counted), **of_precision(smallest(layers, seed))}
