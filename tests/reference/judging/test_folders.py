"""Folders of candidates: who belongs to whom, what is kept, what is not done again."""

import json
import sys

import pytest

from scratchproof.errors import InputError
from scratchproof.judging import folders
from scratchproof.judging.folders import Pair, done_before, judged, lost, pairs


def place(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_a_candidate_belongs_to_the_reference_of_its_name_or_of_its_folders(tmp_path):
    references = place(tmp_path / "r", "one.py", "two.py")
    candidates = place(tmp_path / "c", "one.py", "two/a.py", "two/b.py", "three.py")
    found, alone = pairs(candidates, references)
    told = [(pair.candidate.relative_to(candidates).as_posix(), pair.reference.stem) for pair in found]
    assert sorted(told) == [("one.py", "one"), ("two/a.py", "two"), ("two/b.py", "two")]
    assert [file.name for file in alone] == ["three.py"]
    assert len(pairs(candidates, references / "one.py")[0]) == 4


def test_what_does_not_go_together_is_told(tmp_path):
    place(tmp_path, "r/one.py", "c/two.py")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="give candidates their names"):
        pairs(tmp_path / "c", tmp_path / "r")
    with pytest.raises(InputError, match=r"holds no \.py file"):
        pairs(tmp_path / "c", tmp_path / "empty")


def test_a_record_stands_for_both_texts_and_the_options(tmp_path):
    place(tmp_path, "one.py", "two.py")
    pair = Pair(candidate=tmp_path / "one.py", reference=tmp_path / "two.py")
    before = pair.digest({"seed": 1})
    assert pair.digest({"seed": 2}) != before
    (tmp_path / "two.py").write_text("changed")
    assert pair.digest({"seed": 1}) != before


def test_what_is_done_is_not_done_again_and_a_line_that_was_cut_off_is(tmp_path):
    place(tmp_path, "one.py", "two.py")
    pair = Pair(candidate=tmp_path / "one.py", reference=tmp_path / "two.py")
    lines = tmp_path / "out.jsonl"
    record = {**lost("one.py", "two.py", "kept"), "digest": pair.digest({})}
    lines.write_text(json.dumps(record) + '\n{"digest": "cut')
    assert list(done_before(lines)) == [record["digest"]]
    assert list(judged([pair], {}, 1, lines)) == [record]


def test_a_reference_that_cannot_be_used_has_its_record_on_a_line_of_its_own(tmp_path):
    (tmp_path / "one.py").write_text("x = 1")
    lines = tmp_path / "out.jsonl"
    lines.write_text('{"digest": "cut')
    pair = Pair(candidate=tmp_path / "one.py", reference=tmp_path / "one.py")
    (record,) = judged([pair], {}, 1, lines)
    assert "is no problem" in record["problem"]
    assert record["score"] is None
    assert json.loads(lines.read_text().splitlines()[-1]) == record


def test_what_died_is_judged_again(tmp_path, monkeypatch):
    place(tmp_path, "one.py", "two.py")
    pair = Pair(candidate=tmp_path / "one.py", reference=tmp_path / "two.py")
    monkeypatch.setattr(folders, "WORKER", [sys.executable, "-S", "-c", "pass"])
    lines = tmp_path / "out.jsonl"
    for asked in (1, 2):
        (record,) = judged([pair], {}, 1, lines)
        assert "ended without a word" in record["problem"]
        assert len(lines.read_text().splitlines()) == asked
    assert done_before(lines) == {}
