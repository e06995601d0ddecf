"""The exam of a training that several ranks share: gradients, losses and parameters are those of one process.

`several_ranks.py` plays the scenes on four or fewer gloo ranks; here is what has to come of them. All is computed in
float64: two sums of the same numbers in another order may differ by a few roundings, and training carries them on.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCENES = Path(__file__).with_name("several_ranks.py")
STEPS = 12


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    subprocess.run([sys.executable, str(SCENES), str(folder)], check=True, timeout=300)
    return folder


def end(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)


def equal(actual: dict[str, Any], expected: dict[str, Any], roundings: int) -> bool:
    """Whether all arrays are within so many roundings of their largest entry."""
    u = np.finfo(np.float64).eps / 2
    return all(np.abs(actual[k] - e).max() <= roundings * u * max(1, np.abs(e).max()) for k, e in expected.items())


@pytest.mark.parametrize(("scene", "ranks"), [("two", 2), ("four", 4), ("resumed", 2)])
def test_every_rank_ends_where_one_process_ends(played: Path, scene: str, ranks: int) -> None:
    assert (played / scene / "exits").read_text().split() == ["0"] * ranks
    alone = end(played / "alone" / "0.npz")
    for rank in range(ranks):
        shared = end(played / scene / f"{rank}.npz")
        expected = {name: value for name, value in alone.items() if name in shared}
        assert len(shared["losses"]) == STEPS
        assert equal(shared, expected, 16 * STEPS)
        assert not equal({k: v * (1 + 2.0**-40) for k, v in shared.items()}, expected, 16 * STEPS)


@pytest.mark.parametrize(("scene", "ranks"), [("two", 2), ("four", 4)])
def test_gradients_are_those_of_the_whole_minibatch_even_where_a_rank_has_no_row(
    played: Path, scene: str, ranks: int
) -> None:
    alone = {name: value for name, value in end(played / "alone" / "0.npz").items() if name.startswith("d")}
    assert len(alone) == 4
    for rank in range(ranks):
        assert equal(end(played / scene / f"{rank}.npz"), alone, 16)


@pytest.mark.parametrize(("scene", "exits"), [("killed", ["2", "-9"]), ("four killed", ["2", "2", "-9", "2"])])
def test_when_a_rank_is_killed_the_others_stop_and_say_why(played: Path, scene: str, exits: list[str]) -> None:
    assert (played / scene / "exits").read_text().split() == exits
    for rank in (rank for rank, code in enumerate(exits) if code == "2"):
        told = (played / scene / f"{rank}.txt").read_text()
        why = rf"rank {rank} of {len(exits)} stopped in iteration \d+ because another rank is gone or silent; start all"
        assert re.match(why, told)


def test_torchrun_starts_all_again_and_they_go_on_from_the_last_epoch(played: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "--max-restarts", "1", str(SCENES), str(tmp_path), "elastic"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("(Resumed after iteration 4 / 12)") == 1
    alone = end(played / "alone" / "0.npz")
    for rank in range(2):
        shared = end(tmp_path / f"{rank}.npz")
        assert len(shared["losses"]) == STEPS
        assert equal(shared, {name: value for name, value in alone.items() if name in shared}, 16 * STEPS)


def test_a_sweep_is_shared_out_and_each_row_trained_once(played: Path) -> None:
    assert (played / "sweep" / "exits").read_text().split() == ["0"] * 3
    told = [(played / "sweep" / f"{rank}.out").read_text() for rank in range(3)]
    ends = [re.findall(r"sweep: (\d) of (\d)", text)[-1] for text in told]
    assert ends == [("3", "3"), ("3", "3"), ("2", "2")]
    assert len(list((played / "sweep" / "run" / "rows").glob("S0-*.json"))) == 8
    assert ["best of S0" in text for text in told] == [True, False, False]
