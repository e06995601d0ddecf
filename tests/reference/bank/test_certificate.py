"""The measurements that are stored: kept part by part, refused where they are another's, shipped with the package."""

import json
import math

import pytest

from scratchproof.bank import certificate
from scratchproof.bank.certificate import STORED, keep, of_alarms, of_banks, of_precision, state, stored
from scratchproof.bank.precision import Seen
from scratchproof.errors import InputError


def seen(smallest, where="one element", quantity="out"):
    return Seen(layer="a", precision="float32", quantity=quantity, where=where, smallest=smallest, units=1.0)


def test_a_part_is_kept_beside_the_others_and_replaced_by_itself(tmp_path):
    file = tmp_path / "c.json"
    keep(file, of_banks("normal", {"named": {"relu": (3, 4)}, "sometimes": {"relu": (1, 1)}}))
    keep(file, of_banks("quick", {"named": {"relu": (2, 4)}}))
    keep(file, of_alarms({"float32": (0, 10)}))
    keep(file, of_alarms({"float32": (1, 20)}))
    held = stored(file)
    assert held["banks"]["normal"]["rows"] == {"relu": {"named": [3, 4], "sometimes": [1, 1]}}
    assert held["banks"]["quick"]["rows"] == {"relu": {"named": [2, 4]}}
    assert held["alarms"]["formats"] == {"float32": [1, 20]}
    assert held["alarms"]["made"]["state"] == state()


@pytest.mark.parametrize("sizes", [(0.5, 0.25), (0.25, 0.5)])
def test_the_quantity_that_is_worst_counts_and_one_element_alone(sizes):
    found = [seen(size, quantity=name) for size, name in zip(sizes, ("out", "dx"), strict=True)]
    part = of_precision([*found, seen(math.inf, where="one row")])
    assert part["precision"]["rows"] == {"a": {"float32": 0.5}}


@pytest.mark.parametrize("sizes", [(math.inf, 0.25), (0.25, math.inf)])
def test_what_is_not_seen_at_all_stays_so(sizes):
    part = of_precision([seen(size, quantity=name) for size, name in zip(sizes, ("out", "dx"), strict=True)])
    assert part["precision"]["rows"] == {"a": {"float32": None}}


@pytest.mark.parametrize("text", ['{"format": "another"}', "[]", "no JSON"])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    file = tmp_path / "c.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"c\.json"):
        keep(file, of_alarms({}))
    assert file.read_text() == text


def test_another_source_is_another_state(tmp_path, monkeypatch):
    before = state()
    for name in ("exam", "bank"):
        (tmp_path / name).mkdir()
    (tmp_path / "exam" / "checks.py").write_text("1")
    monkeypatch.setattr(certificate, "__file__", str(tmp_path / "bank" / "certificate.py"))
    state.cache_clear()
    assert state() != before
    monkeypatch.undo()
    state.cache_clear()
    assert state() == before


def test_what_is_shipped_knows_every_bank_and_format():
    held = stored()
    assert json.loads(STORED.read_text())["version"] == certificate.VERSION
    assert {bank for row in held["banks"]["normal"]["rows"].values() for bank in row} >= {"named", "sometimes"}
    assert set(held["precision"]["rows"]["affine"]) == {"float64", "float32", "float16", "bfloat16"}
