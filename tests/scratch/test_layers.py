"""Layers against numbers worked by hand, exact identities, and the promises every layer makes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import scratch

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
    out, cache = forward(x)
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


def test_batchnorm_does_not_feel_where_the_data_lies() -> None:
    # exact in float32: E[x²] - E[x]² would lose every digit
    x = integers(0, 8, 3, dtype=np.float32)
    gamma, beta = integers(1, 3, dtype=np.float32), integers(2, 3, dtype=np.float32)
    near, _ = scratch.batchnorm_forward(x, gamma, beta)
    far, _ = scratch.batchnorm_forward(x + np.float32(2**20), gamma, beta)
    np.testing.assert_array_equal(far, near)


def test_batchnorm_takes_out_the_rounding_of_its_own_mean() -> None:
    # Nine rows of 2²⁰ ± 1/8 in float32: the mean is off by more than the deviation unless it is corrected.
    x = (2.0**20 + np.array([1, -1, 1, -1, 1, -1, 1, -1, 0]) / 8).astype(np.float32)[:, None]
    one = np.ones(1, np.float32)
    out, _ = scratch.batchnorm_forward(x, one, 0 * one, eps=1e-12)
    assert out[8, 0] == 0
    np.testing.assert_array_equal(out[0], -out[1])


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


# ---------------------------------------------------------------- promises every layer makes

# name: options, then the shapes of the inputs after x (N, 3); "mask" and "positive" are drawn accordingly
LAYERS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "affine": ({}, [(3, 5), (5,)]),
    "affine_relu": ({}, [(3, 5), (5,)]),
    "relu": ({}, []),
    "leaky_relu": ({"negative_slope": np.float64(0.25)}, []),
    "sigmoid": ({}, []),
    "tanh": ({}, []),
    "dropout": ({"p": np.float64(0.25)}, ["mask"]),
    "batchnorm": ({"eps": np.float64(0.5)}, [(3,), (3,)]),
    "batchnorm_inference": ({"eps": np.float64(0.5)}, [(3,), (3,), (3,), "positive"]),
}
layers = pytest.mark.parametrize("layer", LAYERS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def inputs_of(layer: str, rows: int, dtype: Any) -> list[Any]:
    inputs = [integers(0, rows, 3, dtype=dtype)]
    for seed, shape in enumerate(LAYERS[layer][1], start=1):
        if shape == "mask":
            inputs.append(rng(seed).random((rows, 3)) < 0.5)
        elif shape == "positive":
            inputs.append(np.abs(integers(seed, 3, dtype=dtype)))
        else:
            inputs.append(integers(seed, *shape, dtype=dtype))
    return inputs


def forward(layer: str, inputs: list[Any]) -> Any:
    return getattr(scratch, f"{layer}_forward")(*inputs, **LAYERS[layer][0])


def backward(layer: str, dout: Any, cache: Any) -> list[Any]:
    grads = getattr(scratch, f"{layer}_backward")(dout, cache)
    return list(grads) if isinstance(grads, tuple) else [grads]


def arrays_in(cache: Any) -> Iterator[Any]:
    if isinstance(cache, np.ndarray):
        yield cache
    elif isinstance(cache, tuple):
        for part in cache:
            yield from arrays_in(part)


@layers
@dtypes
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_dtype_and_shapes_come_out_as_they_went_in(layer: str, dtype: Any, rows: int) -> None:
    inputs = inputs_of(layer, rows, dtype)
    out, cache = forward(layer, inputs)
    grads = backward(layer, np.ones_like(out), cache)
    assert out.dtype == dtype
    assert len(out) == rows
    differentiated = [value for value in inputs[:3] if value.dtype == dtype]
    assert [(g.shape, g.dtype) for g in grads] == [(v.shape, v.dtype) for v in differentiated]
    assert rows or not any(g.any() for g in grads)


@layers
def test_nothing_that_is_given_is_written_or_handed_out(layer: str) -> None:
    inputs = inputs_of(layer, 4, np.float64)
    before = [value.copy() for value in inputs]
    for value in inputs:
        value.setflags(write=False)
    out, cache = forward(layer, inputs)
    dout = integers(9, *out.shape)
    parts = list(arrays_in(cache))
    cached = [part.copy() for part in parts]
    for value in (dout, *parts):
        value.setflags(write=False)
    grads = backward(layer, dout, cache)
    for held, copy in zip([*inputs, *parts], [*before, *cached], strict=True):
        np.testing.assert_array_equal(held, copy)
    fresh = [out, *grads]
    for i, value in enumerate(fresh):
        assert not any(np.shares_memory(value, other) for other in [*inputs, dout, *fresh[:i]])


@layers
def test_a_cache_is_plain_tuples_of_arrays_and_numbers(layer: str) -> None:
    def plain(part: Any) -> bool:
        return all(map(plain, part)) if type(part) is tuple else isinstance(part, np.ndarray | float)

    _, cache = forward(layer, inputs_of(layer, 4, np.float64))
    assert type(cache) is tuple
    assert plain(cache)


@layers
@dtypes
def test_strided_inputs_give_the_same_bits(layer: str, dtype: Any) -> None:
    def strided(value: Any) -> Any:
        wide = np.zeros((*value.shape[::-1], 2), value.dtype)
        view = wide[..., 0].T
        view[...] = value
        return view

    inputs = inputs_of(layer, 2, dtype)  # two rows: their sum is the same in any order
    out, cache = forward(layer, inputs)
    dout = integers(9, *out.shape, dtype=dtype)
    other, other_cache = forward(layer, [strided(value) for value in inputs])
    np.testing.assert_array_equal(other, out)
    for a, b in zip(backward(layer, strided(dout), other_cache), backward(layer, dout, cache), strict=True):
        np.testing.assert_array_equal(a, b)


@layers
def test_backward_is_linear_in_its_cotangent_and_repeatable(layer: str) -> None:
    out, cache = forward(layer, inputs_of(layer, 4, np.float64))
    dout = integers(9, *out.shape)
    once, again, doubled = (backward(layer, factor * dout, cache) for factor in (1, 1, -2))
    for a, b, c in zip(once, again, doubled, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, -2 * a)


@layers
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_nonfinite_numbers_pass_without_a_warning_and_stay_in_their_column(layer: str, odd: float) -> None:
    inputs = inputs_of(layer, 4, np.float64)
    inputs[0][1, 2] = odd
    out, cache = forward(layer, inputs)
    backward(layer, np.full_like(out, np.inf), cache)
    backward(layer, np.full_like(out, np.nan), cache)
    if np.isnan(odd):
        assert np.isnan(out[1]).any() or layer == "dropout"
    assert np.isfinite(out[0]).all() or layer == "batchnorm"


@layers
@dtypes
def test_overflow_passes_without_a_warning(layer: str, dtype: Any) -> None:
    inputs = inputs_of(layer, 4, dtype)
    huge = [value * (np.finfo(dtype).max / 5) if value.dtype == dtype else value for value in inputs]
    out, cache = forward(layer, huge)
    backward(layer, np.full_like(out, np.finfo(dtype).max), cache)


@layers
def test_arrays_of_a_wrong_kind_are_refused(layer: str) -> None:
    inputs = inputs_of(layer, 4, np.float64)
    with pytest.raises(ValueError, match=r"x is int64 but must be floating"):
        forward(layer, [inputs[0].astype(np.int64), *inputs[1:]])
    with pytest.raises(ValueError, match=r"x is a list but must be a NumPy array"):
        forward(layer, [inputs[0].tolist(), *inputs[1:]])
    out, cache = forward(layer, inputs)
    with pytest.raises(ValueError, match=r"dout has shape \(3, \d\) but the output has shape \(4, \d\)"):
        backward(layer, out[1:], cache)
    with pytest.raises(ValueError, match=r"dout is int64 but must be floating"):
        backward(layer, out.astype(np.int64), cache)


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != "dropout"])
def test_a_cotangent_of_another_dtype_is_refused(layer: str) -> None:
    out, cache = forward(layer, inputs_of(layer, 4, np.float64))
    with pytest.raises(ValueError, match=r"dout is float32 but the output is float64: they must share one dtype"):
        backward(layer, out.astype(np.float32), cache)


@pytest.mark.parametrize("layer", ["relu", "leaky_relu", "sigmoid", "tanh"])
def test_activations_take_any_shape(layer: str) -> None:
    for shape in ((), (3,), (2, 3, 4, 5)):
        x = integers(0, *shape)
        out, cache = forward(layer, [np.asarray(x)])
        (dx,) = backward(layer, out, cache)
        assert out.shape == dx.shape == shape


ones = np.ones
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "w rows": (
        lambda: scratch.affine_forward(ones((4, 2, 3)), ones((5, 2)), ones(2)),
        r"w has 5 rows but x flattens to 6 features",
    ),
    "w axes": (
        lambda: scratch.affine_forward(ones((4, 6)), ones(6), ones(1)),
        r"w has shape \(6,\) but needs axes \(D, M\)",
    ),
    "b of shape (1, M)": (
        lambda: scratch.affine_forward(ones((4, 6)), ones((6, 2)), ones((1, 2))),
        r"b has shape \(1, 2\) but needs \(2,\), one bias for each column of w",
    ),
    "scalar b": (
        lambda: scratch.affine_forward(ones((4, 6)), ones((6, 2)), np.float64(0)),
        r"b has shape \(\) but needs \(2,\)",
    ),
    "x without rows": (
        lambda: scratch.affine_forward(np.array(1.0), ones((1, 2)), ones(2)),
        r"x has shape \(\) but needs axes \(N, ...\)",
    ),
    "two dtypes": (
        lambda: scratch.affine_forward(ones((4, 6), np.float32), ones((6, 2)), ones(2)),
        r"w is float64 but x is float32: they must share one dtype",
    ),
    "mask dtype": (
        lambda: scratch.dropout_forward(ones((4, 6)), ones((4, 6))),
        r"mask is float64 but must be a bool array",
    ),
    "mask shape": (
        lambda: scratch.dropout_forward(ones((4, 6)), ones(6, bool)),
        r"mask has shape \(6,\) but needs \(4, 6\), the shape of x",
    ),
    "p zero": (
        lambda: scratch.dropout_forward(ones(2), ones(2, bool), p=0),
        r"p is 0.0 but a probability to keep must be in \(0, 1\]",
    ),
    "p nan": (lambda: scratch.dropout_forward(ones(2), ones(2, bool), p=np.nan), r"p is nan but"),
    "gamma shape": (
        lambda: scratch.batchnorm_forward(ones((4, 6)), ones(4), ones(6)),
        r"gamma has shape \(4,\) but needs \(6,\), one value for each feature of x",
    ),
    "batchnorm x axes": (
        lambda: scratch.batchnorm_forward(ones((4, 6, 2)), ones(6), ones(6)),
        r"x has shape \(4, 6, 2\) but needs axes \(N, D\)",
    ),
    "eps": (
        lambda: scratch.batchnorm_forward(ones((4, 6)), ones(6), ones(6), eps=0),
        r"eps is 0 but must be positive",
    ),
    "running statistics of one row": (
        lambda: scratch.batchnorm_running(ones((1, 6)), ones(6), ones(6)),
        r"x has 1 rows but an unbiased variance needs at least 2",
    ),
    "running_var shape": (
        lambda: scratch.batchnorm_inference_forward(ones((4, 6)), ones(6), ones(6), ones(6), ones((1, 6))),
        r"running_var has shape \(1, 6\) but needs \(6,\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_fact_and_need(case: str) -> None:
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call()
