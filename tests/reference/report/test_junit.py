"""JUnit XML as Ant's and Jenkins's schemas both take it, whatever the messages hold."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from scratchproof.report.junit import junit

HOSTILE = ']]></failure><b a="\x1b[31m\x00\ufffe\udc80\u202e&amp;'
SUITE = {
    "name": r".+",
    "package": r".+",
    "id": r"\d+",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    "hostname": r".+",
    "tests": r"\d+",
    "failures": r"\d+",
    "errors": r"\d+",
    "skipped": r"\d+",
    "time": r"\d+(\.\d+)?",
}


@pytest.fixture
def suites(sample):
    wrong = sample.result(quantity="dx", verdict="FAIL", message=HOSTILE, cause="it is twice\nthe right result")
    note = sample.result(message="relu dx: another valid convention")
    found = sample.document(
        sample.report("relu", note, wrong, verdict="FAIL"),
        sample.report("tanh", sample.result(verdict="CRASH", message="raised"), verdict="CRASH"),
        sample.report("affine", verdict="MISSING", properties=("out",)),
        sample.report("conv", verdict="MISSING", properties=("out",)),
        sample.report("sigmoid", sample.result(check="controls", verdict="VACUOUS", message="no"), verdict="VACUOUS"),
        asked=["conv"],
        subject=HOSTILE,
    )
    return ET.fromstring(junit(found, now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)).encode())


def test_the_structure_is_what_both_schemas_allow(suites):
    assert (suites.tag, suites.attrib) == ("testsuites", {})
    for suite in suites:
        assert set(suite.attrib) == set(SUITE)
        assert all(re.fullmatch(SUITE[name], value) for name, value in suite.attrib.items())
        tags = [child.tag for child in suite]
        cases = tags.count("testcase")
        assert tags == ["properties", *["testcase"] * cases, "system-out", "system-err"]
        for case in suite.findall("testcase"):
            assert set(case.attrib) == {"name", "classname", "time"}
            assert len(case) <= 1
            assert all(child.tag in ("failure", "error", "skipped") for child in case)
            assert all({"type", "message"} == set(child.attrib) for child in case if child.tag != "skipped")


def test_the_counts_are_those_of_the_cases(suites):
    for suite in suites:
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        for kind in ("failure", "error"):
            assert int(suite.get(f"{kind}s")) == len(suite.findall(f"testcase/{kind}"))
        assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))


def test_wrong_is_a_failure_a_crash_an_error_and_what_nobody_asked_for_is_skipped(suites):
    faults = {suite.get("name"): {child.tag for child in suite.iterfind("testcase/*")} for suite in suites}
    assert faults["relu"] == {"failure", "skipped"}  # skipped: the corners were not reached
    assert faults["tanh"] == {"error", "skipped"}
    assert faults["affine"] == {"skipped"}
    assert faults["conv"] == {"failure"}
    assert "failure" in faults["sigmoid"]


def test_nothing_in_a_message_is_markup_or_a_control_character(suites):
    failure = suites.find("testsuite/testcase/failure")
    assert failure.get("message").startswith('FAIL ]]></failure><b a="\\x1b[31m\\x00')
    assert "cause: it is twice\nthe right result" in failure.text
    assert all(c.isprintable() or c in "\n\t" for text in suites.itertext() for c in text)


def test_notes_are_told_and_fail_nothing(suites):
    assert "note relu dx: another valid convention" in suites.find("testsuite/system-out").text
