"""The sweep: one table of both backends, resumable, the same in one process or two, and honest about its rows."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scratchproof.experiments import sources, sweep
from scratchproof.experiments.command import command

ROWS = len(sources.grid("S0"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command(sweep.Config, sweep.main, sweep.SMOKE), ["--smoke", "--grids", "S0", *arguments])


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Every row's record by its file name, without what the clock put in."""
    found = {path.name: json.loads(path.read_text()) for path in sorted((folder / "rows").glob("*.json"))}
    clocked = ("seconds", "cpu_seconds", "gather_share")
    return {name: {key: v for key, v in record.items() if key not in clocked} for name, record in found.items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of S0's grid that ran to its end, both backends, in this process."""
    folder = tmp_path_factory.mktemp("sweep")
    result = run("--out", str(folder))
    assert result.exit_code == 0, result.output
    assert f"{2 * ROWS} trainings, 0 of them done before" in result.output
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "sweep"))


def test_every_setting_has_a_line_with_the_printed_figure_beside_both_backends(finished: Path) -> None:
    with (finished / "table.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["settings"] for line in lines] == [
        f"lr {s.learning_rate:.0e} reg {s.reg:g} hidden 4 epochs 1" for s in sources.grid("S0")
    ]
    printed = ["-" if s.printed is None else f"{s.printed:.3f}" for s in sources.grid("S0")]
    assert [line["source"] for line in lines] == printed
    for line in lines:
        for column in ("scratch", "torch", "scratch, test", "torch, test"):
            assert 0 <= float(line[column]) <= 1
    assert (finished / "heat_map_S0.png").stat().st_size > 0
    assert "Images: synthetic" in (finished / "table.md").read_text(encoding="utf-8")


def test_a_resumed_sweep_trains_what_is_missing_and_nothing_else(copied: Path) -> None:
    before = records(copied)
    files = sorted((copied / "rows").glob("*.json"))
    lost, kept = files[3], files[4]
    lost.unlink()
    stamp = kept.stat().st_mtime_ns
    result = run("--out", str(copied))
    assert result.exit_code == 0, result.output
    assert f"{2 * ROWS} trainings, {2 * ROWS - 1} of them done before" in result.output
    assert records(copied) == before
    assert kept.stat().st_mtime_ns == stamp


def test_another_seed_joins_the_same_table(copied: Path) -> None:
    result = run("--backend", "scratch", "--seed", "1", "--out", str(copied))
    assert result.exit_code == 0, result.output
    assert len(records(copied)) == 3 * ROWS
    table = (copied / "table.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + ROWS
    assert all("±" in line for line in table[1:])


def test_another_reading_of_a_grid_gets_lines_of_its_own(copied: Path) -> None:
    result = run("--backend", "scratch", "--batch-size", "200", "--lr-decay", "0.95", "--out", str(copied))
    assert result.exit_code == 0, result.output
    table = (copied / "table.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + 2 * ROWS
    assert sum("batch 200 decay 0.95" in line for line in table) == ROWS


def test_two_processes_find_what_one_does(finished: Path, tmp_path: Path) -> None:
    result = run("--backend", "scratch", "--parallel", "2", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    alone = {name: record for name, record in records(finished).items() if record["backend"] == "scratch"}
    assert records(tmp_path) == alone


def test_rows_of_other_images_are_refused(copied: Path) -> None:
    path = min((copied / "rows").glob("*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": "other images"}))
    result = run("--out", str(copied))
    assert result.exit_code == 2
    assert "other images" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--parallel", "0"), "parallel is 0"),
        (("--seeds", "0"), "seeds is 0"),
        (("--grids", "S9"), "S9"),
        (("--data", "no/such/folder"), "no/such/folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_used_ends_with_2_and_says_why(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    result = run(*arguments, "--out", str(tmp_path))
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
