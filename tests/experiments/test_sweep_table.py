"""What a sweep's table says of rows that did not go well."""

from scratchproof.experiments.sweep_table import cell


def test_a_diverging_row_keeps_its_figure_beside_the_word() -> None:
    lost = {"val_acc": 0.125, "test_acc": 0.25, "diverged": "diverged at iteration 7"}
    assert cell([lost, lost], "val_acc") == "0.125 ± 0.000, diverges 2 of 2"
    assert cell([lost | {"diverged": None}], "test_acc") == "0.250"
