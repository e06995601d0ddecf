"""A point a property: earned by what was examined and found right, and by nothing else."""

from scratchproof.report.document import properties
from scratchproof.report.points import credits, total


def earned(document):
    return {credit.what: credit.earned for credit in credits(document)}


def test_properties_are_output_gradients_corners_and_conduct():
    assert properties("affine") == ["out", "dx", "dw", "db", "corners", "conduct"]
    assert properties("softmax_loss")[:2] == ["loss", "dx"]
    assert "scores" in properties("TwoLayerNet")
    assert properties("of the user's own") == []


def test_a_wrong_gradient_costs_its_own_point_alone(sample):
    wrong = sample.result(quantity="dx", verdict="FAIL", message="relu dx: got 1")
    results = [sample.result(), wrong, sample.result(check="corners"), sample.result(check="unwritten")]
    found = sample.document(sample.report("relu", *results, verdict="FAIL"))
    assert earned(found) == {"out": True, "dx": False, "corners": True, "conduct": True}
    assert total(credits(found)) == (3, 4)


def test_what_another_check_says_of_a_gradient_counts_for_it(sample):
    right = [sample.result(quantity=q) for q in ("out", "dx")]
    wrong = sample.result(check="central differences", quantity="dx", verdict="FAIL", message="no")
    assert earned(sample.document(sample.report("relu", *right, wrong)))["dx"] is False


def test_what_a_crash_left_unexamined_earns_nothing(sample):
    crash = sample.result(verdict="CRASH", message="forward raised ValueError")
    found = sample.document(sample.report("relu", crash, verdict="CRASH"))
    assert not any(earned(found).values())
    assert {c.messages for c in credits(found) if c.what == "dx"} == {("dx was not reached",)}


def test_a_note_keeps_its_point_and_is_told(sample):
    note = sample.result(check="corners", severity="convention", message="another valid convention")
    (corners,) = (c for c in credits(sample.document(sample.report("relu", note))) if c.what == "corners")
    assert corners.earned
    assert corners.messages == ("another valid convention",)


def test_the_exams_own_controls_are_worth_nothing(sample):
    assert "controls" not in earned(sample.document(sample.report("relu", sample.result(check="controls"))))


def test_a_missing_layer_counts_where_it_was_asked_for(sample):
    missing = sample.report("affine", verdict="MISSING", properties=("out", "dx"))
    right = sample.report("relu", sample.result(), properties=("out",))
    assert total(credits(sample.document(missing, right))) == (1, 1)
    assert total(credits(sample.document(missing, right, asked=["affine", "relu"]))) == (1, 3)


def test_a_property_must_hold_in_every_precision(sample):
    right = sample.report("relu", sample.result(), properties=("out",))
    wrong = sample.report("relu", sample.result(verdict="SUSPECT", message="less precise"), precision="float32")
    assert earned(sample.document(right, wrong))["out"] is False


def test_what_there_is_to_earn_does_not_hang_on_what_went_wrong(sample):
    odd = [sample.result(check="shapes", quantity=q, verdict="FAIL", message="no") for q in ("dx", "one row", "")]
    right, wrong = sample.report("relu", sample.result()), sample.report("relu", *odd, verdict="FAIL")
    late = sample.report("relu", sample.result(verdict="TIMEOUT", message="late"), verdict="TIMEOUT")
    missing = sample.report("relu", verdict="MISSING")
    for found in (right, wrong, late, missing):
        assert set(earned(sample.document(found, asked=["relu"]))) == {"out", "dx", "corners", "conduct"}


def test_a_failure_that_names_no_quantity_costs_the_point_for_conduct(sample):
    results = [sample.result(), sample.result(quantity="dx"), sample.result(check="corners")]
    crash = sample.result(check="linear", quantity="", verdict="FAIL", message="relu: raised ValueError")
    found = sample.document(sample.report("relu", *results, sample.result(check="unwritten"), crash, verdict="FAIL"))
    assert earned(found) == {"out": True, "dx": True, "corners": True, "conduct": False}
