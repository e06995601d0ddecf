"""The Solver through its public door: what it draws, what it records, when it stops, what it refuses."""

import math

import numpy as np
import pytest

from scratchproof.scratch import DivergedError, LinearClassifier, Solver, TwoLayerNet


def make_data(seed, rows=70, features=6, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows + 30, features)).astype(dtype)
    y = X[:, :3].argmax(axis=1)
    return {"X_train": X[:rows], "y_train": y[:rows], "X_val": X[rows:], "y_val": y[rows:]}


def make_solver(seed=0, *, data=None, dtype=np.float64, net=None, **options):
    rng = np.random.default_rng(seed)
    net = net or TwoLayerNet(6, 9, 3, weight_scale=0.1, reg=1e-3, dtype=dtype, rng=rng)
    settings = {"num_epochs": 3, "batch_size": 16, "verbose": False, "optim_config": {"learning_rate": 0.1}}
    return Solver(net, data or make_data(seed, dtype=dtype), rng=rng, **settings | options)


class Recorder:
    """A stand-in for a net: keeps the batches it is shown; its one weight has slope 1."""

    def __init__(self, loss=1.0):
        self.params, self.seen, self.value = {"w": np.zeros(1)}, [], loss

    def loss(self, X, y, rng=None):
        self.seen.append((X.copy(), y.copy()))
        return self.value, {"w": np.ones(1)}

    def predict(self, X):
        return np.zeros(len(X), int)


