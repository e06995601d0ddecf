"""torch's side of training: the same batches, the same steps and the same records as the NumPy Solver."""

import numpy as np
import pytest
import torch

from scratchproof import scratch
from scratchproof.oracle.rounding import AMPLITUDE
from scratchproof.table import nets
from scratchproof.training.optim import DivergedError, TorchSolver, make_optimizer, set_rate
from scratchproof.training.oracle_run import RUNS, allowances, largest_difference
from scratchproof.vjp import PRECISIONS

RATES = {"sgd": 0.1, "sgd_momentum": 0.02, "rmsprop": 0.005, "adam": 0.005}
REG = 0.03


def make_data(seed, rows=60, shape=(7,), classes=3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows + 20, *shape))
    y = X.reshape(len(X), -1)[:, :classes].argmax(axis=1)
    return {"X_train": X[:rows], "y_train": y[:rows], "X_val": X[rows:], "y_val": y[rows:]}


def make_net(seed=0):
    return scratch.TwoLayerNet(7, 5, 3, weight_scale=0.3, reg=REG, rng=np.random.default_rng(seed))


def make_twin(params):
    return nets.from_params("two_layer", params)


def settings(rule="sgd", **changes):
    return {
        "update_rule": rule,
        "optim_config": {"learning_rate": RATES[rule]},
        "num_epochs": 3,
        "batch_size": 11,
        "verbose": False,
        "rng": np.random.default_rng(9),
        **changes,
    }


def torch_params(data, params, rule, **changes):
    solver = TorchSolver(make_twin(params), data, reg=REG, **settings(rule, **changes))
    solver.train()
    return nets.dump(solver.model), solver


@pytest.mark.parametrize("rule", RATES)
def test_both_solvers_take_the_same_steps_even_when_the_rate_changes(rule):
    data, net = make_data(0), make_net()
    changes = {"lr_decay": 0.5, "lr_schedule": lambda iteration, total: 1 - iteration / total}
    start = {name: w.copy() for name, w in net.params.items()}
    numpy_solver = scratch.Solver(net, data, **settings(rule, **changes))
    numpy_solver.train()
    expected, torch_solver = torch_params(data, start, rule, **changes)

    rng, unit = np.random.default_rng(1), PRECISIONS["float64"].unit
    disturbed = []
    for _ in range(RUNS):
        elsewhere = {n: w * (1 + AMPLITUDE * unit * rng.choice([-1, 1], w.shape)) for n, w in start.items()}
        disturbed.append(torch_params(data, elsewhere, rule, **changes)[0])
    allowed = allowances(expected, disturbed)
    for name in expected:
        assert largest_difference(net.params[name], expected[name]) <= allowed[name], name
    assert torch_solver.train_acc_history == numpy_solver.train_acc_history
    assert torch_solver.val_acc_history == numpy_solver.val_acc_history
    assert torch_solver.best_val_acc == numpy_solver.best_val_acc
    assert (torch_solver.iteration, torch_solver.epoch) == (numpy_solver.iteration, numpy_solver.epoch) == (15, 3)
    losses = np.float32(torch_solver.loss_history), np.float32(numpy_solver.loss_history)
    assert largest_difference(*losses) <= np.spacing(losses[0].max())


def test_both_draw_the_same_batches_and_samples():
    seen = {"numpy": [], "torch": []}

    def keep(which):
        return lambda X, rng: (seen[which].append((X.copy(), rng.random())), X)[1]

    data, net = make_data(2, rows=1100), make_net()
    twin = make_twin(net.params)
    changes = {"batch_size": 300, "num_epochs": 2}
    scratch.Solver(net, data, **settings(**changes, augment=keep("numpy"))).train()
    TorchSolver(twin, data, reg=REG, **settings(**changes, augment=keep("torch"))).train()
    assert len(seen["torch"]) == 6
    for (X, draw), (expected_X, expected_draw) in zip(seen["torch"], seen["numpy"], strict=True):
        np.testing.assert_array_equal(X, expected_X)
        assert draw == expected_draw


def test_momentum_keeps_the_rate_it_was_made_with():
    """Slope 1, momentum 1/2: v = -1, then -1/2 - 1/4; torch's own form would give -(1/2 + 1) / 4."""
    module = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))])
    (p,) = module.parameters()
    optimizer = make_optimizer("sgd_momentum", module, {"learning_rate": 1.0, "momentum": 0.5})
    for rate in (1.0, 0.25):
        p.grad = torch.ones_like(p)
        set_rate(optimizer, rate)
        optimizer.step()
    assert p.item() == -1.0 + (-0.5 - 0.25)


