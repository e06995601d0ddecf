"""Partial credit: a point for each property of a layer.

Every layer is fed reference inputs, whatever the layers before it did, so a mistake is paid for once. A property
earns its point if it was examined and nothing about it is worse than a note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scratchproof.report.document import Found, findings, of_layers

# Which property a check speaks of. What is not listed speaks of the quantity that it names.
SPEAKS_OF = {
    "corners": "corners",
    "scores": "scores",
    "controls": "controls",
    "unwritten": "conduct",
    "aliases": "conduct",
    "repeatable": "conduct",
    "errors": "conduct",
}
NOT_THE_AUTHORS = "controls"  # the exam's own test of itself
NO_SUCH = ("MISSING", "UNIMPLEMENTED")
MEANING = {
    "out": "the output",
    "loss": "the loss",
    "scores": "the class scores of test mode",
    "corners": "zeros, ties, huge and tiny numbers, one row, other memory layouts",
    "conduct": "inputs left alone, the same answer twice, errors as promised",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """One property of one layer: whether its point is earned, and if not (or only just) why."""

    layer: str
    what: str
    earned: bool
    messages: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        return MEANING.get(self.what, f"the gradient {self.what}" if self.what.startswith("d") else "")


def credits(document: Mapping[str, Any]) -> list[Credit]:
    """Every property of every layer that was asked for, or that is there where none was asked for by name."""
    by_layer = of_layers(document)
    wanted = document.get("asked") or [
        layer for layer, reports in by_layer.items() if any(r["verdict"] != "MISSING" for r in reports)
    ]
    return [credit for layer in wanted for credit in _of_layer(layer, by_layer.get(layer, []))]


def total(found: list[Credit]) -> tuple[int, int]:
    """The points earned, and the points that there are."""
    return sum(credit.earned for credit in found), len(found)


def by_property(report: Found) -> dict[str, list[Found]]:
    """The results of one report, by the property of which they speak; none for what was not reached."""
    told: dict[str, list[Found]] = {name: [] for name in report["properties"]}
    for result in report["results"]:
        if name := _property(result, report["properties"]):
            told.setdefault(name, []).append(result)
    return told


def _of_layer(layer: str, reports: list[Found]) -> list[Credit]:
    told: dict[str, list[Found]] = {}
    for report in reports:
        for name, results in by_property(report).items():
            told.setdefault(name, []).extend(results)
    told.pop(NOT_THE_AUTHORS, None)
    absent = [r["verdict"] for r in reports if r["verdict"] in NO_SUCH]
    return [_credit(layer, name, results, absent) for name, results in told.items()]


def _credit(layer: str, name: str, results: list[Found], absent: list[str]) -> Credit:
    if absent:
        return Credit(layer=layer, what=name, earned=False, messages=(f"{layer} is {absent[0]}",))
    if not results:
        return Credit(layer=layer, what=name, earned=False, messages=(f"{name} was not reached",))
    told = dict.fromkeys(f"{r['message']}{_because(r)}" for r in findings([{"results": results}]))
    earned = all(r["verdict"] == "PASS" for r in results)
    return Credit(layer=layer, what=name, earned=earned, messages=tuple(told))


def _property(result: Found, declared: Sequence[str]) -> str:
    """Always one of those declared, so that what there is to earn does not hang on what went wrong.

    An empty string for a check of every gradient that found nothing wrong in any.
    """
    name = SPEAKS_OF.get(result["check"], str(result["quantity"]))
    if not name and result["verdict"] != "PASS":
        return "conduct"
    if not name or not declared or name in declared or name == NOT_THE_AUTHORS:
        return name
    return "conduct"


def _because(result: Found) -> str:
    return f"\n  cause: {result['cause']}" if result["cause"] else ""
