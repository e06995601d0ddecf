"""The index of many submissions: nothing in a name may become markup, a formula or another address."""

import csv
import io

import pytest

from scratchproof.report.index import Submission, index_csv, index_page, submission

HOSTILE = '=cmd|"/c calc"!A1<script>alert(1)</script>\x1b]0;x\x07\u202e'


@pytest.fixture
def rows(sample):
    wrong = sample.result(quantity="dx", verdict="FAIL", message="got 1")
    found = sample.document(
        sample.report("relu", sample.result(), wrong, verdict="FAIL", properties=("out", "dx")),
        sample.report("affine", verdict="MISSING"),
    )
    return [
        submission("ada", found, page="ada.html", seconds=1.25),
        Submission(name=HOSTILE, page="javascript:alert(1)", problem=HOSTILE),
    ]


def test_a_line_has_points_and_the_gravest_verdict_of_each_layer(rows):
    ada = rows[0]
    assert (ada.points, ada.of) == (1, 2)
    assert ada.verdicts == {"relu": "FAIL", "affine": "MISSING"}
    assert ada.counts == [("MISSING", 1), ("FAIL", 1)]


def test_the_page_links_each_submission_and_holds_no_markup_of_theirs(rows):
    page = index_page(rows, title="<i>homework</i>")
    assert '<a href="./ada.html">ada</a>' in page
    assert "1 of 2" in page
    for forbidden in ("<script>alert", "<i>", 'href="javascript', "\x1b", "\x07", "\u202e"):
        assert forbidden not in page


def test_the_table_is_csv_whose_cells_are_no_formulas(rows):
    header, ada, hostile = csv.reader(io.StringIO(index_csv(rows)))
    assert header == ["submission", "points", "of", "seconds", "problem", "relu"]
    assert ada == ["ada", "1", "2", "1.25", "", "FAIL"]
    assert hostile[0].startswith("'=cmd")
    assert all(cell.isprintable() for cell in hostile)


def test_nobody_at_all_is_a_page_too():
    assert "0 submissions" in index_page([])
    assert index_csv([]) == "submission,points,of,seconds,problem\n"
