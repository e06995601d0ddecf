"""The training of a stack: every net as the Solver has it, nets that leave, and resuming."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratchproof.experiments.batched.stack import Member
from scratchproof.experiments.batched.train import Machine, Training
from scratchproof.experiments.sources import Setting
from scratchproof.experiments.training import fit_two_layer
from scratchproof.images.data import Split
from scratchproof.scratch import CheckpointError

MEMBERS = [
    Member(hidden=6, learning_rate=0.5, epochs=2),
    Member(hidden=4, learning_rate=0.5, reg=0.01, lr_decay=0.5, epochs=3),
    Member(hidden=4, learning_rate=1e9, epochs=3),
]


@pytest.fixture(scope="module")
def split() -> Split:
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[Any, Any]:
        y = rng.integers(0, 3, count)
        X = rng.standard_normal((count, 2, 3, 3)) + y[:, None, None, None]
        return X.astype(np.float32), y

    (Xt, yt), (Xv, yv), (Xs, ys) = part(120), part(40), part(60)
    return Split(X_train=Xt, y_train=yt, X_val=Xv, y_val=yv, X_test=Xs, y_test=ys, mean_image=Xt[0],
                 class_names=("a", "b", "c"), description="three clouds")  # fmt: skip


def training(split: Split, **options: Any) -> Training:
    return Training(options.pop("members", MEMBERS), split, batch_size=10, rng=np.random.default_rng(1), **options)


@pytest.fixture(scope="module")
def trained(split: Split) -> Training:
    made = training(split)
    made.run()
    return made


def test_nets_leave_after_their_epochs_or_when_they_diverge(trained: Training) -> None:
    first, second, third = trained.outcomes
    assert [len(o.val_acc_history) for o in trained.outcomes] == [3, 4, 1]
    assert first.diverged is None
    assert second.diverged is None
    assert third.diverged is not None
    assert "epoch 1, learning rate 1e+09" in third.diverged
    assert not trained.left
    assert trained.net_epochs == 3 + 2 + 1
    assert trained.pace > 0
    assert second.val_acc == max(second.val_acc_history) > 0.5
    assert second.summary()["val_acc"] == second.val_acc


def test_the_machines_agree(split: Split) -> None:
    numpy, torch = (
        training(split, members=MEMBERS[:2], machine=Machine(engine=engine, precision="float64")).run()
        for engine in ("numpy", "torch")
    )
    assert numpy == torch


def test_a_member_ends_as_the_solver_alone_ends(split: Split) -> None:
    setting = Setting(hidden=5, learning_rate=0.5, reg=0.01, epochs=3, batch_size=10, lr_decay=0.9)
    fit = fit_two_layer(setting, split, seed=4, backend="scratch")
    rng = np.random.default_rng(4)
    rng.standard_normal(18 * 5 + 5 * 3)  # as the net alone draws its weights before its minibatches
    member = Member(hidden=5, learning_rate=0.5, reg=0.01, epochs=3, lr_decay=0.9, seed=4)
    (outcome,) = Training([member], split, batch_size=10, rng=rng).run()
    assert outcome.val_acc_history == fit.val_acc_history
    assert outcome.train_acc_history == fit.train_acc_history
    assert (outcome.test_acc, outcome.last_test_acc) == (fit.test_acc, fit.last_test_acc)


def test_a_resumed_training_ends_as_an_uninterrupted_one(split: Split, tmp_path: Path) -> None:
    def stop(_: Training) -> Any:
        raise KeyboardInterrupt

    def after(epochs: int, then: Callable[[Training], Any]) -> Callable[[Training], Any]:
        return lambda t: then(t) if t.epoch > epochs else ()

    whole = training(split, checkpoint=tmp_path / "whole").run()
    for done in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            training(split, checkpoint=tmp_path / "parts").run(after(done, stop))
    resumed = training(split, checkpoint=tmp_path / "parts")
    assert resumed.epoch == 2
    assert resumed.run() == whole
    with pytest.raises(CheckpointError, match="members"):
        training(split, members=MEMBERS[:2], checkpoint=tmp_path / "parts")


def test_who_is_dropped_trains_no_further(split: Split) -> None:
    outcomes = training(split).run(lambda t: [1] if t.epoch == 1 else [])
    assert [len(outcome.val_acc_history) for outcome in outcomes] == [3, 2, 1]


def test_what_cannot_be_is_refused(split: Split) -> None:
    with pytest.raises(ValueError, match="no net"):
        training(split, members=[])
    with pytest.raises(ValueError, match="engine"):
        Machine(engine="abacus")
    with pytest.raises(ValueError, match="NumPy has no bfloat16"):
        Machine(precision="bfloat16")
