"""A file, a folder, a module: found, merged, kept quiet; and told in a line where there is nothing."""

import pytest

from scratchproof.finding.find import NotFound, find

NAMES = {"relu_forward", "affine_forward"}


def test_a_folder_gives_the_names_of_all_its_files_the_nearest_first(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "layers.py").write_text("def relu_forward(x): return 'top'\n")
    (tmp_path / "deep" / "more.py").write_text("def relu_forward(x): return 'deep'\ndef affine_forward(): pass\n")
    (tmp_path / "deep" / "data.py").write_text("raise SystemExit('not imported: it defines nothing of interest')\n")
    found = find(str(tmp_path), NAMES)
    assert found.module.relu_forward(0) == "top"
    assert callable(found.module.affine_forward)
    assert any("relu_forward is taken from" in remark for remark in found.remarks)


def test_a_file_of_a_folder_that_does_not_import_is_told_and_the_others_taken(tmp_path):
    (tmp_path / "a.py").write_text("def relu_forward(x): return 1\n")
    (tmp_path / "b.py").write_text("1 / 0\ndef affine_forward(x): pass\n")
    found = find(str(tmp_path), NAMES)
    assert found.module.relu_forward(0) == 1
    assert any("ZeroDivisionError" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("text", "fact"), [("1 / 0", "ZeroDivisionError"), ("def f(:", "SyntaxError"), ("exit()", "SystemExit")]
)
def test_why_a_file_does_not_import_is_told(text, fact, tmp_path):
    file = tmp_path / "layers.py"
    file.write_text(text)
    with pytest.raises(NotFound, match=fact):
        find(str(file), NAMES)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"holds no \.py file with anything to examine"):
        find(str(tmp_path), NAMES)


def test_nothing_that_is_printed_comes_out_and_latin_letters_are_read(tmp_path, capfd):
    file = tmp_path / "layers.py"
    file.write_bytes("import sys\nprint('caf\xe9')\nsys.stderr.write('x')\nvalue = 1\n".encode("latin-1"))
    assert find(str(file), NAMES).module.value == 1
    assert capfd.readouterr() == ("", "")
