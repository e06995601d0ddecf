"""Layers against numbers worked by hand, exact identities and differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scratchproof import scratch

DTYPES = [np.float32, np.float64]
rng = np.random.default_rng


def integers(seed: int, *shape: int, dtype: Any = np.float64) -> Any:
    """Whole numbers from -4 to 4 without 0: sums and products are exact, and no kink is near."""
    generator = rng(seed)
    return (generator.integers(1, 5, shape) * generator.choice([-1, 1], shape)).astype(dtype)


# ---------------------------------------------------------------- affine


@pytest.mark.parametrize("dtype", DTYPES)
def test_affine_gives_the_worked_example_to_the_digit(dtype: Any) -> None:
    x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype)
    w = np.array([[1, 3], [4, 5], [7, 8]], dtype)
    dout = np.array([[1, 2], [3, 4], [5, 6]], dtype)
    out, cache = scratch.affine_forward(x, w, np.array([100, 200], dtype))
    dx, dw, db = scratch.affine_backward(dout, cache)
    np.testing.assert_array_equal(out, [[130, 237], [166, 285], [202, 333]])
    np.testing.assert_array_equal(dw, [[48, 60], [57, 72], [66, 84]])
    np.testing.assert_array_equal(dx, [[7, 14, 23], [15, 32, 53], [23, 50, 83]])
    np.testing.assert_array_equal(db, [9, 12])


@pytest.mark.parametrize("shape", [(4,), (4, 6), (4, 2, 3), (4, 1, 3, 2), (1, 6), (0, 6), (4, 0)])
def test_affine_flattens_x_of_any_rank_and_folds_dx_back(shape: tuple[int, ...]) -> None:
    x = integers(0, *shape)
    rows = [np.ravel(row) for row in x]
    features = int(np.prod(shape[1:]))
    w, b = integers(1, features, 5), integers(2, 5)
    out, cache = scratch.affine_forward(x, w, b)
    dout = integers(3, len(x), 5)
    dx, dw, db = scratch.affine_backward(dout, cache)
    np.testing.assert_array_equal(out, np.array([row @ w + b for row in rows]).reshape(-1, 5))
    np.testing.assert_array_equal(dx, np.array([w @ g for g in dout]).reshape(shape))
    np.testing.assert_array_equal(dw, sum((np.outer(*pair) for pair in zip(rows, dout, strict=True)), np.zeros_like(w)))
    np.testing.assert_array_equal(db, sum(dout, np.zeros(5)))


def test_affine_gradients_are_its_slopes(exact_slopes: Callable[..., Any]) -> None:
    x, w, b, dout = integers(0, 3, 2, 2), integers(1, 4, 5), integers(2, 5), integers(3, 3, 5)
    dx, dw, db = scratch.affine_backward(dout, scratch.affine_forward(x, w, b)[1])
    np.testing.assert_array_equal(dx, exact_slopes(lambda x: scratch.affine_forward(x, w, b)[0], x, dout, 1.0))
    np.testing.assert_array_equal(dw, exact_slopes(lambda w: scratch.affine_forward(x, w, b)[0], w, dout, 1.0))
    np.testing.assert_array_equal(db, exact_slopes(lambda b: scratch.affine_forward(x, w, b)[0], b, dout, 1.0))


@pytest.mark.parametrize("layer", ["affine", "affine_relu"])
def test_dx_is_left_out_where_it_is_not_needed(layer: str) -> None:
    forward, backward = getattr(scratch, f"{layer}_forward"), getattr(scratch, f"{layer}_backward")
    _, cache = forward(integers(0, 3, 4), integers(1, 4, 5), integers(2, 5))
    _, dw, db = backward(dout := integers(3, 3, 5), cache)
    skipped, same_dw, same_db = backward(dout, cache, need_dx=False)
    assert skipped is None
    np.testing.assert_array_equal(same_dw, dw)
    np.testing.assert_array_equal(same_db, db)


# ---------------------------------------------------------------- activations


def test_relu_at_and_around_its_kink() -> None:
    x = np.array([-2.0, -0.0, 0.0, np.nextafter(0, 1), 3.0])
    out, cache = scratch.relu_forward(x)
    np.testing.assert_array_equal(out, [0, 0, 0, np.nextafter(0, 1), 3])
    # the cotangent's own sign plays no part
    np.testing.assert_array_equal(scratch.relu_backward(np.array([5.0, 5, 5, -5, -5]), cache), [0, 0, 0, -5, -5])


def test_leaky_relu_at_and_around_its_kink() -> None:
    x = np.array([-2.0, 0.0, 3.0])
    out, cache = scratch.leaky_relu_forward(x, negative_slope=0.25)
    np.testing.assert_array_equal(out, [-0.5, 0, 3])
    np.testing.assert_array_equal(scratch.leaky_relu_backward(np.array([4.0, 4, -4]), cache), [1, 1, -4])
    assert scratch.leaky_relu_forward(np.array([-1.0]))[0] == -0.01


def test_the_rectifiers_keep_nan() -> None:
    x = np.array([np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(scratch.relu_forward(x)[0], [np.nan, np.inf, 0])
    np.testing.assert_array_equal(scratch.leaky_relu_forward(x)[0], [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_is_exact_in_the_middle_and_at_the_ends(dtype: Any) -> None:
    x = np.array([-np.inf, -1e4, 0, 1e4, np.inf], dtype)
    out, cache = scratch.sigmoid_forward(x)
    np.testing.assert_array_equal(out, [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(scratch.sigmoid_backward(np.full(5, 8, dtype), cache), [0, 0, 2, 0, 0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_keeps_the_relative_accuracy_of_both_tails(dtype: Any) -> None:
    x = np.array([-40, 40], dtype)  # 1 + exp(-40) is 1 in both formats
    out, cache = scratch.sigmoid_forward(x)
    tail = np.exp(x[0])
    assert out[0] == tail
    np.testing.assert_array_equal(scratch.sigmoid_backward(np.ones(2, dtype), cache), [tail, tail])


def test_tanh_is_exact_in_the_middle_and_at_the_ends() -> None:
    x = np.array([-np.inf, -1e4, 0, 1e4, np.inf])
    out, cache = scratch.tanh_forward(x)
    np.testing.assert_array_equal(out, [-1, -1, 0, 1, 1])
    np.testing.assert_array_equal(scratch.tanh_backward(np.full(5, 3.0), cache), [0, 0, 3, 0, 0])


@pytest.mark.parametrize("layer", ["sigmoid", "tanh"])
@pytest.mark.parametrize("seed", range(3))
def test_smooth_activations_agree_with_differences(
    layer: str, seed: int, require_gradient: Callable[..., None]
) -> None:
    forward, backward = getattr(scratch, f"{layer}_forward"), getattr(scratch, f"{layer}_backward")
    x, dout = rng(seed).standard_normal((2, 4, 5))
    _, cache = forward(x)
    require_gradient(lambda x: forward(x)[0], x, dout, backward(dout, cache))
    # complex step: Im f(x + ih) / h has no cancellation
    step = 2.0**-70
    require_gradient(lambda x: forward(x)[0], x, dout, (forward(x + 1j * step)[0] * dout).imag / step)


def test_affine_relu_is_affine_then_relu(exact_slopes: Callable[..., Any]) -> None:
    x, w, dout = integers(0, 3, 4), integers(1, 4, 5), integers(3, 3, 5)
    b = integers(2, 5) + 0.5  # half a step from the kink, and a slope's step moves it by a quarter at most
    out, cache = scratch.affine_relu_forward(x, w, b)
    np.testing.assert_array_equal(out, scratch.relu_forward(scratch.affine_forward(x, w, b)[0])[0])
    assert (out == 0).any()
    dx, dw, db = scratch.affine_relu_backward(dout, cache)
    np.testing.assert_array_equal(dx, exact_slopes(lambda x: scratch.affine_relu_forward(x, w, b)[0], x, dout, 1 / 16))
    np.testing.assert_array_equal(dw, exact_slopes(lambda w: scratch.affine_relu_forward(x, w, b)[0], w, dout, 1 / 16))
    np.testing.assert_array_equal(db, exact_slopes(lambda b: scratch.affine_relu_forward(x, w, b)[0], b, dout, 1 / 16))


# ---------------------------------------------------------------- dropout


def test_dropout_scales_what_it_keeps_and_zeroes_the_rest() -> None:
    x, mask = np.array([[1.0, -2, 3]]), np.array([[True, False, True]])
    out, cache = scratch.dropout_forward(x, mask, p=0.25)
    np.testing.assert_array_equal(out, [[4, 0, 12]])
    np.testing.assert_array_equal(scratch.dropout_backward(np.array([[1.0, 1, -1]]), cache), [[4, 0, -4]])


def test_dropout_that_keeps_all_is_a_copy() -> None:
    x = integers(0, 3, 4)
    out, _ = scratch.dropout_forward(x, np.ones(x.shape, bool), p=1)
    np.testing.assert_array_equal(out, x)
    assert not np.shares_memory(out, x)


# ---------------------------------------------------------------- batch normalisation


def test_batchnorm_gives_the_worked_example_to_the_digit() -> None:
    # mean 2, variance 1, and with eps = 3 a divisor of exactly 2
    x, gamma, beta = np.array([[1.0], [3.0]]), np.array([4.0]), np.array([1.0])
    out, cache = scratch.batchnorm_forward(x, gamma, beta, eps=3)
    np.testing.assert_array_equal(out, [[-1], [3]])
    # out[0] = 2 d / sqrt(d²/4 + 3) + 1 with d = x[0] - x[1]: its slope at d = -2 is 3/4
    dx, dgamma, dbeta = scratch.batchnorm_backward(np.array([[1.0], [0.0]]), cache)
    np.testing.assert_array_equal(dx, [[0.75], [-0.75]])
    np.testing.assert_array_equal(dgamma, [-0.5])
    np.testing.assert_array_equal(dbeta, [1])


@pytest.mark.parametrize("seed", range(3))
def test_batchnorm_agrees_with_differences(seed: int, require_gradient: Callable[..., None]) -> None:
    generator = rng(seed)
    x, dout = generator.standard_normal((2, 5, 3))
    gamma, beta = generator.standard_normal((2, 3))
    dx, dgamma, dbeta = scratch.batchnorm_backward(dout, scratch.batchnorm_forward(x, gamma, beta)[1])
    require_gradient(lambda x: scratch.batchnorm_forward(x, gamma, beta)[0], x, dout, dx)
    require_gradient(lambda gamma: scratch.batchnorm_forward(x, gamma, beta)[0], gamma, dout, dgamma)
    require_gradient(lambda beta: scratch.batchnorm_forward(x, gamma, beta)[0], beta, dout, dbeta)


@pytest.mark.parametrize("offset", [2**10, 2**20, 2**22])
def test_batchnorm_does_not_feel_where_the_data_lies(offset: int) -> None:
    # Exact in float32, yet E[x²] - E[x]² would lose every digit, and at 2²² the sum of the rows itself is rounded.
    x = integers(0, 8, 3, dtype=np.float32) / 2
    gamma, beta = integers(1, 3, dtype=np.float32), integers(2, 3, dtype=np.float32)
    near, _ = scratch.batchnorm_forward(x, gamma, beta)
    far, _ = scratch.batchnorm_forward(x + np.float32(offset), gamma, beta)
    np.testing.assert_array_equal(far, near)


def test_batchnorm_of_one_row_or_a_constant_feature_is_beta_and_passes_nothing_back() -> None:
    gamma, beta = integers(1, 3), integers(2, 3)
    for x in (integers(0, 1, 3), np.full((4, 3), 7.0)):
        out, cache = scratch.batchnorm_forward(x, gamma, beta)
        dx, dgamma, _ = scratch.batchnorm_backward(np.ones_like(x), cache)
        np.testing.assert_array_equal(out, np.broadcast_to(beta, x.shape))
        assert not dx.any()
        assert not dgamma.any()


def test_batchnorm_inference_uses_the_running_statistics() -> None:
    x = np.array([[3.0, 1.0], [5.0, 0.0]])
    gamma, beta, mean, var = np.array([2.0, 4.0]), np.array([1.0, 0.0]), np.array([3.0, 1.0]), np.array([3.0, 15.0])
    out, cache = scratch.batchnorm_inference_forward(x, gamma, beta, mean, var, eps=1)  # divisors 2 and 4
    np.testing.assert_array_equal(out, [[1, 0], [3, -1]])
    dx, dgamma, dbeta = scratch.batchnorm_inference_backward(np.array([[1.0, 2.0], [3.0, 4.0]]), cache)
    np.testing.assert_array_equal(dx, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(dgamma, [3, -1])
    np.testing.assert_array_equal(dbeta, [4, 6])


def test_batchnorm_running_keeps_a_share_and_adds_the_unbiased_variance() -> None:
    x, mean, var = np.array([[1.0], [3.0]]), np.array([4.0]), np.array([6.0])
    new_mean, new_var = scratch.batchnorm_running(x, mean, var, momentum=0.75)
    np.testing.assert_array_equal(new_mean, [0.75 * 4 + 0.25 * 2])
    np.testing.assert_array_equal(new_var, [0.75 * 6 + 0.25 * 2])
    np.testing.assert_array_equal(mean, [4])
