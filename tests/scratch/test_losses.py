"""Losses against numbers worked by hand, exact identities and differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratchproof import scratch

DTYPES = [np.float32, np.float64]
CLASSIFIERS = ["softmax_loss", "svm_loss"]
rng = np.random.default_rng


# ---------------------------------------------------------------- softmax


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_equal_scores_is_the_logarithm_of_their_number(dtype: Any) -> None:
    loss, dx = scratch.softmax_loss(np.full((2, 4), 7, dtype), np.array([0, 3]))
    assert loss == np.log(dtype(4))
    np.testing.assert_array_equal(dx, np.array([[-3, 1, 1, 1], [1, 1, 1, -3]]) / 8)


def test_softmax_does_not_feel_a_shift() -> None:
    x, y = rng(0).integers(-5, 6, (4, 5)).astype(np.float64), np.array([0, 4, 2, 2])
    loss, dx = scratch.softmax_loss(x, y)
    shifted_loss, shifted_dx = scratch.softmax_loss(x + np.array([[2.0**30], [-(2.0**30)], [0], [1]]), y)
    assert shifted_loss == loss
    np.testing.assert_array_equal(shifted_dx, dx)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_stays_finite_where_the_probability_has_underflowed(dtype: Any) -> None:
    x, y = np.array([[-1e4, 1e4, 0], [1e4, -1e4, 0]], dtype), np.array([0, 0])
    loss, dx = scratch.softmax_loss(x, y)
    assert loss == 1e4  # 2e4 for the first row, 0 for the second
    np.testing.assert_array_equal(dx, [[-0.5, 0.5, 0], [0, 0, 0]])


def test_softmax_of_one_class_has_nothing_to_lose() -> None:
    loss, dx = scratch.softmax_loss(np.array([[3.0], [-7.0]]), np.array([0, 0]))
    assert loss == 0
    np.testing.assert_array_equal(dx, [[0], [0]])


def test_softmax_with_infinite_scores_does_as_arithmetic_says() -> None:
    y = np.array([0])
    assert scratch.softmax_loss(np.array([[-np.inf, 0.0]]), y)[0] == np.inf
    assert scratch.softmax_loss(np.array([[0.0, -np.inf]]), y)[0] == 0
    assert np.isnan(scratch.softmax_loss(np.array([[np.inf, 0.0]]), y)[0])


# ---------------------------------------------------------------- svm


@pytest.mark.parametrize("dtype", DTYPES)
def test_svm_gives_the_worked_example_to_the_digit(dtype: Any) -> None:
    x = np.array([[1, 2, 0], [3, -1, 3], [0, 5, 4], [1, 2, 0]], dtype)
    loss, dx = scratch.svm_loss(x, np.array([0, 2, 0, 1]))
    # margins: 2 and exactly 0 (no gradient); 1 and -3; 6 and 5; exactly 0 and -1
    assert loss == (2 + 1 + 11 + 0) / 4
    np.testing.assert_array_equal(dx, np.array([[-1, 1, 0], [1, 0, -1], [-2, 1, 1], [0, 0, 0]]) / 4)


# ---------------------------------------------------------------- logistic


@pytest.mark.parametrize("dtype", DTYPES)
def test_logistic_loss_of_zero_is_log_two(dtype: Any) -> None:
    loss, dx = scratch.logistic_loss(np.zeros(4, dtype), np.array([0, 1, 1, 0]))
    assert loss == np.log1p(dtype(1))
    np.testing.assert_array_equal(dx, np.array([1, -1, -1, 1]) / 8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logistic_loss_is_right_far_out(dtype: Any) -> None:
    loss, dx = scratch.logistic_loss(np.array([1e4, 1e4, -1e4, -1e4], dtype), np.array([0, 1, 0, 1]))
    assert loss == 5e3  # each wrong row loses 1e4, each right one nothing
    np.testing.assert_array_equal(dx, [0.25, 0, 0, -0.25])


@pytest.mark.parametrize("dtype", DTYPES)
def test_logistic_loss_keeps_the_relative_accuracy_of_confident_rows(dtype: Any) -> None:
    tail = np.exp(dtype(-40))
    for x, y in ((40, 1), (-40, 0)):
        loss, dx = scratch.logistic_loss(np.array([x], dtype), np.array([y]))
        assert loss == tail
        assert abs(dx[0]) == tail


# ---------------------------------------------------------------- squared


@pytest.mark.parametrize("dtype", DTYPES)
def test_squared_loss_divides_by_rows_only(dtype: Any) -> None:
    x, y = np.array([[1, 2, 3], [4, 5, 6]], dtype), np.array([[0, 0, 3], [4, 8, 6]], dtype)
    loss, dx = scratch.squared_loss(x, y)
    assert loss == (1 + 4 + 9) / 4
    np.testing.assert_array_equal(dx, [[0.5, 1, 0], [0, -1.5, 0]])


def test_squared_loss_takes_any_rank() -> None:
    loss, dx = scratch.squared_loss(np.ones(4), np.zeros(4))
    assert loss == 0.5
    np.testing.assert_array_equal(dx, np.full(4, 0.25))
    assert scratch.squared_loss(np.ones((2, 3, 4)), np.zeros((2, 3, 4)))[0] == 6


# ---------------------------------------------------------------- what all losses share


def inputs_of(name: str, seed: int, dtype: Any = np.float64, rows: int = 5) -> tuple[Any, Any]:
    generator = rng(seed)
    x = 2 * generator.standard_normal(rows if name == "logistic_loss" else (rows, 4))
    if name == "squared_loss":
        return x.astype(dtype), generator.standard_normal(x.shape).astype(dtype)
    return x.astype(dtype), generator.integers(2 if x.ndim == 1 else 4, size=rows)


losses = pytest.mark.parametrize("name", [*CLASSIFIERS, "logistic_loss", "squared_loss"])


@losses
@pytest.mark.parametrize("seed", range(3))
def test_gradients_agree_with_differences(name: str, seed: int, require_gradient: Callable[..., None]) -> None:
    x, y = inputs_of(name, seed)
    loss = getattr(scratch, name)
    require_gradient(lambda x: np.asarray(loss(x, y)[0]), x, np.ones(()), loss(x, y)[1])


@losses
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 5])
def test_the_loss_is_a_scalar_of_the_dtype_that_went_in(name: str, dtype: Any, rows: int) -> None:
    x, y = inputs_of(name, 0, dtype, rows)
    loss, dx = getattr(scratch, name)(x, y)
    assert type(loss) is dtype
    assert (dx.shape, dx.dtype) == (x.shape, x.dtype)


@losses
def test_nothing_that_is_given_is_written_or_handed_out(name: str) -> None:
    x, y = inputs_of(name, 0)
    before = x.copy(), y.copy()
    x.setflags(write=False)
    y.setflags(write=False)
    _, dx = getattr(scratch, name)(x, y)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert not np.shares_memory(dx, x)
    assert not np.shares_memory(dx, y)


@losses
def test_strided_inputs_give_the_same_gradient(name: str) -> None:
    x, y = inputs_of(name, 0)
    loss, dx = getattr(scratch, name)(x, y)
    backwards = getattr(scratch, name)(x[::-1].copy()[::-1], np.repeat(y, 2, axis=0)[::2])
    assert backwards[0] == loss
    np.testing.assert_array_equal(backwards[1], dx)


@losses
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_nonfinite_numbers_pass_without_a_warning(name: str, odd: float) -> None:
    x, y = inputs_of(name, 0)
    x[0] = odd
    loss, _ = getattr(scratch, name)(x, y)
    assert not np.isfinite(loss)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("labels", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_may_be_of_any_integer_dtype(name: str, labels: Any) -> None:
    x, y = inputs_of(name, 0)
    loss, dx = getattr(scratch, name)(x, y)
    same_loss, same_dx = getattr(scratch, name)(x, y.astype(labels))
    assert same_loss == loss
    np.testing.assert_array_equal(same_dx, dx)


def test_logistic_labels_may_be_unsigned() -> None:
    x, y = inputs_of("logistic_loss", 0)
    assert scratch.logistic_loss(x, y.astype(np.uint8))[0] == scratch.logistic_loss(x, y)[0]


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 4], r"y has labels in 0..4 but 4 classes need 0..3"),
        ([0, -1, 3], r"y has labels in -1..3 but 4 classes need 0..3"),
        ([0, 1], r"y has shape \(2,\) but 3 rows need labels of shape \(3,\)"),
        ([[0], [1], [2]], r"y has shape \(3, 1\) but 3 rows need"),
        ([0.0, 1.0, 2.0], r"y is float64 but labels must be an integer array"),
        ([True, False, True], r"y is bool but labels must be an integer array"),
    ],
)
def test_labels_that_do_not_fit_are_refused(name: str, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(scratch, name)(np.zeros((3, 4)), np.array(labels))


@losses
def test_a_batch_without_rows_is_refused(name: str) -> None:
    x, y = inputs_of(name, 0)
    with pytest.raises(ValueError, match=r"x has shape \(0.*\) but a mean loss needs at least one row"):
        getattr(scratch, name)(x[:0], y[:0])


@losses
def test_scores_of_a_wrong_kind_are_refused(name: str) -> None:
    x, y = inputs_of(name, 0)
    with pytest.raises(ValueError, match=r"x is int64 but must be floating"):
        getattr(scratch, name)(x.astype(np.int64), y)
    if name != "squared_loss":
        with pytest.raises(ValueError, match=r"x has shape \(5, 4, 1\) but needs axes"):
            getattr(scratch, name)(np.zeros((5, 4, 1)), y)


def test_what_does_not_fit_is_refused_with_fact_and_need() -> None:
    with pytest.raises(ValueError, match=r"y has shape \(3, 1\) but needs \(3,\), the shape of x"):
        scratch.squared_loss(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"y is float32 but x is float64: they must share one dtype"):
        scratch.squared_loss(np.zeros(3), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"y has labels in 0..2 but 2 classes need 0..1"):
        scratch.logistic_loss(np.zeros(2), np.array([0, 2]))
    with pytest.raises(ValueError, match=r"y is list but labels must be an integer array"):
        scratch.softmax_loss(np.zeros((1, 2)), [0])  # type: ignore[arg-type]
