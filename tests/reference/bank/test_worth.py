"""What a PASS is worth: of what passed alone, by what was measured, outdated where the checks are others since."""

import pytest

from scratchproof.bank.certificate import state
from scratchproof.bank.worth import at_most, certificate
from scratchproof.exam.compare import Report, Sight, Verdict

SIGHT = Sight(quantity="dx", element=2e-6, scale=3e-7)


def made(of=None):
    return {"date": "2026-01-02", "state": of or state()}


def held(of=None):
    rows = {"relu": {"named": [3, 4], "sometimes": [1, 1]}, "affine": {"named": [5, 5]}, "tanh": {"named": [0, 9]}}
    sizes = {"relu": {"float32": 1e-7}, "affine": {"float32": None}, "tanh": {"float32": 1e-6}}
    return {
        "banks": {"normal": {"made": made(of), "rows": rows}},
        "precision": {"made": made(), "rows": sizes},
        "alarms": {"made": made(), "formats": {"float32": [0, 3000], "float64": [1, 10]}},
    }


def report(layer, verdict=Verdict.PASS):
    return Report(layer=layer, precision="float32", verdict=verdict, results=(), sight=SIGHT)


def test_what_passed_is_counted_and_nothing_else():
    found = certificate(held(), [report("relu"), report("affine"), report("tanh", Verdict.FAIL)], "normal")
    assert found["banks"] == {"named": [8, 9], "sometimes": [1, 1]}
    assert found["seen"]["float32"] == {"median": None, "least": "affine", "at_least": None}
    assert found["alarms"]["comparisons"] == 3000
    assert not found["outdated"]
    assert "8 of 9 named mistakes" in found["told"][0]
    assert "earlier" not in found["told"][-1]
    assert found["told"][-1].endswith("measured 2026-01-02")


def test_thorough_is_worth_at_least_normal_and_quick_is_measured_for_itself():
    assert certificate(held(), [report("relu")], "thorough")["banks"] == {"named": [3, 4], "sometimes": [1, 1]}
    assert "banks" not in certificate(held(), [report("relu")], "quick")


def test_other_checks_are_told_of():
    found = certificate(held(of="0"), [report("relu")], "normal")
    assert found["outdated"]
    assert "earlier state" in found["told"][-1]


def test_where_nothing_is_measured_the_allowance_speaks():
    told = " ".join(certificate(held(), [report("mine")], "normal")["told"])
    assert "2.0e-06 (float32, dx)" in told
    assert "3.0e-07" in told


@pytest.mark.parametrize("reports", [[], [report("relu", Verdict.FAIL)]])
def test_where_nothing_passed_nothing_is_said(reports):
    assert certificate(held(), reports, "normal") == {}


def test_the_bound_is_the_rule_of_three():
    assert 1_000_000 * at_most(0, 1_000_000) == pytest.approx(3.0, rel=2e-3)
    assert 100 * at_most(1, 100) > 4.7
