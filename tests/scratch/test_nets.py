"""Nets against numbers worked by hand, differences over every parameter, and the promises every net makes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratchproof.scratch import ConvNet, LinearClassifier, Net, TwoLayerNet, XorNet, three_layer_forward

DTYPES = [np.float32, np.float64]
rng = np.random.default_rng


# ---------------------------------------------------------------- worked by hand


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_layer_net_gives_the_worked_example_to_the_digit(dtype: Any) -> None:
    net = TwoLayerNet(2, 2, 2, reg=2, dtype=dtype, rng=rng(0))
    W1, W2 = np.array([[1, -1], [1, 1]], dtype), np.array([[1, 0], [0, 3]], dtype)
    net.params.update(W1=W1, W2=W2)
    X, y = np.array([[1, 2]], dtype), np.array([0])
    # hidden (3, 1), scores (3, 3), probabilities (1/2, 1/2)
    np.testing.assert_array_equal(net.loss(X), [[3, 3]])
    loss, grads = net.loss(X, y)
    assert loss == np.log(dtype(2)) + (4 + 10)
    np.testing.assert_array_equal(grads["W2"], np.array([[-1.5, 1.5], [-0.5, 0.5]]) + 2 * W2)
    np.testing.assert_array_equal(grads["b2"], [-0.5, 0.5])
    np.testing.assert_array_equal(grads["W1"], np.array([[-0.5, 1.5], [-1, 3]]) + 2 * W1)
    np.testing.assert_array_equal(grads["b1"], [-0.5, 1.5])


def test_linear_classifier_with_the_svm_loss_gives_the_worked_example_to_the_digit() -> None:
    net = LinearClassifier(2, 3, loss="svm", reg=1, rng=rng(0))
    net.params.update(W=np.array([[1.0, 0, 2], [0, 1, -1]]), b=np.array([0.0, 0, 1]))
    X, y = np.array([[1.0, 2], [2, 0]]), np.array([1, 2])
    np.testing.assert_array_equal(net.loss(X), [[1, 2, 1], [2, 0, 5]])
    # margins: (0, 0, the right class again): both exactly at the kink; then (-2, -4)
    loss, grads = net.loss(X, y)
    assert loss == 0.5 * 7
    np.testing.assert_array_equal(grads["W"], net.params["W"])
    np.testing.assert_array_equal(grads["b"], [0, 0, 0])
    # the labels moved by one: rows lose (2 + 1) and (3 + 6)
    loss, grads = net.loss(X, np.array([0, 1]))
    assert loss == (3 + 9) / 2 + 0.5 * 7
    np.testing.assert_array_equal(grads["b"], [-1 + 0.5, 0.5 - 1, 1])
    np.testing.assert_array_equal(grads["W"] - net.params["W"], [[-1 + 1, 0.5 - 2, 0.5 + 1], [-2, 1, 1]])


def test_xor_net_with_saturated_units_computes_exclusive_or() -> None:
    net = XorNet(hidden_dim=2, rng=rng(0))
    # tanh units as gates: "at least one" and "both"; 2 one - 2 both - 1 is 3 on exclusive or, -1 elsewhere
    net.params.update(
        W1=np.array([[100.0, 100], [100, 100]]),
        b1=np.array([-50.0, -150]),
        W2=np.array([[2.0], [-2]]),
        b2=np.array([-1.0]),
    )
    X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    np.testing.assert_array_equal(net.loss(X), [-1, 3, 3, -1])
    np.testing.assert_array_equal(net.predict(X), y)
    np.testing.assert_array_equal(net.probability(X) > 0.5, y == 1)
    # two rows at the logit 3 and two at -1, each on its right side
    assert net.loss(X, y)[0] == (np.log1p(np.exp(-1.0)) + np.log1p(np.exp(-3.0))) / 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_three_layer_forward_on_columns(dtype: Any) -> None:
    x = np.array([[1, -1], [0, 2], [5, -3]], dtype)
    # the first layer is (1/2, 1/2, 1/2, sign of x[2] as 1 or 0), the second (1, 0, 1/2, the same again)
    W1, b1 = np.zeros((4, 3), dtype), np.zeros((4, 1), dtype)
    W1[3, 2] = 1e4
    W2, b2 = np.zeros((4, 4), dtype), np.array([[1e4], [-1e4], [0], [-1e4]], dtype)
    W2[3, 3] = 2e4
    W3, b3 = np.array([[8, 16, 32, 64]], dtype), np.array([[-100]], dtype)
    out = three_layer_forward(x, W1, b1, W2, b2, W3, b3)
    np.testing.assert_array_equal(out, [[8 + 16 + 64 - 100, 8 + 16 - 100]])  # no activation at the output
    assert out.dtype == dtype


def test_two_linear_layers_would_be_one() -> None:
    # with every hidden unit active, relu passes all: W2 (W1 x + b1) + b2 collapses
    generator = rng(0)
    W1, W2 = (generator.integers(1, 4, shape).astype(float) for shape in ((3, 4), (4, 2)))
    net = TwoLayerNet(3, 4, 2, rng=rng(0))
    net.params.update(W1=W1, W2=W2, b1=np.ones(4))
    X = generator.integers(0, 5, (6, 3)).astype(float)
    np.testing.assert_array_equal(net.loss(X), X @ (W1 @ W2) + np.ones(4) @ W2)


# ---------------------------------------------------------------- what all nets share

NETS: dict[str, Callable[[Any], Net]] = {
    "softmax": lambda dtype: LinearClassifier(6, 3, weight_scale=0.5, reg=0.3, dtype=dtype, rng=rng(1)),
    "svm": lambda dtype: LinearClassifier(6, 3, loss="svm", weight_scale=0.5, reg=0.3, dtype=dtype, rng=rng(1)),
    "two_layer": lambda dtype: TwoLayerNet(6, 5, 3, weight_scale=0.5, reg=0.3, dtype=dtype, rng=rng(1)),
    "xor": lambda dtype: XorNet(5, dtype=dtype, rng=rng(1)),
    "convnet": lambda dtype: ConvNet((2, 6, 4), 3, 3, 5, 3, weight_scale=0.3, reg=0.3, dtype=dtype, rng=rng(1)),
}
INPUTS = {"xor": (2,), "convnet": (2, 6, 4), "two_layer": (1, 3, 2)}
nets = pytest.mark.parametrize("name", NETS)


def example(name: str, dtype: Any = np.float64, rows: int = 4) -> tuple[Net, Any, Any]:
    """A net with random biases too, and a batch for it."""
    generator, net = rng(2), NETS[name](dtype)
    for key, value in net.params.items():
        if key.startswith("b"):
            net.params[key] = generator.standard_normal(value.shape).astype(dtype)
    X = generator.standard_normal((rows, *INPUTS.get(name, (6,)))).astype(dtype)
    return net, X, generator.integers(2 if name == "xor" else 3, size=rows)


@nets
def test_gradients_agree_with_differences(name: str, require_gradient: Callable[..., None]) -> None:
    net, X, y = example(name)
    _, grads = net.loss(X, y)
    assert list(grads) == list(net.params)

    for key, value in list(net.params.items()):

        def loss(w: Any, key: str = key) -> Any:
            net.params[key] = w
            return np.asarray(net.loss(X, y)[0])

        require_gradient(loss, value, np.ones(()), grads[key])
        net.params[key] = value


@nets
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 4])
def test_one_dtype_runs_through_the_whole_net(name: str, dtype: Any, rows: int) -> None:
    net, X, y = example(name, dtype, rows)
    loss, grads = net.loss(X, y)
    assert net.dtype == dtype
    assert type(loss) is dtype
    assert net.loss(X).dtype == dtype
    assert {key: (g.shape, g.dtype) for key, g in grads.items()} == {
        key: (w.shape, np.dtype(dtype)) for key, w in net.params.items()
    }


@nets
def test_scores_are_what_the_labels_are_predicted_from(name: str) -> None:
    net, X, _ = example(name)
    scores, labels = net.loss(X), net.predict(X)
    assert scores.shape == ((4,) if name == "xor" else (4, 3))
    np.testing.assert_array_equal(labels, scores > 0 if name == "xor" else scores.argmax(axis=1))
    assert labels.dtype == np.int64
    assert net.loss(X[:0]).shape == (0, *scores.shape[1:])


@nets
def test_nothing_that_is_given_is_written_or_handed_out(name: str) -> None:
    net, X, y = example(name)
    held = [X, y, *net.params.values()]
    before = [value.copy() for value in held]
    for value in held:
        value.setflags(write=False)
    _, grads = net.loss(X, y)
    for value, copy in zip(held, before, strict=True):
        np.testing.assert_array_equal(value, copy)
    fresh = [net.loss(X), *grads.values()]
    for i, value in enumerate(fresh):
        assert not any(np.shares_memory(value, other) for other in [*held, *fresh[:i]])


@nets
def test_the_same_call_gives_the_same_bits(name: str) -> None:
    net, X, y = example(name)
    (loss, grads), (again, grads_again) = net.loss(X, y), net.loss(X, y)
    assert again == loss
    for key, value in grads.items():
        np.testing.assert_array_equal(grads_again[key], value)


@pytest.mark.parametrize("name", ["softmax", "svm", "two_layer", "convnet"])
def test_regularisation_adds_half_the_squared_weights_and_spares_biases(name: str) -> None:
    net, X, y = example(name)
    loss, grads = net.loss(X, y)
    net.reg = 0.0
    bare, bare_grads = net.loss(X, y)
    assert loss == bare + 0.5 * 0.3 * sum(np.vdot(w, w) for key, w in net.params.items() if key[0] == "W")
    for key, w in net.params.items():
        np.testing.assert_array_equal(grads[key], bare_grads[key] + 0.3 * w if key[0] == "W" else bare_grads[key])


@nets
def test_a_seed_fixes_the_start_and_float32_is_float64_rounded(name: str) -> None:
    double, again, single = NETS[name](np.float64), NETS[name](np.float64), NETS[name](np.float32)
    for key, value in double.params.items():
        np.testing.assert_array_equal(again.params[key], value)
        np.testing.assert_array_equal(single.params[key], value.astype(np.float32))
        assert value.any() == key.startswith("W")  # biases start at zero


def test_default_sizes_are_those_of_cifar10() -> None:
    shapes = {key: w.shape for key, w in TwoLayerNet(rng=rng(0)).params.items()}
    assert shapes == {"W1": (3072, 100), "b1": (100,), "W2": (100, 10), "b2": (10,)}
    assert LinearClassifier(rng=rng(0)).params["W"].shape == (3072, 10)
    shapes = {key: w.shape for key, w in ConvNet(rng=rng(0)).params.items()}
    assert list(shapes) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert shapes["W1"] == (32, 3, 7, 7)
    assert shapes["W2"] == (32 * 16 * 16, 100)


# ---------------------------------------------------------------- dropout in the two-layer net


def dropout_net(*dropout: float) -> tuple[TwoLayerNet, Any, Any]:
    net = TwoLayerNet(40, 30, 3, weight_scale=0.3, dropout=(dropout[0], dropout[1]), rng=rng(1))
    return net, rng(2).standard_normal((8, 40)), rng(3).integers(3, size=8)


def test_dropout_is_for_training_only() -> None:
    net, X, y = dropout_net(0.5, 0.5)
    plain, _, _ = dropout_net(0, 0)
    np.testing.assert_array_equal(net.loss(X), plain.loss(X))
    np.testing.assert_array_equal(net.loss(X, rng=rng(0)), plain.loss(X))
    assert net.loss(X, y, rng=rng(0))[0] != plain.loss(X, y)[0]
    assert plain.loss(X, y, rng=rng(0))[0] == plain.loss(X, y)[0]


def test_dropout_draws_its_masks_from_the_rng_it_is_given() -> None:
    net, X, y = dropout_net(0.1, 0.3)
    assert net.loss(X, y, rng=rng(7))[0] == net.loss(X, y, rng=rng(7))[0] != net.loss(X, y, rng=rng(8))[0]
    with pytest.raises(ValueError, match=r"dropout is \(0.1, 0.3\) but loss\(X, y\) got no rng"):
        net.loss(X, y)


@pytest.mark.parametrize("dropout", [(0.25, 0.0), (0.0, 0.25), (0.25, 0.5)])
def test_gradients_under_dropout_agree_with_differences(
    dropout: tuple[float, float], require_gradient: Callable[..., None]
) -> None:
    net, X, y = dropout_net(*dropout)
    _, grads = net.loss(X, y, rng=rng(7))
    for key in ("b1", "W2"):
        value = net.params[key]

        def loss(w: Any, key: str = key) -> Any:
            net.params[key] = w
            return np.asarray(net.loss(X, y, rng=rng(7))[0])

        require_gradient(loss, value, np.ones(()), grads[key])
        net.params[key] = value


def test_dropout_drops_the_share_that_was_asked_for_and_scales_the_rest() -> None:
    net = TwoLayerNet(1000, 1, 2, dropout=(0.25, 0.0), rng=rng(0))
    net.params.update(W1=np.full((1000, 1), 0.75), W2=np.array([[1.0, 0.0]]))
    X, y = np.ones((1, 1000)), np.array([1])
    loss, grads = net.loss(X, y, rng=rng(1))
    # dW1 = xᵀ dh: 0 where an input was dropped, one and the same number where it was kept and scaled
    values, counts = np.unique(grads["W1"], return_counts=True)
    assert list(values) == [0, 1 / 0.75]  # the score of the wrong class is far ahead: its gradient is 1
    # 1,000 draws stray from 750 by a deviation of 13.7: five times that is allowed
    assert abs(counts[1] - 750) < 5 * np.sqrt(1000 * 0.25 * 0.75)
    assert loss == counts[1]  # each kept input brings 0.75 / 0.75 to that score


# ---------------------------------------------------------------- refusals

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "X of another dtype": (
        lambda: TwoLayerNet(6, rng=rng(0), dtype=np.float32).loss(np.ones((2, 6))),
        r"w is float32 but x is float64: they must share one dtype",
    ),
    "X of another size": (
        lambda: TwoLayerNet(6, rng=rng(0)).loss(np.ones((2, 5))),
        r"w has 6 rows but x flattens to 5 features",
    ),
    "labels out of range": (
        lambda: TwoLayerNet(6, 5, 3, rng=rng(0)).loss(np.ones((2, 6)), np.array([0, 3])),
        r"y has labels in 0..3 but 3 classes need 0..2",
    ),
    "an unknown loss": (
        lambda: LinearClassifier(loss="hinge", rng=rng(0)),  # type: ignore[arg-type]
        r"loss is 'hinge' but must be one of \['softmax', 'svm'\]",
    ),
    "an even filter": (lambda: ConvNet(filter_size=4, rng=rng(0)), r"filter_size is 4 but must be odd"),
    "dropping all": (
        lambda: TwoLayerNet(dropout=(0.0, 1.0), rng=rng(0)),
        r"dropout is \(0.0, 1.0\) but probabilities to drop must be in \[0, 1\)",
    ),
    "integer weights": (lambda: XorNet(dtype=np.int64, rng=rng(0)), r"dtype is int64 but weights must be floating"),
    "columns of another size": (
        lambda: three_layer_forward(np.ones((2, 1)), *(np.ones((1, 3)),) * 6),
        r"W has 3 columns but x has 2 rows",
    ),
    "a flat bias": (
        lambda: three_layer_forward(np.ones((3, 1)), np.ones((4, 3)), *(np.ones(4),) * 5),
        r"b has shape \(4,\) but 4 rows of W need shape \(4, 1\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_fact_and_need(case: str) -> None:
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()
