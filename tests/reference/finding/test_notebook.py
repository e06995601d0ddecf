"""A notebook's definitions are taken, what it runs is left out, and what cannot be read is told."""

import json

import pytest

from scratchproof.errors import InputError
from scratchproof.finding import notebook

CELLS = [
    "%matplotlib inline\nimport math\nLIMIT = 3",
    "def f(x):\n    return min(x, LIMIT) * math.pi",
    "raise SystemExit('a cell that is run')\ndef g(): return 1",
    "def broken(:",
]


def written(tmp_path, content):
    file = tmp_path / "layers.ipynb"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_functions_and_constants_are_there_and_nothing_is_run(tmp_path):
    cells = [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in CELLS]
    namespace = {}
    remarks = notebook.run(written(tmp_path, {"cells": [{"cell_type": "markdown", "source": "x"}, *cells]}), namespace)
    assert namespace["f"](5) > 9
    assert namespace["g"]() == 1
    assert remarks == ["layers.ipynb: skipped the cells 4 (SyntaxError)"]


def test_a_notebook_of_the_third_format_is_read(tmp_path):
    sheet = {"cells": [{"cell_type": "code", "input": "def f(): return 1"}]}
    namespace = {}
    assert notebook.run(written(tmp_path, {"worksheets": [sheet]}), namespace) == []
    assert namespace["f"]() == 1


@pytest.mark.parametrize("content", ["no json", "[]", "{}"])
def test_what_is_no_notebook_is_told(content, tmp_path):
    with pytest.raises(InputError, match="is not a notebook"):
        notebook.run(written(tmp_path, content), {})
