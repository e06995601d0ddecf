"""The count of what the exam catches and of its false alarms, in small."""

import json

from click.testing import CliRunner

from scratchproof.experiments.command import command
from scratchproof.experiments.power import SMOKE, Config, main


def test_smoke_counts_both_rates(tmp_path):
    result = CliRunner().invoke(command(Config, main, SMOKE), ["--smoke", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "record.json").read_text())["metrics"]
    totals = metrics["kills"]["totals"]
    assert totals["the exam"] == metrics["kills"]["of"]
    assert totals["out.sum().backward(), 1e-4"] < totals["the exam"]
    (alarms,) = metrics["false_alarms"]
    assert set(alarms["verdicts"]) == {"PASS"}
    assert alarms["smallest_headroom"]["float32"] > 1
