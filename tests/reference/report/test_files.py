"""Results never replace what is not a result."""

import os
import socket

import pytest

from scratchproof.report.files import FileError, check_target, scripts, write

OURS = '{\n "format": "scratchproof-check",\n "version": 1\n}\n'


@pytest.mark.parametrize("content", ["def relu_forward(x): ...\n", "", "{}", ' {\n "format": "scratchproof-check"'])
def test_a_file_that_was_not_written_here_stays(tmp_path, content):
    file = tmp_path / "mine.py"
    file.write_text(content)
    for refuse in (lambda: check_target(file), lambda: write(file, OURS)):
        with pytest.raises(FileError, match="was not written by scratchproof"):
            refuse()
    assert file.read_text() == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_result_is_replaced_by_the_next(tmp_path):
    file = tmp_path / "results.json"
    check_target(file)
    assert not file.exists()
    write(file, OURS)
    check_target(file)
    write(file, OURS + "\n")
    assert file.read_text() == OURS + "\n"
    assert list(tmp_path.iterdir()) == [file]


def test_links_folders_pipes_sockets_and_devices_stay_what_they_are(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "target.json").write_text(OURS)
    (tmp_path / "link").symlink_to("target.json")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    before = {path: path.lstat().st_mode for path in tmp_path.iterdir()}
    for path in [*before, "/dev/null"]:
        if str(path).endswith(".json"):
            continue
        with pytest.raises(FileError, match="not a regular file"):
            check_target(tmp_path / path)
    assert {path: path.lstat().st_mode for path in tmp_path.iterdir()} == before


def test_what_cannot_be_written_is_told(tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        check_target(tmp_path / "no" / "such" / "results.json")
    with pytest.raises(FileError, match="File name too long"):
        check_target(tmp_path / ("x" * 300))
    with pytest.raises(FileError, match="cannot write"):
        check_target(tmp_path / "a\0b")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    file = tmp_path / "results.json"
    write(file, OURS)
    with pytest.raises(FileError, match="cannot write"):
        write(file, "\udc80")
    assert file.read_text() == OURS
    assert list(tmp_path.iterdir()) == [file]


def test_scripts_go_into_a_folder_one_a_quantity(sample, tmp_path):
    wrong = sample.result(quantity="dx", reproducer="# scratchproof: relu\nprint(1)\n")
    document = sample.document(sample.report("relu", wrong, sample.result(), {**wrong, "reproducer": "# other"}))
    written = scripts(tmp_path / "new", document)
    assert written == [tmp_path / "new" / "relu_dx.py"]
    assert written[0].read_text(encoding="utf-8").endswith("print(1)\n")
    assert scripts(tmp_path / "new", document) == written
    written[0].write_text("my own work", encoding="utf-8")
    with pytest.raises(FileError, match="was not written by scratchproof"):
        scripts(tmp_path / "new", document)
