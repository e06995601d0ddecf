"""What the cost of an exam is measured against: every contestant does its work."""

from click.testing import CliRunner

from scratchproof.experiments import cost
from scratchproof.experiments.command import command


def test_every_contestant_is_timed(tmp_path):
    run = command(cost.Config, cost.main, cost.SMOKE)
    result = CliRunner().invoke(run, ["--smoke", "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert all(name in result.output for name in cost.CONTESTANTS)
