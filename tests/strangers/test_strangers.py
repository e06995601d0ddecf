"""Files as students of many years write them: each layer gets the verdict that it is due, and the cause.

What is due stands in due.toml: what passes, and what does not, with its verdict and what a teacher would say of it,
as a regular expression. Every file is examined as `grade` examines it, in a process of its own.
"""

import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.proxy import SandboxedSubject
from scratchproof.subjects.cs231n.mapping import read
from scratchproof.table.layers import EVERY_ROW

HERE = Path(__file__).resolve().parent
DUE = tomllib.loads((HERE / "due.toml").read_text(encoding="utf-8"))
PAPERS = {}
NAMED = 125  # causes that are told as a teacher would; to be raised as more are learned
FACT = "no known mistake fits"


@cache
def examined(name):
    """The report of every layer that the file has, by the layer's name."""
    options = {"renamed": DUE[name]["renamed"]} if "renamed" in DUE[name] else {}
    if "mapping" in DUE[name]:
        options["mapping"] = read(HERE / DUE[name]["mapping"])
    subject = SandboxedSubject(str(HERE / name), limits=Limits.of(60.0), **options)
    effort, precision = DUE[name].get("effort", "quick"), DUE[name].get("precision", "float64")
    try:
        reports = [examine(subject, layer, precision, papers=PAPERS, effort=effort) for layer in EVERY_ROW]
    finally:
        subject.close()
    return {report.layer: report for report in reports if report.verdict is not Verdict.MISSING}


@pytest.mark.parametrize("name", DUE)
def test_every_layer_gets_the_verdict_it_is_due(name):
    due = dict.fromkeys(DUE[name].get("passes", ()), "PASS")
    due |= {layer: told["verdict"] for layer, told in DUE[name].get("not_passing", {}).items()}
    found = examined(name)
    assert {layer: str(report.verdict) for layer, report in found.items()} == due, [
        result.message for report in found.values() for result in report.findings
    ]


def test_every_file_is_tried():
    tried = {HERE / name for name in DUE}
    packages = {path for path in tried if path.is_dir()}
    files = (path for kind in ("right", "wrong") for path in (HERE / kind).rglob("*") if path.suffix != ".pyc")
    left = [path for path in files if path.is_file() and path not in tried and not packages & set(path.parents)]
    assert not left


def test_the_causes_of_what_is_wrong(capsys):
    """Right, where some finding's cause says what a teacher would say; none, where at most a fact is told; wrong."""
    counts = {"right": [], "none": [], "wrong": []}
    for name, file in DUE.items():
        for layer, told in file.get("not_passing", {}).items():
            if told["cause"]:
                causes = [result.cause for result in examined(name)[layer].results if result.cause]
                counts[_judged(causes, told["cause"])].append(f"{name} {layer}: {causes[:1]}")
    with capsys.disabled():
        sys.stdout.write(f"causes: {', '.join(f'{len(those)} {kind}' for kind, those in counts.items())}\n")
    assert not counts["wrong"]
    assert len(counts["right"]) >= NAMED, counts["none"]


def _judged(causes, due):
    if any(re.search(due, cause) for cause in causes):
        return "right"
    return "wrong" if any(not re.search(FACT, cause) for cause in causes) else "none"
