"""The promises that every layer makes: dtypes, memory, empty and odd batches, and clear refusals."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from scratchproof import scratch

DTYPES = [np.float32, np.float64]
ones, rng = np.ones, np.random.default_rng


def integers(seed: int, *shape: int, dtype: Any = np.float64) -> Any:
    """Whole numbers from -4 to 4 without 0."""
    generator = rng(seed)
    return (generator.integers(1, 5, shape) * generator.choice([-1, 1], shape)).astype(dtype)


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
def test_a_cache_is_plain_tuples_of_arrays_numbers_and_dtypes(layer: str) -> None:
    def plain(part: Any) -> bool:
        return all(map(plain, part)) if type(part) is tuple else isinstance(part, np.ndarray | float | np.dtype)

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
        lambda: scratch.affine_forward(ones((4, 6)), ones((6, 2)), np.array(0.0)),
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
