"""The command `mutants`: one table, an exit status that says whether anything lives, and a record."""

import json
import math

from click.testing import CliRunner

from scratchproof.bank import banks
from scratchproof.bank.command import _record
from scratchproof.bank.mistakes import Slip
from scratchproof.bank.precision import Seen
from scratchproof.cli import main


def mutants(tmp_path, *arguments):
    return CliRunner().invoke(main, ["mutants", "--results", str(tmp_path / "held.jsonl"), *arguments])


def test_it_prints_a_table_and_writes_a_record(tmp_path):
    file = tmp_path / "record.json"
    arguments = (
        "--bank",
        "named",
        "--bank",
        "precision",
        "--layer",
        "squared_loss",
        "--effort",
        "quick",
        "--json",
        str(file),
    )
    found = mutants(tmp_path, *arguments)
    assert found.exit_code == 0, found.output
    assert "100.00 %" in found.output
    record = json.loads(file.read_text())
    assert record["banks"][0]["bank"] == "named"
    assert record["precision"]


def test_what_is_not_seen_at_all_is_null_in_the_record():
    one = Seen(layer="a", precision="float16", quantity="dx", where="one row", smallest=math.inf, units=math.inf)
    assert json.loads(_record([], [one]))["precision"][0]["smallest"] is None


def test_what_lives_is_named_and_told_by_the_status(tmp_path, monkeypatch):
    none = Slip("relu", "relu_forward", "none at all", "np.maximum(x, 0)", "np.maximum(0, x)")
    monkeypatch.setitem(banks.MISTAKES, "named", (none,))
    found = mutants(tmp_path, "--bank", "named", "--effort", "quick")
    assert found.exit_code == 1
    assert "lives: named: relu: none at all" in found.output


def test_a_package_that_is_not_there_is_one_line(tmp_path):
    found = mutants(tmp_path, "no_such_package", "--bank", "mechanical", "--layer", "relu")
    assert found.exit_code == 2
    assert found.output.startswith("scratchproof: ")
    assert found.output.count("\n") == 1
