"""Right code in many styles: there are enough, they pass, and the same with a mistake would not."""

import pytest

from scratchproof.exam.compare import Verdict
from scratchproof.experiments import styles
from scratchproof.experiments.right import STYLES
from scratchproof.experiments.styles import Config, main

ENOUGH = 60


def counted(tmp_path, **options):
    return main(Config(seeds=1, precisions="float32", out=str(tmp_path / "run"), **options))["metrics"]


def test_there_are_enough_and_no_two_are_the_same_code():
    assert len(STYLES) >= ENOUGH
    code = [tuple(sorted(map(id, functions.values()))) for functions in STYLES.values()]
    assert len(set(code)) == len(code)


def test_right_code_is_passed_and_counted(tmp_path, capsys):
    found = counted(tmp_path, layers="rmsprop,adam")
    assert found["alarms"] == []
    assert found["examined"] == found["styles"] == sum(layer in ("rmsprop", "adam") for layer, _ in STYLES)
    assert "0 alarms" in capsys.readouterr().out


def test_wrong_code_would_be_told(tmp_path, monkeypatch):
    def wrong(w, dw, config=None):
        return w - 0.02 * dw, config

    monkeypatch.setitem(styles.STYLES, ("rmsprop", "squares"), {"rmsprop": wrong})
    (alarm,) = counted(tmp_path, layers="rmsprop")["alarms"]
    assert alarm.startswith("rmsprop, squares, seed 0: rmsprop")


def test_what_is_not_there_is_an_alarm_too(tmp_path, monkeypatch):
    monkeypatch.setitem(styles.STYLES, ("rmsprop", "squares"), {})
    assert counted(tmp_path, layers="rmsprop")["alarms"] == [f"rmsprop, squares, seed 0: {Verdict.MISSING}"]


def test_a_layer_without_styles_is_refused(tmp_path):
    with pytest.raises(ValueError, match="layers is 'nothing'"):
        counted(tmp_path, layers="nothing")
