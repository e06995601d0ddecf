"""Partial credit: a point for each property of a layer.

Every layer is fed reference inputs, whatever the layers before it did, so a mistake is paid for once. A property
earns its point if it was examined and nothing about it is worse than a note.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scratchproof.report.document import of_layers

# Which property a check speaks of. None: of the quantity that it names. What is not listed is its own property.
SPEAKS_OF: dict[str, str | None] = {
    "values": None,
    "central differences": None,
    "complex step": None,
    "linear": None,
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
        return MEANING.get(self.what, f"the gradient {self.what}" if self.what[0] == "d" else "")


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


def _of_layer(layer: str, reports: list[Mapping[str, Any]]) -> list[Credit]:
    told: dict[str, list[Mapping[str, Any]]] = {name: [] for r in reports for name in r.get("properties", ())}
    for report in reports:
        for result in report["results"]:
            if result["check"] != NOT_THE_AUTHORS:
                told.setdefault(_property(result), []).append(result)
    absent = [r["verdict"] for r in reports if r["verdict"] in NO_SUCH]
    return [_credit(layer, name, results, absent) for name, results in told.items()]


def _credit(layer: str, name: str, results: list[Mapping[str, Any]], absent: list[str]) -> Credit:
    if absent:
        return Credit(layer=layer, what=name, earned=False, messages=(f"{layer} is {absent[0]}",))
    if not results:
        return Credit(layer=layer, what=name, earned=False, messages=(f"{name} was not reached",))
    told = dict.fromkeys(f"{r['message']}{_because(r)}" for r in results if r["message"])
    earned = all(r["verdict"] == "PASS" for r in results)
    return Credit(layer=layer, what=name, earned=earned, messages=tuple(told))


def _property(result: Mapping[str, Any]) -> str:
    speaks_of = SPEAKS_OF.get(result["check"], result["check"])
    return speaks_of or str(result["quantity"])


def _because(result: Mapping[str, Any]) -> str:
    return f"\n  cause: {result['cause']}" if result["cause"] else ""
