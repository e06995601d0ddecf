"""The sweep: one table of both backends, resumable, the same in one process or two, and honest about its rows."""

import csv
import json
import os
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
    # what S0 printed of CIFAR-10 says nothing about these images, nor about 4 hidden units
    assert {line["source"] for line in lines} == {"-"}
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


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED = {
    "settings": (("--batch-size", "200"), "holds a run with batch_size None but batch_size is 200 here"),
    "experiment": ((), "holds a run with experiment xor but experiment is sweep here"),
    "images": ((), "holds a run with images others but images is synthetic"),
    "rows": ((), "holds rows of other images (others)"),
    "torn": ((), "is not whole: delete it"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_folder_of_something_else_is_refused_before_training_and_left_as_it_was(what: str, copied: Path) -> None:
    row = min((copied / "rows").glob("*.json"))
    if what in ("experiment", "images"):
        settings = json.loads((copied / "settings.json").read_text())
        changed = {"experiment": "xor", "images": "others"}[what]
        (copied / "settings.json").write_text(json.dumps(settings | {what: changed}))
    elif what == "rows":
        row.write_text(json.dumps(json.loads(row.read_text()) | {"images": "others"}))
    elif what == "torn":
        row.write_text(row.read_text()[:100])
    before = contents(copied)
    arguments, words = REFUSED[what]
    result = run("--seed", "7", *arguments, "--out", str(copied))
    assert result.exit_code == 2
    assert words in result.output
    assert "trainings" not in result.output
    assert contents(copied) == before


def test_rows_that_differ_in_what_does_not_arrive_are_the_same(tmp_path: Path) -> None:
    """S3 as run; and as meant, a regularisation of 10 and 20 does make a difference."""
    outputs = {}
    for name in ("S3-as-run", "S3"):
        result = run("--grids", name, "--backend", "scratch", "--out", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        outputs[name] = result.output
    told = [line for line in outputs["S3-as-run"].splitlines() if line.startswith("S3 as run: in ")]
    assert told == ["S3 as run: in 2 of 2 cases, rows that differ in reg alone end with the same parameters"]
    assert "S3 as run" not in outputs["S3"]
    digests = {name: {record["params_sha256"] for record in records(tmp_path / name).values()} for name in outputs}
    assert (len(digests["S3-as-run"]), len(digests["S3"])) == (2, 4)


def test_one_row_at_a_time_uses_one_core() -> None:
    """Whatever this process has loaded, BLAS or OpenMP, gets one thread, and so does what it will load."""
    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info()]

    before = threads()
    with sweep._one_thread():
        assert set(threads()) == {1}
        assert {os.environ[name] for name in sweep.THREADS} == {"1"}
    assert threads() == before


def test_two_processes_find_what_one_does(finished: Path, tmp_path: Path) -> None:
    result = run("--backend", "scratch", "--parallel", "2", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    alone = {name: record for name, record in records(finished).items() if record["backend"] == "scratch"}
    assert records(tmp_path) == alone


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


def test_nets_trained_together_join_the_table_beside_the_others(copied: Path) -> None:
    result = run("--backend", "batched", "--out", str(copied))
    assert result.exit_code == 0, result.output
    assert f"{ROWS} nets together" in result.output
    with (copied / "table.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == ROWS
    assert all(0 <= float(line["batched"]) <= 1 and 0 <= float(line["batched, test"]) <= 1 for line in lines)
    batched = [record for record in records(copied).values() if record["backend"] == "batched"]
    assert len(batched) == ROWS
    assert not list((copied / "unfinished").glob("batched*"))
    assert f"{ROWS} trainings, {ROWS} of them done before" in run("--backend", "batched", "--out", str(copied)).output
