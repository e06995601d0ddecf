"""The terminal: no markup, widths that lose nothing, and readers who leave."""

import os
import subprocess
import sys

import pytest

from scratchproof.console import PIPE, console


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("", PIPE), ("wide", PIPE), ("0", PIPE)])
def test_a_pipe_is_wide_unless_columns_says_otherwise(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == width


def test_what_is_printed_is_text(capsys):
    console().print("[bold]b[/bold] :smile: [/nonsense]")
    assert capsys.readouterr().out == "[bold]b[/bold] :smile: [/nonsense]\n"


def test_a_reader_who_leaves_ends_the_printing_and_nothing_else():
    code = "import sys; from scratchproof.console import console; c = console()"
    code += "\nfor _ in range(9): c.print('line')\nprint('work done', file=sys.stderr)"
    reading, writing = os.pipe()
    os.close(reading)
    found = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (found.returncode, found.stderr) == (0, "work done\n")
