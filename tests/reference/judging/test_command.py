"""The command: what is printed, what is written, how it ends."""

import json

import pytest
from click.testing import CliRunner

from scratchproof.cli import main

REFERENCE = "import torch\ndef double(x):\n    return 2 * x\ndef get_inputs():\n    return [torch.rand(5, 7)]\n"


def run(*arguments):
    return CliRunner().invoke(main, ["judge", *map(str, arguments)])


@pytest.fixture
def files(tmp_path):
    (tmp_path / "reference.py").write_text(REFERENCE)
    (tmp_path / "right.py").write_text("def double(x):\n    return x + x\n")
    (tmp_path / "wrong.py").write_text("def double(x):\n    return x * 0\n")
    return tmp_path


def test_one_that_is_right_and_one_that_is_not(files):
    found = run(files / "right.py", "--against", f"{files / 'reference.py'}")
    assert (found.exit_code, found.output.split()[0]) == (0, "PASS")
    found = run(files / "wrong.py", "--against", files / "reference.py", "--seed", 3)
    assert found.exit_code == 1
    assert "seed 3" in found.output
    assert "FAIL zeros: it is all zeros" in found.output


def test_several_against_one_with_a_line_for_each(files):
    (files / "c").mkdir()
    for name in ("right.py", "wrong.py"):
        (files / name).rename(files / "c" / name)
    arguments = (files / "c", "--against", files / "reference.py", "--json-lines", files / "out.jsonl")
    found = run(*arguments)
    assert found.exit_code == 1
    assert "2 candidates: 1 PASS, 1 FAIL" in found.output
    lines = (files / "out.jsonl").read_text()
    assert sorted(json.loads(line)["score"] for line in lines.splitlines()) == [0.0, 1.0]
    assert run(*arguments).exit_code == 1
    assert (files / "out.jsonl").read_text() == lines


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nothing.py", "--against", "nothing.py"), "there is no nothing.py: give a file or a folder"),
        (("nothing.py",), "Missing option '--against'"),
        (("nothing.py", "--against", "x", "--scale", "half"), "neither a whole number from 1 nor auto"),
    ],
)
def test_misuse_is_one_line_and_exit_status_2(arguments, told):
    found = run(*arguments)
    assert found.exit_code == 2
    assert told in found.output
    assert len(found.output.splitlines()) == 1
