"""The checkers people use: each passes right code and tells of a wrong gradient; they are counted and drawn."""

import pytest

from scratchproof.bank.mistakes import NAMED, subject_of
from scratchproof.experiments.checkers import Config, _told, main
from scratchproof.experiments.checkers_known import CHECKERS, Question
from scratchproof.table.layers import row

WRONG = next(slip for slip in NAMED if slip.name == "db a mean")


def question(slip, name):
    return Question(subject=subject_of(slip), layer=row(name))


@pytest.mark.parametrize("name", [name for name in CHECKERS if name != "scratchproof"])
def test_each_passes_right_code_and_tells_of_a_wrong_gradient(name):
    if "jax" in name:
        pytest.importorskip("jax")
    if "1e-7" not in name:  # which is narrower than the rounding of its own differences
        assert not _told(name, question(None, "affine"))
    assert _told(name, question(WRONG, "affine"))


def test_they_are_counted_and_drawn(tmp_path, capsys):
    config = Config(rows="tanh", every=3, seeds=1, checkers="fast,scratchproof", out=str(tmp_path))
    found = {r["checker"]: r for r in main(config)["metrics"]["checkers"]}
    assert found["scratchproof"]["named"] > 0
    assert found["scratchproof"]["alarms"] == 0
    assert (tmp_path / "checkers.png").exists()
    assert "false alarms" in capsys.readouterr().out


def test_a_word_that_chooses_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no checker is called 'tensorflow'"):
        main(Config(checkers="tensorflow", out=str(tmp_path)))
