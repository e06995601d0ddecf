"""Every cause of a difference is told from the others, and a right device shows rounding alone."""

import pytest

from scratchproof.experiments import attribution


@pytest.mark.parametrize(
    ("error", "spread", "coarse", "said"),
    [
        (0.5, 0.0, None, "rounding"),
        (0.5, 0.2, None, "rounding, in an order that changes"),
        (9.0, 8.0, 0.1, "an order that changes"),
        (9.0, 0.0, 0.1, "TF32"),
        (9.0, 0.0, 3.0, "a BUG: nothing explains it"),
        (9.0, 1.0, None, "a BUG: nothing explains it"),
    ],
)
def test_a_difference_has_the_simplest_cause_that_explains_it(
    error: float, spread: float, coarse: float | None, said: str
) -> None:
    assert attribution.because(error, spread, coarse) == said


def test_the_cpu_rounds_and_nothing_else(tmp_path) -> None:
    record = attribution.main(attribution.Config(out=str(tmp_path), device="cpu", **attribution.SMOKE))
    rows = record["metrics"]["rows"]
    assert {row["row"] for row in rows} == {"affine", "index_add"}
    assert {row["because"] for row in rows} == {"rounding"}
    assert 0 < max(row["error"] for row in rows) <= 1


def test_a_row_that_is_none_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="no row is called 'afine': choose from affine"):
        attribution.main(attribution.Config(out=str(tmp_path), device="cpu", only="afine"))
