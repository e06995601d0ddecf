"""What CS231n and the write-ups print can be typed as it stands: the same names, options and order."""

import numpy as np
import pytest

from scratchproof.scratch import ConvNet, LinearClassifier, Solver, TwoLayerNet, XorNet


@pytest.fixture
def data():
    """Images of two brightnesses, float64 as CS231n's loader makes them."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 660)
    X = rng.standard_normal((660, 3, 4, 4)) + y[:, None, None, None]
    return {
        "X_train": X[:600], "y_train": y[:600], "X_val": X[600:630], "y_val": y[600:630],
        "X_test": X[630:], "y_test": y[630:],
    }  # fmt: skip


def test_the_single_run_of_s1(data, capsys):
    net = TwoLayerNet(input_dim=48, hidden_dim=50, num_classes=10, weight_scale=1e-3, reg=0.0)
    solver = Solver(
        net,
        data,
        update_rule="sgd",
        optim_config={
            "learning_rate": 1e-4,
        },
        lr_decay=0.95,
        num_epochs=5,
        batch_size=200,
        print_every=300,
    )
    solver.train()
    first, second, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("(Iteration 1 / 15) loss: 2.30")
    assert second.startswith("(Epoch 0 / 5) train acc: ")
    assert [line.split(")")[0] for line in others] == [f"(Epoch {epoch} / 5" for epoch in range(1, 6)]
    assert len(solver.loss_history) == 15
    assert net.params["W1"].shape == (48, 50)
    assert set(solver.best_params) == set(net.params) == {"W1", "b1", "W2", "b2"}
    net.params = solver.best_params
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc
    assert np.mean(np.argmax(net.loss(data["X_test"]), axis=1) == data["y_test"]) == solver.check_accuracy(
        data["X_test"], data["y_test"]
    )


def test_a_grid_of_s1_and_the_single_run_of_s3(data):
    """Only what is printed is passed: the rest are CS231n's defaults."""
    model = TwoLayerNet(48, hidden_dim=64, reg=10)
    solver = Solver(model, data, optim_config={"learning_rate": 1e-3}, num_epochs=2, verbose=False)
    solver.train()
    assert (solver.batch_size, solver.lr_decay, solver.update_rule) == (100, 1.0, "sgd")
    assert solver.model is model
    loss, grads = model.loss(data["X_train"], data["y_train"])
    assert loss > 0
    assert grads["W1"].shape == model.params["W1"].shape


@pytest.mark.parametrize("make", [TwoLayerNet, LinearClassifier, ConvNet, XorNet])
def test_without_a_generator_the_system_draws(make):
    first, second = make(), make()
    weights = [name for name in first.params if name.startswith("W")]
    assert all((first.params[name] != second.params[name]).any() for name in weights)


def test_an_old_name_is_not_kept_beside_the_new_one(data):
    with pytest.raises(TypeError, match="hidden"):
        TwoLayerNet(48, hidden=5)
    with pytest.raises(TypeError, match="config"):
        Solver(TwoLayerNet(48), data, config={})
