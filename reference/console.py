"""The terminal as the commands see it: nothing printed is markup, and no width loses a verdict."""

import os
import sys
from typing import Any

PIPE = 120  # columns where the output is no terminal and COLUMNS says nothing: wide enough for every table


def console() -> Any:
    """A rich console on standard output that takes text as text. A reader who leaves ends the printing alone."""
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            forget_output()

    given = os.environ.get("COLUMNS", "")
    wide = sys.stdout.isatty() or (given.isdigit() and int(given) > 0)
    return Quiet(width=None if wide else PIPE, markup=False, highlight=False, emoji=False)


def forget_output() -> None:
    """Let everything that is still to be printed go nowhere: whoever read it has left (`| head`)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
