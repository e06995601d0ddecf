"""The README's examples print what the README shows, but for figures in their last place and torch's version."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent.joinpath("README.md").read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def lines(text):
    """The lines, without torch's version, measured figures and runs of spaces."""
    text = re.sub(r"against torch \S+", "against torch", text)
    text = re.sub(r"\d+(\.\d+)?e[+-]\d+", "#", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and line.strip() != "..."]


def run(*command, where):
    done = subprocess.run([sys.executable, *command], cwd=where, capture_output=True, text=True, timeout=300)
    return lines(done.stdout)


def test_the_first_example(tmp_path):
    tmp_path.joinpath("example.py").write_text(blocks("python")[0])
    assert run("example.py", where=tmp_path) == lines(blocks("text")[0])


def test_the_file_to_hand_in(tmp_path):
    code = next(block for block in blocks("python") if block.startswith("# mine.py"))
    tmp_path.joinpath("mine.py").write_text(code)
    shown = next(block for block in blocks("console") if "check mine.py" in block)
    printed = run("-m", "scratchproof", "check", "mine.py", "--device", "cpu", where=tmp_path)
    missing = [line for line in lines(shown) if not line.startswith("$") and line not in printed]
    assert not missing, printed


@pytest.mark.parametrize("name", re.findall(r"\]\((?!http)([\w/.]+)\)", README))
def test_what_it_points_to_is_there(name):
    assert Path(__file__).resolve().parent.parent.joinpath(name).exists()
