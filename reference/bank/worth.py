"""What a PASS is worth: of the layers that passed, by what is measured of them, or by their own allowances."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from scratchproof.bank.certificate import Part, state
from scratchproof.exam.compare import Report, Verdict

CONFIDENCE = 0.95
AT_LEAST = {"quick": "quick", "normal": "normal", "thorough": "normal"}  # thorough asks all that normal does
BANKS = {"named": "named mistakes", "sometimes": "that show only sometimes", "mechanical": "changes to source"}
PARTS = ("banks", "seen", "alarms")


def certificate(held: Part, reports: Sequence[Report], effort: str) -> Part:
    """What a PASS of the reports that passed is worth; nothing where none did.

    held: what is measured, see `certificate.py`. The answer holds

        banks      caught and due, by bank
        seen       by format, the median over the rows of the smallest relative error in one element that is seen, and
                   the row that sees least
        alarms     alarms, comparisons, and the most that their rate may be with 95 % confidence
        made       by which each of these was measured; outdated: whether of another state of the checks
        told       a line for each

    Where no bank knows the rows, `told` alone, by what their own allowances say.
    """
    passed = [report for report in reports if report.verdict is Verdict.PASS]
    rows, formats = ({getattr(r, name): None for r in passed} for name in ("layer", "precision"))
    banks = held.get("banks", {}).get(AT_LEAST[effort], {})
    if not _totals(banks, rows):
        return by_allowance(passed)
    parts = dict(zip(PARTS, (banks, held.get("precision", {}), held.get("alarms", {})), strict=True))
    seen = {name: _seen(parts["seen"], rows, name) for name in formats}
    found: Part = {
        "effort": effort,
        "banks": _totals(banks, rows),
        "seen": {name: of_format for name, of_format in seen.items() if of_format},
        "alarms": _alarms(parts["alarms"], formats),
        "made": {name: part["made"] for name, part in parts.items() if part},
    }
    found["outdated"] = any(one["state"] != state() for one in found["made"].values())
    return {**found, "told": _told(found)}


def by_allowance(reports: Iterable[Report]) -> Part:
    """The same for rows of which nothing is measured: what their allowances would tell of, by computation."""
    sights = {report.precision: report.sight for report in reports if report.sight}
    if not sights:
        return {}
    sizes = (f"{s.element:.1e} ({name}, {s.quantity})" for name, s in sights.items())
    scales = (f"{s.scale:.1e}" for s in sights.values())
    told = [
        f"A PASS here refuses one element of median size that is off by {', '.join(sizes)},",
        f"all scaled by 1 + {', '.join(scales)}, zeros, a flipped sign and exchanged elements",
    ]
    return {"told": told}


def at_most(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The rate above which so few events in so many trials have less than a chance of 5 %: 3 / trials for none.

    Exact for counts of rare events (Poisson), and so a little above Clopper's and Pearson's bound for trials.
    """
    low, high = 0.0, events + 10.0 + 10 * math.sqrt(events + 1)
    for _ in range(60):
        mean = (low + high) / 2
        chance = sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(events + 1))
        low, high = (mean, high) if chance > 1 - confidence else (low, mean)
    return high / trials


def _totals(part: Part, rows: Iterable[str]) -> dict[str, list[int]]:
    totals: dict[str, list[int]] = {}
    for row in rows:
        for bank, (caught, due) in part.get("rows", {}).get(row, {}).items():
            before = totals.get(bank, [0, 0])
            totals[bank] = [before[0] + caught, before[1] + due]
    return {bank: totals[bank] for bank in BANKS if bank in totals}


def _seen(part: Part, rows: Iterable[str], name: str) -> Part:
    held = part.get("rows", {})
    sizes = {row: _or_infinite(held[row][name]) for row in rows if name in held.get(row, {})}
    if not sizes:
        return {}
    least = max(sizes, key=sizes.__getitem__)
    return {"median": _or_none(median(sizes.values())), "least": least, "at_least": _or_none(sizes[least])}


def _or_infinite(size: float | None) -> float:
    return math.inf if size is None else size


def _or_none(size: float) -> float | None:
    return size if math.isfinite(size) else None


def _alarms(part: Part, formats: Iterable[str]) -> Part:
    counted = [part["formats"][name] for name in formats if name in part.get("formats", {})]
    if not counted:
        return {}
    alarms, comparisons = (sum(column) for column in zip(*counted, strict=True))
    return {"alarms": alarms, "comparisons": comparisons, "at_most": at_most(alarms, comparisons)}


def _told(found: Mapping[str, Any]) -> list[str]:
    """The certificate in words, a line each."""
    counts = (f"{caught:,} of {due:,} {BANKS[bank]}" for bank, (caught, due) in found["banks"].items())
    told = [f"A PASS of these layers: {', '.join(counts)} are caught;"]
    if found["seen"]:
        sizes = ", ".join(f"{_size(seen['median'])} ({name})" for name, seen in found["seen"].items())
        told.append(f"one element off by {sizes} is seen in half of them;")
    if alarms := found["alarms"]:
        counted = f"{alarms['alarms']:,} false alarms in {alarms['comparisons']:,} comparisons"
        told.append(f"{counted}: at most 1 in {1 / alarms['at_most']:,.0f}, with 95 % confidence;")
    dates = sorted({one["date"] for one in found["made"].values()})
    when = f"measured {' and '.join(dates)}"
    return [*told[:-1], f"{told[-1]} {when}{', of an earlier state of the checks' if found['outdated'] else ''}"]


def _size(size: float | None) -> str:
    return "nothing" if size is None else f"{size:.1e}"