def test_an_epoch_is_one_permutation_without_the_rows_that_fill_no_batch():
    data, net = make_data(3), Recorder()
    make_solver(data=data, net=net, num_epochs=2).train()
    assert len(net.seen) == 2 * (70 // 16)
    rows = {image.tobytes(): row for row, image in enumerate(data["X_train"])}
    epochs = [[rows[image.tobytes()] for X, _ in net.seen[i : i + 4] for image in X] for i in (0, 4)]
    assert all(len(set(epoch)) == 64 for epoch in epochs)
    assert epochs[0] != epochs[1]
    for X, y in net.seen:
        np.testing.assert_array_equal(y, data["y_train"][[rows[image.tobytes()] for image in X]])


def test_a_batch_larger_than_the_data_is_all_of_it():
    net = Recorder()
    solver = make_solver(net=net, batch_size=1000, num_epochs=2)
    solver.train()
    assert [len(X) for X, _ in net.seen] == [70, 70]
    assert solver.total == 2


def test_data_that_is_not_contiguous_gives_the_same_run():
    data = make_data(0)
    turned = data | {"X_train": np.asfortranarray(data["X_train"]), "X_val": data["X_val"][::-1][::-1]}
    solvers = make_solver(data=data), make_solver(data=turned)
    for solver in solvers:
        solver.train()
    assert solvers[0].loss_history == solvers[1].loss_history


@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "rmsprop", "adam"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_rule_learns_in_its_own_dtype(rule, dtype):
    rates = {"sgd": 0.5, "sgd_momentum": 0.1, "rmsprop": 0.02, "adam": 0.02}
    config = {"learning_rate": rates[rule]}
    solver = make_solver(dtype=dtype, update_rule=rule, optim_config=config, num_epochs=30)
    solver.train()
    assert solver.best_val_acc == max(solver.val_acc_history) > 0.7
    assert {w.dtype for w in solver.model.params.values()} == {np.dtype(dtype)}
    state = [value for config in solver.state.values() for value in config.values()]
    assert {value.dtype for value in state if isinstance(value, np.ndarray)} <= {np.dtype(dtype)}


def test_histories_cover_every_iteration_and_every_epoch_from_zero():
    calls = []
    solver = make_solver()
    solver.train(progress=lambda *call: calls.append(call))
    assert (solver.iteration, solver.epoch, solver.total) == (12, 3, 12)
    assert len(solver.loss_history) == 12
    assert len(solver.train_acc_history) == len(solver.val_acc_history) == 4
    assert calls == [(i + 1, 12, loss) for i, loss in enumerate(solver.loss_history)]


def test_the_best_parameters_are_kept_and_the_last_stay_in_the_net():
    solver = make_solver(num_epochs=20, optim_config={"learning_rate": 5.0})
    solver.train()
    last = {name: w.copy() for name, w in solver.model.params.items()}
    assert solver.val_acc_history[-1] < solver.best_val_acc
    solver.model.params.update(solver.best_params)
    assert solver.check_accuracy(solver.X_val, solver.y_val) == solver.best_val_acc
    assert any(not np.array_equal(last[name], solver.best_params[name]) for name in last)


def test_accuracy_of_more_rows_than_are_scored_at_a_time():
    solver = make_solver(net=Recorder())
    y = np.arange(2500) % 2
    assert solver.check_accuracy(np.zeros((2500, 6)), y) == 0.5


def test_the_training_sample_is_fixed_and_at_most_a_thousand_rows():
    class Counter(Recorder):
        def predict(self, X):
            rows.append(X.copy())
            return super().predict(X)

    rows = []
    make_solver(data=make_data(1, rows=1500), net=Counter(), num_epochs=2, batch_size=500).train()
    samples = rows[::2]  # the sample, then the validation rows, at epochs 0, 1, 2
    assert [len(sample) for sample in samples] == [1000] * 3
    assert len({sample.tobytes() for sample in samples}) == 1
    assert len(np.unique(samples[0], axis=0)) == 1000


def test_the_log_has_the_sources_format(capsys):
    solver = make_solver(verbose=True, print_every=5)
    solver.train()
    loss, train, val = solver.loss_history, solver.train_acc_history, solver.val_acc_history
    epoch = [f"(Epoch {i} / 3) train acc: {train[i]:.6f}; val_acc: {val[i]:.6f}" for i in range(4)]
    iteration = {i: f"(Iteration {i} / 12) loss: {loss[i - 1]:.6f}" for i in (1, 6, 11)}
    assert capsys.readouterr().out.splitlines() == [
        iteration[1],
        epoch[0],
        epoch[1],
        iteration[6],
        epoch[2],
        iteration[11],
        epoch[3],
    ]


def test_sgd_takes_the_decayed_and_scheduled_rate():
    """With slope 1 everywhere the weight falls by the sum of all rates: exact for powers of two."""
    asked = []

    def schedule(iteration, total):
        asked.append((iteration, total))
        return 0.5 if iteration % 2 else 1.0

    net = Recorder()
    solver = make_solver(net=net, optim_config={"learning_rate": 1.0}, lr_decay=0.5, lr_schedule=schedule)
    assert solver.learning_rate == 1.0
    asked.clear()
    solver.train()
    assert net.params["w"][0] == -(1 + 0.5 + 0.25) * (2 * 1.0 + 2 * 0.5)
    assert asked == [(i, 12) for i in range(12)]


def test_augment_sees_each_batch_and_may_write_it():
    def negate(X, rng):
        assert isinstance(rng, np.random.Generator)
        X *= -1
        return X

    data = make_data(0)
    before = data["X_train"].copy()
    plain, negated = Recorder(), Recorder()
    make_solver(data=data, net=plain).train()
    make_solver(data=data, net=negated, augment=negate).train()
    for (X, _), (minus_X, _) in zip(plain.seen, negated.seen, strict=True):
        np.testing.assert_array_equal(minus_X, -X)
    np.testing.assert_array_equal(data["X_train"], before)


def test_a_net_with_dropout_gets_the_rng():
    rng = np.random.default_rng(5)
    net = TwoLayerNet(6, 9, 3, weight_scale=0.1, dropout=(0.1, 0.3), rng=rng)
    solver = make_solver(net=net)
    solver.train()
    assert all(math.isfinite(loss) for loss in solver.loss_history)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(loss):
    net = Recorder()
    solver = make_solver(net=net, optim_config={"learning_rate": 0.25}, lr_decay=0.5)

    def diverge(iteration, total, _):
        net.value = loss if iteration == 4 else 1.0

    message = f"diverged at iteration 5, learning rate 0.125: loss is {loss}"
    with pytest.raises(DivergedError, match=message):
        solver.train(progress=diverge)
    assert isinstance(DivergedError("x"), ArithmeticError)
    assert len(solver.loss_history) == solver.iteration == 4
    assert net.params["w"][0] == -4 * 0.25


def test_too_large_a_step_diverges_without_a_warning():
    data = make_data(2, dtype=np.float32)
    rng = np.random.default_rng(0)
    net = LinearClassifier(6, 3, reg=10.0, dtype=np.float32, rng=rng)
    with pytest.raises(DivergedError, match="learning rate 1e\\+12"):
        make_solver(data=data, net=net, optim_config={"learning_rate": 1e12}, num_epochs=20).train()


def test_training_again_after_the_end_changes_nothing():
    solver = make_solver()
    solver.train()
    before = list(solver.loss_history)
    solver.train()
    assert solver.loss_history == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update_rule": "adamw"}, "no update rule is called 'adamw': choose sgd, sgd_momentum, rmsprop, adam"),
        ({"optim_config": {"lr": 1e-3}}, "sgd has no option 'lr'"),
        ({"optim_config": {"learning_rate": 0}}, "learning_rate is 0 but must be positive"),
        ({"batch_size": 0}, "batch_size is 0 but must be a whole number of at least 1"),
        ({"num_epochs": 1.5}, "num_epochs is 1.5 but must be a whole number"),
        ({"print_every": True}, "print_every is True but must be a whole number"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0 but must be a whole number"),
        ({"lr_decay": 0.0}, "lr_decay is 0.0 but must be positive and finite"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_solver(**options)


def test_a_schedule_that_gives_no_step_is_refused():
    with pytest.raises(ValueError, match=r"the factor from lr_schedule is 0\.0 but must be positive"):
        make_solver(lr_schedule=lambda iteration, total: 0.0).train()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_val": None}, "data has no 'X_val'"),
        ({"y_train": np.zeros(3, int)}, r"y_train has shape \(3,\) but X_train \(70, 6\)"),
        ({"X_val": np.zeros((0, 6)), "y_val": np.zeros(0, int)}, "they need one label a row, and a row"),
    ],
)
def test_data_that_does_not_fit_is_refused(change, message):
    data = {key: value for key, value in (make_data(0) | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        make_solver(data=data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_sgd_takes_the_fast_step_and_other_rules_the_plain_one(dtype):
    """The same run, once with the net itself and once with a subclass, which the fast step leaves alone."""

    class Plain(TwoLayerNet):
        pass

    rng = np.random.default_rng(5)
    data = {
        "X_train": rng.standard_normal((60, 11)).astype(dtype),
        "y_train": rng.integers(3, size=60),
        "X_val": rng.standard_normal((9, 11)).astype(dtype),
        "y_val": rng.integers(3, size=9),
    }
    losses, params = [], []
    for net_class in (TwoLayerNet, Plain):
        net = net_class(11, 7, 3, weight_scale=0.3, reg=0.1, dtype=dtype, rng=np.random.default_rng(1))
        solver = Solver(
            net,
            data,
            optim_config={"learning_rate": 0.2},
            num_epochs=3,
            batch_size=20,
            verbose=False,
            rng=np.random.default_rng(2),
        )
        solver.train()
        losses.append(np.array(solver.loss_history))
        params.append(net.params)
    # nine steps of a well-conditioned net: a few hundred roundings at the most
    allowed = 500 * np.finfo(dtype).eps
    assert np.abs(losses[0] - losses[1]).max() <= allowed
    assert all(np.abs(params[0][name] - params[1][name]).max() <= allowed for name in params[0])
    assert any((params[0][name] != params[1][name]).any() for name in params[0])  # two different ways indeed
