"""The fused steps train as the plain ones do.

The truth is the plain step in extended precision. In the precision under test the fused step may be at most
three times as far from it as the plain step is, plus one rounding of every parameter a step.
"""

from typing import Any

import numpy as np
import pytest

from scratchproof import scratch
from scratchproof.scratch import ConvNet, FusedConvNet, FusedTwoLayerNet, TwoLayerNet, fuse, sgd

DTYPES = [np.float32, np.float64]
SHAPES: dict[str, tuple[int, ...]] = {"two_layer": (3, 4, 5), "wide": (40, 50), "convnet": (2, 9, 6)}
nets = pytest.mark.parametrize("name", SHAPES)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def make(name: str, dtype: Any, reg: float = 0.5) -> Any:
    """A small net; "wide" has a first matrix large enough for several blocks, and for float64's order."""
    options: dict[str, Any] = {"weight_scale": 0.1, "reg": reg, "dtype": np.float64, "rng": np.random.default_rng(3)}
    net: Any
    if name == "convnet":
        net = ConvNet((2, 9, 6), num_filters=4, filter_size=3, hidden_dim=7, num_classes=5, **options)
    else:
        net = TwoLayerNet(int(np.prod(SHAPES[name])), 150 if name == "wide" else 7, 5, **options)
    net.dtype = np.dtype(dtype)
    # the same starting point in every precision
    net.params = {key: value.astype(np.float32).astype(dtype) for key, value in net.params.items()}
    return net


def batches(name: str, dtype: Any, count: int) -> Any:
    rng = np.random.default_rng(4)
    for size in rng.integers(6, 9, count):
        yield rng.standard_normal((size, *SHAPES[name]), np.float32).astype(dtype), rng.integers(0, 5, size)


def train_plainly(net: Any, name: str, rate: float, count: int) -> list[float]:
    losses = []
    for X, y in batches(name, net.dtype, count):
        loss, grads = net.loss(X, y)
        losses.append(loss)
        for key, w in net.params.items():
            sgd(w, grads[key], {"learning_rate": rate})
    return losses


@dtypes
@nets
@pytest.mark.parametrize(("rate", "reg"), [(0.125, 0.0), (0.125, 0.5), (0.0625, 8.0), (0.125, 8.0), (0.25, 6.0)])
def test_the_fused_step_trains_as_the_plain_one(name: str, rate: float, reg: float, dtype: Any) -> None:
    truth, plain, net = (make(name, kind, reg) for kind in (np.longdouble, dtype, dtype))
    fused: Any = fuse(net)
    count = 25  # decay is 1, .94, .5, 0, -.5: the scale is folded in now and then, at once, or changes sign
    actual = [fused.step(X, y, rate) for X, y in batches(name, dtype, count)]
    expected, other = train_plainly(truth, name, rate, count), train_plainly(plain, name, rate, count)
    require_as_close(np.array(actual), np.array(other), np.array(expected), dtype, count)
    assert fused.settle() is net.params
    for key, w in net.params.items():
        assert w.dtype == dtype
        require_as_close(w, plain.params[key], truth.params[key], dtype, count)


def require_as_close(actual: Any, other: Any, truth: Any, dtype: Any, steps: int) -> None:
    roundings = steps * np.finfo(dtype).eps / 2 * np.abs(truth).max()  # every step rounds every parameter once
    allowed = 3 * np.abs(other - truth).max() + roundings
    assert np.abs(actual - truth).max() <= allowed


@dtypes
@nets
def test_parameters_are_up_to_date_after_every_settling(name: str, dtype: Any) -> None:
    net, often = make(name, dtype), make(name, dtype)
    fused: Any = fuse(net)
    reading: Any = fuse(often)
    plain = make(name, dtype)
    truth = make(name, np.longdouble)
    other, expected = train_plainly(plain, name, 0.125, 10), train_plainly(truth, name, 0.125, 10)
    losses = []
    for X, y in batches(name, dtype, 10):
        fused.step(X, y, 0.125)
        losses.append(reading.step(X, y, 0.125))
        assert all(np.isfinite(w).all() for w in reading.settle().values())
    require_as_close(np.array(losses), np.array(other), np.array(expected), dtype, 10)
    for key, w in fused.settle().items():
        require_as_close(w, plain.params[key], truth.params[key], dtype, 10)
        require_as_close(often.params[key], plain.params[key], truth.params[key], dtype, 10)


