"""The names that are read without importing torch are those of the rows."""

import subprocess
import sys

from scratchproof.names import names
from scratchproof.table.layers import EVERY_ROW


def test_every_row_is_named_and_nothing_else():
    assert set(names()) == {layer.name for layer in EVERY_ROW}


def test_torch_is_not_imported_for_it():
    code = "import sys; from scratchproof.names import names; names(); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
