"""Does the derived tolerance hold for torch's own operations, and does it know them all?

torch's operations sit the exam on torch's own sample inputs (OpInfo): forward and backward in float32, bfloat16 and
float16 against float64. For each operation: how many arrays were compared, the largest error as a share of what was
allowed, the verdict, and whether every step of it is modelled. What deviates stands in `census_known` with its reason;
anything else is an alarm. A run whose folder (--out) already holds results goes on from there.
"""

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scratchproof.progress import progress

from .census_corners import asked
from .census_known import KNOWN
from .command import Common, command, option, resolve_device
from .record import Run

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """What is asked."""

    operations: str = option("", "only these operations, separated by commas; every one if empty")
    precisions: str = option(",".join(PRECISIONS), "formats to compute in, separated by commas")
    samples: int = option(5, "sample inputs of each operation")
    repeats: int = option(8, "disturbed runs of each sample, four times as many in half precision")
    workers: int = option(2, "processes")


SMOKE = {"operations": "add,exp,nn.functional.gelu,matmul,floor", "samples": 2, "workers": 1}
NEEDS = ("expecttest",)


def main(config: Config) -> dict[str, object]:
    """Take the census, print it as a table, and return the record."""
    from .census_samples import names  # torch's samples take five seconds to import

    device = resolve_device("torch", config.device)
    unknown = set(config.precisions.split(",")) - set(PRECISIONS)
    if unknown:
        raise ValueError(f"{unknown.pop()} is not taken a census of: choose from {', '.join(PRECISIONS)}")
    wanted = [name for name in config.operations.split(",") if name]
    chosen = names(wanted)
    run = Run.start("census", config)
    rows = list(_taken(config, chosen, device, run.path("rows.jsonl")))
    rows.sort(key=lambda row: row["operation"])
    _print(rows)
    header = ("operation", "compared", "precision", "share", "verdict", "modelled", "why")
    run.table("census.csv", header, ([row[key] for key in header] for row in rows))
    summary, corners = summarised(rows), asked()
    for why, named in coarse(rows).items():
        print(f"{why}: {', '.join(named)}")
    for corner in corners:
        print(f"corner: {corner['asked']}: {'as known: ' + str(corner['known']) if corner['wrong'] else 'right here'}")
    for name, value in summary.items():
        print(f"{name}: {value}")
    return run.finish({"summary": summary, "corners": corners, "operations": rows})


def _taken(config: Config, chosen: Sequence[str], device: str, path: Path) -> Iterator[dict[str, Any]]:
    """A row for each operation; those that the file holds are not asked again."""
    old = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {row["operation"]: row for row in old}
    yield from (row for name, row in done.items() if name in chosen)
    left = [name for name in chosen if name not in done]
    jobs = [(name, config.precisions.split(","), config.samples, config.repeats, config.seed, device) for name in left]
    with _pool(config.workers) as pool, path.open("a") as file, progress("operations") as advance:
        answers = pool.map(_row, jobs) if pool else map(_row, jobs)
        for count, row in enumerate(answers, 1):
            file.write(json.dumps(row) + "\n")
            file.flush()
            advance(count, len(left))
            yield row


def _pool(workers: int) -> Any:
    if workers < 1:
        raise ValueError(f"workers is {workers} but at least one process is needed")
    return ProcessPoolExecutor(workers) if workers > 1 else nullcontext()


def _row(job: tuple[str, Sequence[str], int, int, int, str]) -> dict[str, Any]:
    """One operation's row: the comparison that came closest to, or went farthest beyond, what it was allowed."""
    from .census_samples import Found, compared

    torch.set_num_threads(1)
    name, precisions, samples, repeats, seed, device = job
    found: list[Found] = []
    failed = ""
    try:
        for p in precisions:
            found.extend(compared(name, p, samples, repeats, seed, device))
    except Exception as error:  # of the float64 run or of a disturbed one: told in the table
        failed = f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error) else type(error).__name__
    wrong = [f for f in found if f.problem not in (None, "unmodelled")]
    shares = {p: max((f.share for f in found if f.precision == p), default=None) for p in precisions}
    worst = max(wrong or found, key=lambda f: f.share, default=None)
    unmodelled = sorted({operation for f in found for operation in f.unmodelled})
    return {
        "operation": name,
        "compared": len(found),
        "precision": worst.precision if worst else "",
        "share": worst.share if worst else None,
        "shares": shares,
        "verdict": _verdict(name, found, wrong, failed),
        "modelled": not unmodelled,
        "unmodelled": unmodelled,
        "alarms": len(wrong),
        "why": KNOWN.get(name, "") if failed else _why(name, wrong),
        "message": failed or (worst.message if worst and wrong else ""),
    }


def _verdict(name: str, found: Sequence[Any], wrong: Sequence[Any], failed: str) -> str:
    if failed:
        return "explained" if name in KNOWN else "ERROR"
    if not found:
        return "nothing to compare"
    if not wrong:
        return "not modelled" if any(f.unmodelled for f in found) else "within"
    return "explained" if _why(name, wrong) else "ALARM"


def _why(name: str, wrong: Sequence[Any]) -> str:
    """What the list says, or the coarser arithmetic that explains all that deviates."""
    causes = {f.cause.partition(":")[0] for f in wrong}
    if not wrong or name in KNOWN or "" in causes:
        return KNOWN.get(name, "") if wrong else ""
    return "; ".join(sorted(causes))


def coarse(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """The operations that torch's kernels compute more coarsely than they need, by the arithmetic that explains it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for why in row["why"].split("; "):
            if why.startswith("as if"):
                found.setdefault(why, []).append(row["operation"])
    return dict(sorted(found.items()))


def summarised(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The census in a few numbers.

    The median share is that of the operations that round at all: of the largest error over what was allowed.
    """
    asked = [row for row in rows if row["compared"]]
    medians = {}
    for precision in PRECISIONS:
        shares = [row["shares"].get(precision) for row in asked if row["verdict"] == "within"]
        rounding = [share for share in shares if share]
        medians[precision] = round(statistics.median(rounding), 3) if rounding else None
    return {
        "operations": len(asked),
        "comparisons": sum(row["compared"] for row in asked),
        "verdicts": dict(Counter(row["verdict"] for row in asked)),
        "fully modelled": round(sum(row["modelled"] for row in asked) / max(1, len(asked)), 4),
        "median share of the allowance": medians,
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    print(f"{'operation':44} {'compared':>8} {'worst/allowed':>13}  {'in':9} verdict")
    for row in rows:
        if not row["compared"]:
            continue
        share = "exact" if not row["share"] else f"{row['share']:.3g}"
        reason = row["why"] or row["message"] or ("" if row["modelled"] else "not modelled: " + row["unmodelled"][0])
        said = f"{row['verdict']}{': ' if reason else ''}{reason}"
        print(f"{row['operation']:44} {row['compared']:8} {share:>13}  {row['precision']:9} {said}")


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
