"""Both backends train alike, and the settings of the write-ups are what they say."""

from dataclasses import replace

import numpy as np
import pytest

from scratchproof.experiments import recipe, sources
from scratchproof.experiments.sources import Setting, grid
from scratchproof.experiments.training import fit_two_layer
from scratchproof.experiments.xor import TwoLinear
from scratchproof.images.data import Split, cs231n_split, load

SMALL = Setting(hidden=8, learning_rate=1e-3, epochs=2, batch_size=50)


@pytest.fixture(scope="module")
def split() -> Split:
    return cs231n_split(load(), num_train=300, num_val=100)


def test_both_backends_see_the_same_first_loss(split: Split) -> None:
    """One start, one batch: the first losses differ by the rounding of float32 alone."""
    ours, theirs = (fit_two_layer(SMALL, split, seed=1, backend=name, device=d).loss_history for name, d in BACKENDS)
    assert abs(ours[0] - theirs[0]) <= 8 * np.finfo(np.float32).eps * abs(theirs[0])
    assert len(ours) == len(theirs) == 12


BACKENDS = (("scratch", "auto"), ("torch", "cpu"))


@pytest.mark.parametrize(("backend", "device"), BACKENDS)
def test_a_step_too_large_is_reported_not_raised(split: Split, backend: str, device: str) -> None:
    result = fit_two_layer(replace(SMALL, learning_rate=1e3), split, seed=0, backend=backend, device=device)
    assert result.diverged is not None
    assert "diverged at iteration" in result.diverged
    assert 0 <= result.test_acc <= 1


def test_the_grids_have_the_rows_and_figures_of_their_sources() -> None:
    assert [len(grid(name)) for name in ("S0", "S1", "S3", "S3-as-run")] == [8, 8, 16, 16]
    assert max(row.printed for row in grid("S1") if row.printed) == 0.521
    best = next(row for row in grid("S0") if row.printed == 0.506)
    assert (best.learning_rate, best.reg, best.hidden) == (1e-3, 0.0, 100)
    with pytest.raises(ValueError, match="no grid"):
        grid("S2")
    assert (len(sources.S1_LOG), len(sources.S1_LOSSES)) == (6, 13)


def test_what_a_source_leaves_out_has_cs231ns_default() -> None:
    """Batches of 100, no decay, ten epochs, no regularisation; S1's single run alone prints others."""
    for setting in (sources.SINGLE["S0"], sources.SINGLE["S3"], *grid("S0"), *grid("S1"), *grid("S3")):
        assert (setting.batch_size, setting.lr_decay) == (100, 1.0)
    assert (sources.SINGLE["S3"].hidden, sources.SINGLE["S3"].reg, sources.SINGLE["S3"].epochs) == (100, 0.0, 10)
    assert {setting.epochs for setting in grid("S1")} == {10}
    assert (sources.SINGLE["S1"].batch_size, sources.SINGLE["S1"].lr_decay) == (200, 0.95)
    meant, run = grid("S3"), grid("S3-as-run")
    assert [replace(setting, arrives=True) for setting in run] == list(meant)


def test_mirroring_turns_whole_images_and_nothing_else() -> None:
    X = np.arange(4 * 3 * 2 * 5, dtype=np.float32).reshape(4, 3, 2, 5)
    out = recipe.mirrored(X.copy(), np.random.default_rng(0))
    same = [bool((a == b).all()) for a, b in zip(out, X, strict=True)]
    turned = [bool((a == b[..., ::-1]).all()) for a, b in zip(out, X, strict=True)]
    assert all(a != b for a, b in zip(same, turned, strict=True))
    assert any(same)
    assert any(turned)


def test_the_learning_rate_rises_and_falls_to_nearly_zero() -> None:
    factors = [recipe.rise_and_fall(10, i, 100) for i in range(100)]
    assert all(0 < factor <= 1 for factor in factors)
    assert np.argmax(factors) == 9
    assert factors[99] == min(factors[10:])


def test_two_linear_layers_have_the_gradient_of_their_formula() -> None:
    """W1 enters the logit as X W1 W2: its gradient is Xᵀ dscores W2ᵀ."""
    net = TwoLinear(3, rng=np.random.default_rng(0))
    X, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0, 1])
    _, grads = net.loss(X, y)
    p = 1 / (1 + np.exp(-net.loss(X)))
    expected = X.T @ ((p - y) / 2)[:, None] @ net.params["W2"].T
    assert np.abs(grads["W1"] - expected).max() <= 8 * np.finfo(np.float64).eps * np.abs(expected).max()
