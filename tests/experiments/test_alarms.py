"""Right formulas that are not torch's own raise no alarm in any precision; with one bug each is caught."""

import pytest

from scratchproof import assert_passes
from scratchproof.experiments.alarms import STORIES, Config, main


@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", STORIES)
def test_a_right_formula_raises_no_alarm(name, precision):
    assert_passes(STORIES[name].examined(precision, seed=7))


@pytest.mark.parametrize("name", STORIES)
def test_the_same_with_one_bug_is_caught(name):
    report = STORIES[name].examined("float32", seed=7, right=False)
    assert not report.passed
    assert report.findings[0].severity == "value"


def test_the_experiment_counts_alarms_and_what_is_caught(tmp_path, capsys):
    assert not [name for name in STORIES if "," in name]  # they are given separated by commas
    config = Config(seeds=1, precisions="float64", stories="FFT convolution", out=str(tmp_path))
    (row,) = main(config)["metrics"]["stories"]
    assert (row["examined"], row["alarms"], row["caught"]) == (1, 0, 1)
    assert "0 alarms in 1 examinations" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no story is called 'Winograd'"):
        main(Config(stories="Winograd", out=str(tmp_path / "other")))
