"""Gradescope's results.json: points that add up, and text that stays text."""

import json

import pytest

from scratchproof.report.document import as_json
from scratchproof.report.gradescope import gradescope


@pytest.fixture
def marked(sample):
    wrong = sample.result(quantity="dx", verdict="FAIL", message="<b>relu dx\x1b[0m: got 1", cause="twice")
    results = [sample.result(), wrong, sample.result(check="corners"), sample.result(check="aliases")]
    return gradescope(sample.document(sample.report("relu", *results, verdict="FAIL")))


def test_the_score_is_the_sum_of_the_tests(marked):
    assert marked["score"] == sum(test["score"] for test in marked["tests"]) == 3
    assert [test["max_score"] for test in marked["tests"]] == [1] * 4
    assert all(0 <= test["score"] <= test["max_score"] for test in marked["tests"])


def test_every_test_has_what_gradescope_documents(marked):
    for test in marked["tests"]:
        assert set(test) == {"score", "max_score", "status", "name", "output", "tags", "visibility"}
        assert test["status"] == ("passed" if test["score"] else "failed")
        assert test["visibility"] == "visible"


def test_messages_are_plain_text_with_the_cause(marked):
    (wrong,) = (test for test in marked["tests"] if test["status"] == "failed")
    assert wrong["name"] == "relu: dx"
    assert wrong["output"] == "the gradient dx\n<b>relu dx\\x1b[0m: got 1\n  cause: twice"
    assert marked["output_format"] == marked["test_output_format"] == marked["test_name_format"] == "text"


def test_that_a_mistake_is_paid_for_once_is_said(marked):
    assert "fed reference inputs" in marked["output"]


def test_nothing_to_mark_is_no_points_and_says_so(sample):
    empty = gradescope(sample.document())
    assert (empty["score"], empty["tests"]) == (0, [])
    assert "nothing to mark" in empty["output"]


def test_the_file_is_known_again_as_ours(marked, tmp_path):
    from scratchproof.report.files import check_target, write

    file = tmp_path / "results.json"
    write(file, as_json(marked))
    check_target(file)
    assert json.loads(file.read_text())["score"] == 3