@dtypes
@nets
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_changes_nothing(name: str, bad: float, dtype: Any) -> None:
    net = make(name, dtype)
    fused: Any = fuse(net)
    before = {key: w.copy() for key, w in fused.settle().items()}
    (X, y), *_ = batches(name, dtype, 1)
    X[0] = bad
    assert not np.isfinite(fused.step(X, y, 0.125))
    for key, w in fused.settle().items():
        np.testing.assert_array_equal(w, before[key])


@nets
def test_a_step_only_reads_its_batch(name: str) -> None:
    fused: Any = fuse(make(name, np.float64))
    for X, y in batches(name, np.float64, 2):
        X.flags.writeable = y.flags.writeable = False
        fused.step(X, y, 0.125)


def test_fuse_knows_which_nets_have_a_fused_step() -> None:
    rng = np.random.default_rng(0)
    assert isinstance(fuse(make("two_layer", np.float32)), FusedTwoLayerNet)
    assert isinstance(fuse(make("convnet", np.float32)), FusedConvNet)
    assert fuse(scratch.XorNet(rng=rng)) is None
    assert fuse(scratch.LinearClassifier(12, 3, rng=rng)) is None
    dropping = TwoLayerNet(12, 4, 3, dropout=(0.0, 0.5), rng=rng)
    assert fuse(dropping) is None
    with pytest.raises(ValueError, match=r"dropout is \(0.0, 0.5\) but the fused step has none"):
        FusedTwoLayerNet(dropping)


@pytest.mark.parametrize("X", [np.zeros((2, 61)), np.zeros((2, 60), np.float32), np.zeros((2, 3, 4, 4))])
def test_a_batch_that_does_not_fit_is_refused(X: Any) -> None:
    fused: Any = fuse(make("two_layer", np.float64))
    with pytest.raises(ValueError, match="but the net needs float64 and 60 features a row"):
        fused.step(X, np.zeros(2, np.int64), 0.1)


@pytest.mark.parametrize("y", [np.zeros(2, np.int64), np.array([0, 4, 5]), np.array([0, -1, 2]), np.zeros(3)])
def test_labels_that_do_not_fit_are_refused_and_change_nothing(y: Any) -> None:
    net = make("two_layer", np.float64)
    fused: Any = fuse(net)
    before = {key: w.copy() for key, w in fused.settle().items()}
    with pytest.raises(ValueError, match=r"^y "):
        fused.step(np.zeros((3, 60)), y, 0.1)
    for key, w in fused.settle().items():
        np.testing.assert_array_equal(w, before[key])


@nets
def test_a_rate_of_numpys_own_changes_no_dtype(name: str) -> None:
    ours, theirs = make(name, np.float32), make(name, np.float32)
    for net, rate in ((ours, 0.125), (theirs, np.float64(0.125))):
        fused: Any = fuse(net)
        for X, y in batches(name, np.float32, 3):
            fused.step(X, y, rate)
        fused.settle()
    for key, w in ours.params.items():
        assert theirs.params[key].dtype == np.float32
        np.testing.assert_array_equal(theirs.params[key], w)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32, np.uint64])
@pytest.mark.parametrize("name", ["two_layer", "convnet"])
def test_labels_of_any_whole_number_type_are_the_same_labels(name: str, kind: Any) -> None:
    X = np.random.default_rng(0).standard_normal((100, *SHAPES[name]))
    y = np.random.default_rng(1).integers(0, 5, 100)
    losses = [fuse(make(name, np.float64)).step(X, labels, 0.1) for labels in (y, y.astype(kind))]  # type: ignore[union-attr]
    assert losses[0] == losses[1]
