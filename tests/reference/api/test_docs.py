"""Every example of docs/api.md and of a public docstring runs and gives what it says; importing costs nothing."""

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import scratchproof

ROOT = Path(__file__).parents[3]
PUBLIC = {name: getattr(scratchproof, name) for name in scratchproof.__all__}
WITH_EXAMPLES = [name for name in scratchproof.__all__ if ">>>" in (PUBLIC[name].__doc__ or "")]


def run(examples):
    told = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=told.append)
    return "".join(told)


def test_the_examples_of_the_page_run():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").replace("```python", "").replace("```", "")
    examples = doctest.DocTestParser().get_doctest(text, {}, "api.md", "api.md", 0)
    assert len(examples.examples) > 20
    assert run(examples) == ""


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_docstring_run(name):
    examples = doctest.DocTestParser().get_doctest(PUBLIC[name].__doc__, dict(PUBLIC), name, name, 0)
    assert run(examples) == ""


def test_every_public_function_has_an_example_and_every_public_name_is_on_the_page():
    functions = {name for name, value in PUBLIC.items() if not isinstance(value, type)}
    assert functions <= set(WITH_EXAMPLES)
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [name for name in PUBLIC if f"`{name}`" not in page and name != "Allowance"] == []


def test_all_lists_what_can_be_imported():
    tree = ast.parse((ROOT / "reference" / "__init__.py").read_text(encoding="utf-8"))
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(set(imported) - {"import_module", "TYPE_CHECKING", "Any"}) == sorted(scratchproof.__all__)
    assert set(scratchproof.__all__) <= set(dir(scratchproof))
    with pytest.raises(AttributeError, match="has no attribute 'examin'"):
        scratchproof.examin  # noqa: B018


def test_importing_takes_a_tenth_of_a_second_and_no_torch():
    code = "import sys, time; t = time.process_time(); import scratchproof; t = time.process_time() - t"
    command = [sys.executable, "-c", f"{code}; print(t, 'torch' in sys.modules, 'numpy' in sys.modules)"]
    seconds, *heavy = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert heavy == ["False", "False"]
    assert float(seconds) <= 0.1
