"""What the exam found as JUnit XML, which every continuous integration server reads.

A suite a layer, a case a property and precision; what the two common schemas (Ant's and Jenkins's) both allow.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from scratchproof.report.document import Found, of_layers
from scratchproof.report.points import NO_SUCH, by_property
from scratchproof.report.text import block, plain

BEGINNING = "<?xml version='1.0' encoding='utf-8'?>\n<!-- scratchproof-junit -->\n"
BROKEN = ("CRASH", "TIMEOUT")


def junit(document: Mapping[str, Any], *, now: datetime | None = None) -> str:
    """The text of a JUnit file. A suite fails exactly where `scratchproof check` leaves with status 1."""
    stamp = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S")
    suites = ET.Element("testsuites")
    seconds = {id(r): s for r, s in zip(document["reports"], document.get("seconds", ()), strict=False)}
    for place, (layer, reports) in enumerate(of_layers(document).items()):
        cases = [case for report in reports for case in _cases(document, report, seconds.get(id(report), 0.0))]
        kinds = [child.tag for case in cases for child in case]
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=plain(layer),
            package=plain(document["subject"]) or "subject",
            id=str(place),
            timestamp=stamp,
            hostname="localhost",
            time=f"{sum(seconds.get(id(report), 0.0) for report in reports):.3f}",
            tests=str(len(cases)),
            failures=str(kinds.count("failure")),
            errors=str(kinds.count("error")),
            skipped=str(kinds.count("skipped")),
        )
        _properties(ET.SubElement(suite, "properties"), document)
        suite.extend(cases)
        notes = [r["message"] for report in reports for r in report["results"] if _is_note(r)]
        ET.SubElement(suite, "system-out").text = block("\n".join(f"note {note}" for note in notes))
        ET.SubElement(suite, "system-err")
    ET.indent(suites)
    return BEGINNING + ET.tostring(suites, encoding="unicode") + "\n"


def _cases(document: Mapping[str, Any], report: Found, seconds: float) -> Iterator[ET.Element]:
    """A property's share of the time is what its results are of all."""
    absent = report["verdict"] in NO_SUCH
    properties = by_property(report)
    every = sum(map(len, properties.values()))
    for name, results in properties.items():
        case = ET.Element(
            "testcase",
            name=plain(f"{name} ({report['precision']})"),
            classname=plain(f"{document['subject']}.{report['layer']}"),
            time=f"{seconds * len(results) / max(1, every):.3f}",
        )
        wrong = [r for r in results if r["verdict"] != "PASS"]
        if absent and report["verdict"] == "MISSING" and report["layer"] not in document["asked"]:
            ET.SubElement(case, "skipped")
        elif absent:
            _fault(case, "failure", report["verdict"], [f"{report['layer']} is {report['verdict']}"])
        elif wrong:
            kind = "error" if any(r["verdict"] in BROKEN for r in wrong) else "failure"
            _fault(case, kind, wrong[0]["verdict"], [_told(r) for r in wrong])
        elif not results and report["verdict"] != "PASS":
            ET.SubElement(case, "skipped")  # not reached: something else of the layer has failed
        yield case


def _fault(case: ET.Element, kind: str, verdict: str, told: list[str]) -> None:
    ET.SubElement(case, kind, type=verdict, message=plain(told[0].split("\n")[0])).text = block("\n".join(told))


def _told(result: Found) -> str:
    cause = f"\n  cause: {result['cause']}" if result["cause"] else ""
    return f"{result['verdict']} {result['message']}{cause}"


def _is_note(result: Found) -> bool:
    return result["verdict"] == "PASS" and bool(result["message"])


def _properties(parent: ET.Element, document: Mapping[str, Any]) -> None:
    told = {"seed": document["seed"], "oracle": document["oracle"], **document["environment"]}
    if worth := document.get("certificate", {}).get("told"):
        told["certificate"] = " ".join(worth)
    for name, value in told.items():
        ET.SubElement(parent, "property", name=plain(name), value=plain(value))
