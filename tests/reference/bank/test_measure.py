"""What is measured anew is of the rows asked for, at the effort asked for, and reaches the certificate of a check."""

import json

from click.testing import CliRunner

from scratchproof.bank import measure
from scratchproof.bank.certificate import state
from scratchproof.cli import main
from scratchproof.table.layers import row


def test_the_rows_asked_for_and_no_others(monkeypatch):
    monkeypatch.setattr(measure, "BANKS", ("named", "sometimes"))
    found = measure.afresh([row("squared_loss")], "quick", seed=0)
    ((effort, of_effort),) = found["banks"].items()
    assert effort == "quick"
    assert set(of_effort["rows"]) == set(found["precision"]["rows"]) == {"squared_loss"}
    assert of_effort["made"]["state"] == state()


def test_a_check_certifies_anew_where_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(measure, "BANKS", ("named",))
    file = tmp_path / "found.json"
    arguments = ("--layer", "squared_loss", "--effort", "quick", "--device", "cpu", "--json", str(file))
    result = CliRunner().invoke(main, ["check", *arguments, "--certify"])
    assert result.exit_code == 0, result.output
    worth = json.loads(file.read_text())["certificate"]
    assert set(worth["banks"]) == {"named"}
    assert worth["made"]["banks"]["state"] == worth["made"]["seen"]["state"] == state()
    assert worth["told"][0] in result.output
