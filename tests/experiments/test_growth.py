"""Growth is told a row a size, each from a process of its own."""

from scratchproof.experiments.growth import SMOKE, Config, main


def test_a_row_for_each_depth_and_width(tmp_path, capsys):
    rows = main(Config(**{**SMOKE, "depths": (1,), "widths": (8,)}, out=str(tmp_path / "run")))["metrics"]["rows"]
    assert [(row["depth"], row["width"], row["calls"], row["passed"]) for row in rows] == [(1, 8, 4, True)]
    assert rows[0]["parameters"] == 8 * 8 + 8 + 16
    assert "parameters  CPU s" in capsys.readouterr().out
