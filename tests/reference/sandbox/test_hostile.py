"""Hostile files: each ends in the verdict it is due, in time, and leaves nothing behind."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from scratchproof.exam.checks import examine
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.proxy import SandboxedSubject
from scratchproof.subjects.subject import SubjectError
from scratchproof.table.layers import row

HERE = Path(__file__).resolve().parents[2] / "strangers" / "hostile"
ENDLESS = Limits.of(1.0)
PATIENT = Limits.of(30.0)  # for what ends by itself: the machine may be busy

# What each file is due: layer, verdict, words of the message, limits.
DUE = {
    "spins": ("relu", "TIMEOUT", "still at work after 1 s", ENDLESS),
    "recurses_without_end": ("relu", "CRASH", "", PATIENT),
    "calls_exit": ("relu", "CRASH", "raised SystemExit", PATIENT),
    "leaves_at_once": ("relu", "CRASH", "backward ended its process with exit status 0", PATIENT),
    "last_word_at_exit": ("relu", "FAIL", "got", PATIENT),
    "segfaults": ("relu", "CRASH", "segmentation fault", PATIENT),
    "forks_for_ever": ("relu", "CRASH", "started more than 16 processes", PATIENT),
    "takes_ten_gigabytes": ("relu", "CRASH", "Unable to allocate 10.0 GiB", PATIENT),
    "returns_a_billion": ("relu", "FAIL", "out has shape (100000, 10000), 8,000,000,000 bytes: too large", PATIENT),
    "prints_for_ever": ("relu", "TIMEOUT", "still at work", ENDLESS),
    "leaves_threads_running": ("relu", "PASS", "", PATIENT),
    "builds_for_an_hour": ("TwoLayerNet", "TIMEOUT", "still at work", ENDLESS),
    "moves_the_furniture": ("relu", "PASS", "", PATIENT),
    "patches_the_judge": ("relu", "FAIL", "got", PATIENT),
    "searches_the_frames": ("relu", "FAIL", "got", PATIENT),
    "exception_without_words": ("relu", "CRASH", "Unspeakable: (its message cannot be had)", PATIENT),
    "shouts_in_escapes": ("relu", "CRASH", "ValueError: [2J ]0;owned [bold]ok[/bold]", PATIENT),
    "module_without_manners": ("relu", "CRASH", "RuntimeError: do not ask for relu_forward", PATIENT),
    "cache_within_itself": ("relu", "PASS", "", PATIENT),
    "writes_everywhere": ("relu", "CRASH", "something else than its answer", PATIENT),
    "closes_everything": ("relu", "CRASH", "ended its process", PATIENT),
    "fills_the_disk": ("relu", "CRASH", "wrote more than", PATIENT),
    "evil_numbers": ("relu", "CRASH", "raised", PATIENT),
    "dislikes_zero_cotangents": ("tanh", "FAIL", "nothing to pull back", PATIENT),
    "leaves_in_test_mode": ("TwoLayerNet", "FAIL", "loss(X) without labels raised SystemExit", PATIENT),
}


@pytest.fixture
def loaded():
    """Load a hostile file under limits; afterwards it is gone, and so is everything it started."""
    subjects = []

    def load(name, limits):
        subjects.append(SandboxedSubject(str(HERE / f"{name}.py"), limits=limits))
        return subjects[-1]

    yield load
    for subject in subjects:
        subject.close()


@pytest.mark.parametrize("name", DUE)
def test_a_hostile_file_gets_its_verdict_and_the_exam_goes_on(name, loaded):
    layer, verdict, words, limits = DUE[name]
    subject = loaded(name, limits)
    report = examine(subject, row(layer), "float64")
    assert report.verdict == verdict, [r.message for r in report.findings]
    assert any(words in r.message for r in report.findings) or not words
    assert all(r.message.isprintable() for r in report.findings)
    assert examine(subject, row("affine"), "float64").verdict in ("MISSING", "CRASH")


def test_what_cannot_be_loaded_is_told(loaded):
    with pytest.raises(SubjectError, match="cannot be loaded: ended its process with exit status 0"):
        loaded("leaves_on_import", PATIENT)


def test_a_layer_that_ran_out_of_time_is_not_waited_for_again(loaded):
    subject = loaded("spins", ENDLESS)
    examine(subject, row("relu"), "float64")
    began = time.monotonic()
    assert examine(subject, row("relu"), "float32").verdict == "TIMEOUT"
    assert time.monotonic() - began < ENDLESS.call


def test_nothing_is_left_running_and_nothing_written(loaded):
    subject = loaded("leaves_threads_running", PATIENT)
    examine(subject, row("relu"), "float64")
    folder = Path(os.readlink(f"/proc/{subject.process.pid}/cwd"))
    assert folder.is_dir()
    subject.close()
    assert not folder.exists()
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 3600" not in running.splitlines()


def test_every_hostile_file_is_tried():
    assert {path.stem for path in HERE.glob("*.py")} == {*DUE, "leaves_on_import"}