@pytest.mark.parametrize("rule", RATES)
def test_weights_decay_and_biases_do_not(rule):
    """With a slope of zero only the decay moves a parameter."""
    twin = make_twin(make_net().params)
    before = nets.dump(twin)
    for p in twin.parameters():
        p.data += 1.0
        p.grad = torch.zeros_like(p)
    optimizer = make_optimizer(rule, twin, {"learning_rate": 0.5}, reg=0.25)
    optimizer.step()
    for name, value in nets.dump(twin).items():
        moved = value != before[name] + 1.0
        assert moved.all() if name.startswith("W") else not moved.any()


def test_the_log_and_the_best_parameters(capsys):
    data = make_data(3)
    best, solver = torch_params(data, make_net().params, "adam", verbose=True, print_every=8)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == (
        f"(Epoch 0 / 3) train acc: {solver.train_acc_history[0]:.6f}; val_acc: {solver.val_acc_history[0]:.6f}"
    )
    assert lines[0] == f"(Iteration 1 / 15) loss: {solver.loss_history[0]:.6f}"
    assert lines[3] == f"(Iteration 9 / 15) loss: {solver.loss_history[8]:.6f}"
    assert solver.best_val_acc == max(solver.val_acc_history)
    nets.load(solver.model, solver.best_params)
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc
    assert set(best) == set(solver.best_params)


def test_every_twin_trains():
    rng = np.random.default_rng(4)
    bits = rng.integers(0, 2, (80, 2))
    xor = {"X_train": bits[:60] + 0.0, "y_train": bits[:60].sum(1) % 2}
    xor |= {"X_val": bits[60:] + 0.0, "y_val": bits[60:].sum(1) % 2}
    torch.manual_seed(0)
    cases = (
        (nets.xor_net(8).double(), xor, "logistic"),
        (nets.linear_classifier(7, 3).double(), make_data(5), "svm"),
        (nets.conv_net((2, 6, 4), 3, 3, 5, 3).double(), make_data(6, shape=(2, 6, 4)), "softmax"),
    )
    for net, data, loss in cases:
        options = settings("adam", num_epochs=150 if loss == "logistic" else 3, optim_config={"learning_rate": 0.02})
        solver = TorchSolver(net, data, loss=loss, **options)
        solver.train()
        assert solver.loss_history[-1] < solver.loss_history[0]
    solver = TorchSolver(cases[0][0], xor, loss="logistic", **settings("adam"))
    assert solver.check_accuracy(xor["X_val"], xor["y_val"]) == 1.0


def test_progress_is_called_and_divergence_is_named():
    calls = []
    data, net = make_data(7), make_net()
    solver = TorchSolver(make_twin(net.params), data, reg=REG, **settings())
    solver.train(progress=lambda *call: calls.append(call))
    assert calls == [(i + 1, 15, loss) for i, loss in enumerate(solver.loss_history)]
    wild = TorchSolver(make_twin(net.params), data, reg=REG, **settings(optim_config={"learning_rate": 1e200}))
    with pytest.raises(DivergedError, match=r"diverged at iteration \d+, learning rate 1e\+200: loss is"):
        wild.train()
    assert all(np.isfinite(wild.loss_history))


def test_read_only_data_is_trained_on_without_a_warning():
    data = make_data(8)
    for value in data.values():
        value.flags.writeable = False
    torch_params(data, make_net().params, "sgd")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_batches_are_the_same():
    data, params = make_data(0), make_net().params
    on_cpu = torch_params(data, params, "sgd")[1]
    solver = TorchSolver(make_twin(params), data, reg=REG, device="cuda", **settings())
    solver.train()
    losses = np.float32(solver.loss_history), np.float32(on_cpu.loss_history)
    assert largest_difference(*losses) <= np.spacing(losses[0].max())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update_rule": "adamw"}, "no update rule is called 'adamw': choose sgd"),
        ({"optim_config": {"lr": 1.0}}, "sgd has no option 'lr': it takes learning_rate"),
        ({"loss": "hinge"}, "no loss is called 'hinge': choose softmax, svm, logistic"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TorchSolver(make_twin(make_net().params), make_data(0), **settings() | options)
