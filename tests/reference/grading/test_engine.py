"""A run over many submissions, some of them hostile: every row right, nothing done twice, nobody left behind."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scratchproof.grading import engine
from scratchproof.grading.submissions import Conditions

STRANGERS = Path(__file__).resolve().parents[2] / "strangers"
RELU = "import numpy as np\ndef relu_forward(x): return np.maximum(x, 0), x\ndef relu_backward(dout, x): return {}\n"
GRADIENTS = {"right": "dout * (x > 0)", "wrong": "dout * (x < 0)"}
CONDITIONS = Conditions(layers=("relu",), precisions=("float64",), call=1.5, whole=30.0)
DUE = {
    "spins.py": "TIMEOUT",
    "segfaults.py": "CRASH",
    "leaves_threads_running.py": "PASS",
    "last_word_at_exit.py": "FAIL",
    **{f"right{i}.py": "PASS" for i in range(3)},
    **{f"wrong{i}.py": "FAIL" for i in range(3)},
    "a folder": "",
    "leaves_on_import.py": "",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Twelve submissions, graded by two workers, and the folder of the results."""
    submissions, out = tmp_path_factory.mktemp("submissions"), tmp_path_factory.mktemp("out") / "grades"
    for name in DUE:
        if (STRANGERS / "hostile" / name).is_file():
            shutil.copy(STRANGERS / "hostile" / name, submissions)
        elif name[:5] in GRADIENTS:
            (submissions / name).write_text(RELU.format(GRADIENTS[name[:5]]))
    (submissions / "a folder").mkdir()
    (submissions / "a folder" / "layers.py").write_text("raise SystemExit(0)\n")
    (submissions / "notes.txt").write_text("not a submission")
    return submissions, out, engine.run([submissions], out, CONDITIONS, workers=2)


def test_every_submission_has_its_row_and_its_verdict(graded):
    _, out, rows = graded
    assert {row.name: row.verdicts.get("relu", "") for row in rows} == DUE
    assert {row.name for row in rows if row.problem} == {"a folder", "leaves_on_import.py"}
    table = list(csv.DictReader((out / "index.csv").read_text().splitlines()))
    assert {line["submission"]: line["relu"] for line in table} == DUE
    index = (out / "index.html").read_text()
    assert all(row.name in index and (not row.page or (out / row.page).is_file()) for row in rows)


def test_a_run_continues_where_it_stopped_and_repeats_nothing(graded, monkeypatch):
    submissions, out, rows = graded
    records = {path: path.stat().st_mtime_ns for path in (out / "records").iterdir()}
    assert len(records) == len(DUE)
    monkeypatch.setattr(engine, "_Worker", None)  # there is nothing to do for one
    assert engine.run([submissions], out, CONDITIONS) == rows
    assert {path: path.stat().st_mtime_ns for path in records} == records


@pytest.mark.parametrize("change", ["source", "conditions", "half a record"])
def test_what_has_changed_is_graded_again(graded, tmp_path, change):
    submissions, out, _ = graded
    shutil.copytree(submissions, tmp_path / "s")
    shutil.copytree(out, tmp_path / "o")
    conditions = CONDITIONS
    record = tmp_path / "o" / "records" / "right0.py.json"
    if change == "source":
        (tmp_path / "s" / "right0.py").write_text("# another")
    elif change == "conditions":
        conditions = Conditions(seed=CONDITIONS.seed + 1)
    else:
        record.write_text(record.read_text()[:100])
    tasks = {task.name: task for task in engine.tasks([tmp_path / "s"], tmp_path / "o")}
    assert engine.done_before(tasks["right0.py"], conditions) is None
    assert (engine.done_before(tasks["right1.py"], conditions) is None) == (change == "conditions")


def test_nothing_of_a_run_is_left(graded):
    running = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True).stdout
    ours = [line for line in running.splitlines() if line.split()[0] in ("1", str(os.getpid()))]  # or nobody's any more
    assert not [line for line in ours if "scratchproof.grading" in line or line.endswith("sleep 3600")]


def test_a_worker_that_dies_is_replaced_and_its_submission_told(tmp_path, monkeypatch):
    """Workers that die over one submission, and answer the others at once."""
    worker = """
import json, sys
sys.stdin.readline()
for line in sys.stdin:
    task = json.loads(line)
    if task["name"] == "b.py":
        sys.exit(3)
    open(task["record"], "w").write('{"problem": ""}')
    print(json.dumps(task["name"]), flush=True)
"""
    monkeypatch.setattr(engine, "WORKER", [sys.executable, "-c", worker])
    monkeypatch.setattr(engine, "_row", lambda task, out: json.loads(task.record.read_text())["problem"])
    monkeypatch.setattr(engine, "index_csv", lambda rows: "submission,points,of,seconds,problem,")
    monkeypatch.setattr(engine, "index_page", lambda rows: "<!doctype html>\n<!-- scratchproof-index -->")
    for name in "abc":
        (tmp_path / f"{name}.py").write_text("")
    problems = engine.run([tmp_path], tmp_path / "out", CONDITIONS, workers=1)
    assert [bool(problem) for problem in problems] == [False, True, False]
    lost = next(task for task in engine.tasks([tmp_path], tmp_path / "out") if task.name == "b.py")
    assert lost.record.is_file()
    assert engine.done_before(lost, CONDITIONS) is None


def test_a_mapping_says_for_all_submissions_how_they_answer(tmp_path):
    submissions = tmp_path / "submissions"
    submissions.mkdir()
    (submissions / "ours.py").write_text(RELU.replace("relu_", "act_").format(GRADIENTS["right"]))
    mapping = {"relu": {"forward": "act_forward", "backward": "act_backward"}}
    conditions = Conditions(layers=("relu",), precisions=("float64",), effort="quick", mapping=mapping)
    (row,) = engine.run([submissions], tmp_path / "out", conditions, workers=1)
    assert row.verdicts == {"relu": "PASS"}
