"""A path or a module: whoever has folders of our names must still get the package's own layers."""

import pytest

from scratchproof.finding.paths import is_path
from scratchproof.sandbox.find import find


@pytest.mark.parametrize(("spec", "path"), [("mine.py", True), ("a/b", True), ("hw", True), ("json", False)])
def test_what_is_a_path(spec, path, tmp_path, monkeypatch):
    (tmp_path / "hw").mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_path(spec) is path


def test_scratch_is_the_packages_own_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "layers.py").write_text("def relu_forward(x):\n    return 0 * x, x\n")
    monkeypatch.chdir(tmp_path)
    assert find("scratch").module.__name__ == "scratchproof.scratch"
