"""Experiments survive kill -9: a run goes on where it was cut, ends with the same bits, and leaves nobody behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scratchproof.experiments import two_layer
from scratchproof.experiments.command import command

CLOCKS = {"seconds", "cpu_seconds", "gather_share"}
TWO_LAYER = ["--smoke", "--epochs", "6", "--hidden", "100", "--seeds", "2"]
SWEEP = ["--smoke", "--grids", "S0", "--backend", "scratch", "--epochs", "2", "--hidden", "50"]


def start(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", f"scratchproof.experiments.{name}", *arguments]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def runs(folder: Path) -> list[dict[str, Any]]:
    """What came out, apart from what the clock put in: parameters are there by their digest."""
    found = json.loads((folder / "record.json").read_text())["metrics"]
    listed = found["runs"] if "runs" in found else found["trainings"]
    return [{key: value for key, value in each.items() if key not in CLOCKS} for each in listed]


def wait_for(what: Any, seconds: float = 60.0) -> None:
    """Poll until `what()` holds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def members(session: int) -> list[int]:
    """The processes, zombies apart, of a session: all that an experiment has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, leader = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(leader) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_two_layer_goes_on_after_a_kill_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    cli = command(two_layer.Config, two_layer.main, two_layer.SMOKE)
    assert CliRunner().invoke(cli, [*TWO_LAYER, "--out", str(whole)]).exit_code == 0
    process = start("two_layer", *TWO_LAYER, "--out", str(cut))
    # the first seed is done and the second has a checkpoint: both kinds of going on
    wait_for(lambda: list(cut.glob("kept/scratch-seed1/checkpoints/*.npz")) or process.poll() is not None)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    resumed = CliRunner().invoke(cli, [*TWO_LAYER, "--out", str(cut)])
    assert resumed.exit_code == 0, resumed.output
    assert "seed 0: done before" in resumed.output
    assert "(Resumed after iteration" in resumed.output
    assert runs(cut) == runs(whole)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_killed_sweep_leaves_no_worker_behind_and_no_row_half_written(tmp_path: Path) -> None:
    process = start("sweep", *SWEEP, "--parallel", "2", "--out", str(tmp_path))
    session = os.getsid(process.pid)
    wait_for(lambda: list(tmp_path.glob("rows/S0*.json")) or process.poll() is not None)
    assert len(members(session)) > 2
    process.kill()
    process.wait()
    wait_for(lambda: not members(session))
    for row in tmp_path.glob("rows/S0*.json"):
        assert json.loads(row.read_text())["params_sha256"]
