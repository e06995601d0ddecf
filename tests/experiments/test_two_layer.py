"""S1's log beside ours: in its order, with its figures, and on its own settings and images alone."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from scratchproof.experiments import two_layer
from scratchproof.experiments.sources import S1_LOG, S1_LOSSES


def fit(shift: float) -> Any:
    """A training of S1's length; its loss at iteration i is i + shift, its accuracies follow the epoch."""
    accuracies = [epoch / 10 + shift for epoch in range(6)]
    losses = [number + shift for number in range(1, 1226)]
    return SimpleNamespace(loss_history=losses, train_acc_history=accuracies, val_acc_history=accuracies)


def test_the_log_has_s1s_order_and_figures(capsys: pytest.CaptureFixture[str]) -> None:
    two_layer._show_log([fit(0.0), fit(0.0)])
    _, *lines = capsys.readouterr().out.splitlines()
    order = [re.match(r"(iteration|epoch) +(\d+):", line) for line in lines]
    assert [(found[1], int(found[2])) for found in order if found] == [
        *[("iteration", 1), ("epoch", 0), ("iteration", 101), ("iteration", 201), ("epoch", 1)],
        *[("iteration", 301), ("iteration", 401), ("epoch", 2), ("iteration", 501), ("iteration", 601)],
        *[("iteration", 701), ("epoch", 3), ("iteration", 801), ("iteration", 901), ("epoch", 4)],
        *[("iteration", 1001), ("iteration", 1101), ("iteration", 1201), ("epoch", 5)],
    ]
    printed = [float(line.split()[2]) for line in lines if line.startswith("iteration")]
    assert printed == list(S1_LOSSES)
    ours = [line.split("loss ")[1] for line in lines if line.startswith("iteration")]
    assert ours == [f"{number:.3f} ± 0.000" for number in range(1, 1202, 100)]
    for line, epoch in zip((line for line in lines if line.startswith("epoch")), S1_LOG, strict=True):
        assert f"{epoch.train:.3f}, {epoch.val:.3f}  train {epoch.epoch / 10:.3f} ± 0.000" in line
