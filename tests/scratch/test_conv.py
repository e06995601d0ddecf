"""Convolution and pooling: the fast forms against the definitions and torch, at whole numbers, so with equality."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scratchproof.scratch import conv
from scratchproof.scratch.conv import conv_backward, conv_backward_plain, conv_forward, conv_forward_plain

DTYPES = [np.float32, np.float64]
GEOMETRIES = range(60)
POOLS = {"max": (conv.max_pool_forward, conv.max_pool_backward), "avg": (conv.avg_pool_forward, conv.avg_pool_backward)}
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def whole(rng: np.random.Generator, *shape: int, dtype: Any = np.float64) -> Any:
    """Numbers from -4 to 4: their sums of products are exact in float32, in any order."""
    return rng.integers(-4, 5, shape).astype(dtype)


def geometry(seed: int) -> tuple[np.random.Generator, tuple[int, ...], tuple[int, ...], dict[str, int]]:
    """Random shapes of x and w, stride and padding: non-square, kernels wider than the image, empty batches."""
    rng = np.random.default_rng(seed)
    stride, pad = int(rng.integers(1, 5)), int(rng.integers(0, 4))
    images, channels, height, width, filters = (int(n) for n in rng.integers((0, 1, 1, 1, 1), (4, 7, 10, 10, 6)))
    kernel = [int(rng.integers(1, min(7, size + 2 * pad) + 1)) for size in (height, width)]
    return rng, (images, channels, height, width), (filters, channels, *kernel), {"stride": stride, "pad": pad}


def problem(seed: int, dtype: Any) -> tuple[list[Any], dict[str, int], Any]:
    """x, w, b, the options and a cotangent."""
    rng, x_shape, w_shape, options = geometry(seed)
    inputs = [whole(rng, *shape, dtype=dtype) for shape in (x_shape, w_shape, w_shape[:1])]
    out, _ = conv_forward_plain(*inputs, **options)
    return inputs, options, whole(rng, *out.shape, dtype=dtype)


def torch_gradients(f: Callable[..., Any], inputs: list[Any], dout: Any) -> list[Any]:
    """The output of f and its gradients, in float64."""
    leaves = [torch.from_numpy(x.astype(np.float64)).requires_grad_() for x in inputs]
    out = f(*leaves)
    grads = torch.autograd.grad(out, leaves, torch.from_numpy(dout.astype(np.float64)))
    return [t.detach().numpy() for t in (out, *grads)]


def require_equal(actual: Any, expected: Any, dtype: Any) -> None:
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, e)


@dtypes
@pytest.mark.parametrize("seed", GEOMETRIES)
def test_fast_plain_and_torch_are_one(seed: int, dtype: Any) -> None:
    inputs, options, dout = problem(seed, dtype)
    expected = torch_gradients(
        lambda x, w, b: F.conv2d(x, w, b, stride=options["stride"], padding=options["pad"]), inputs, dout
    )
    for forward, backward in ((conv_forward, conv_backward), (conv_forward_plain, conv_backward_plain)):
        out, cache = forward(*inputs, **options)
        require_equal([out, *backward(dout, cache)], expected, dtype)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_either_backward_takes_either_cache_and_dx_is_optional(seed: int) -> None:
    inputs, options, dout = problem(seed, np.float64)
    caches = [forward(*inputs, **options)[1] for forward in (conv_forward, conv_forward_plain)]
    expected = conv_backward_plain(dout, caches[1])
    for backward in (conv_backward, conv_backward_plain):
        for cache in caches:
            require_equal(backward(dout, cache), expected, np.float64)
            dx, dw, db = backward(dout, cache, need_dx=False)
            assert dx is None
            require_equal((dw, db), expected[1:], np.float64)


@pytest.mark.parametrize("order", ["transposed", "reversed", "read-only", "inner"])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_any_memory_order_gives_the_same_and_nothing_is_written(seed: int, order: str) -> None:
    inputs, options, dout = problem(seed, np.float64)
    odd = [rearranged(a, order) for a in (*inputs, dout)]
    kept = [a.copy() for a in odd]
    out, cache = conv_forward(*odd[:3], **options)
    grads = conv_backward(odd[3], cache)
    plain, plain_cache = conv_forward_plain(*inputs, **options)
    require_equal([out, *grads], [plain, *conv_backward_plain(dout, plain_cache)], np.float64)
    for a, before in zip(odd, kept, strict=True):
        np.testing.assert_array_equal(a, before)
    results = [out, *grads]
    for i, a in enumerate(results):
        assert not any(np.shares_memory(a, b) for b in (*odd, *results[:i]))


def rearranged(a: Any, order: str) -> Any:
    if order == "transposed":
        return a.T.copy().T
    if order == "reversed":
        return a[::-1].copy()[::-1]
    if order == "inner" and a.ndim == 4:
        return a.transpose(2, 1, 3, 0).copy().transpose(3, 1, 0, 2)
    a = a.copy()
    a.flags.writeable = False
    return a


@pytest.mark.parametrize("seed", range(30))
def test_nan_and_infinity_reach_what_they_reach_by_the_definition(seed: int) -> None:
    inputs, options, dout = problem(seed, np.float32)
    rng = np.random.default_rng(seed)
    for a in (*inputs[:2], dout):
        for value in (np.nan, np.inf, -np.inf)[: int(rng.integers(0, 4))]:
            if a.size and rng.random() < 0.5:
                a.flat[int(rng.integers(a.size))] = value
    out, cache = conv_forward(*inputs, **options)
    plain, plain_cache = conv_forward_plain(*inputs, **options)
    expected = [plain, *conv_backward_plain(dout, plain_cache)]
    require_equal([out, *conv_backward(dout, cache)], expected, np.float32)


@dtypes
@pytest.mark.parametrize("order", ["as it comes", "inner"])
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "stride"),
    [
        ((50, 3, 32, 32), (32, 3, 7, 7), 1),
        ((50, 3, 32, 32), (32, 3, 3, 3), 2),
        ((50, 32, 16, 16), (64, 32, 3, 3), 1),
        ((50, 32, 32, 32), (2, 32, 7, 7), 1),
    ],
)
def test_peak_memory_is_at_most_three_times_what_goes_in_and_comes_out(
    x_shape: Any, w_shape: Any, stride: int, order: str, dtype: Any
) -> None:
    x, w, b = np.ones(x_shape, dtype), np.ones(w_shape, dtype), np.ones(w_shape[0], dtype)
    out, _ = conv_forward(x, w, b, stride=stride, pad=w_shape[2] // 2)
    x, dout = (rearranged(a, "inner") if order == "inner" else a for a in (x, np.ones(out.shape, dtype)))
    del out
    given = sum(a.nbytes for a in (x, w, b, dout))
    tracemalloc.start()
    out, cache = conv_forward(x, w, b, stride=stride, pad=w_shape[2] // 2)
    grads = conv_backward(dout, cache)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held >= out.nbytes
    assert given + peak <= 3 * (given + sum(a.nbytes for a in (out, *grads)))


def test_convolution_is_analytic_enough_for_the_complex_step() -> None:
    rng = np.random.default_rng(0)
    x, w, b = (whole(rng, *shape) for shape in ((2, 3, 5, 4), (2, 3, 3, 2), (2,)))
    direction = whole(rng, *x.shape)
    out, cache = conv_forward(x, w, b, pad=1)
    stepped, _ = conv_forward(x + 1j * direction, w + 0j, b + 0j, pad=1)
    np.testing.assert_array_equal(stepped.real, out)
    dx, _, _ = conv_backward(np.ones(out.shape), cache)
    assert stepped.imag.sum() == (dx * direction).sum()


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options", "size"),
    [
        ((1, 1, 7, 7), (1, 1, 3, 3), {}, (1, 1, 5, 5)),
        ((1, 1, 7, 7), (1, 1, 3, 3), {"stride": 2}, (1, 1, 3, 3)),
        ((1, 1, 7, 7), (1, 1, 3, 3), {"pad": 1}, (1, 1, 7, 7)),
        ((1, 3, 32, 32), (6, 3, 5, 5), {}, (1, 6, 28, 28)),
    ],
)
def test_the_sizes_of_the_write_up(x_shape: Any, w_shape: Any, options: dict[str, int], size: Any) -> None:
    out, _ = conv_forward(np.zeros(x_shape), np.zeros(w_shape), np.zeros(w_shape[0]), **options)
    assert out.shape == size


IMAGES, KERNELS, BIASES = np.zeros((2, 3, 5, 4)), np.zeros((6, 3, 2, 2)), np.zeros(6)
REFUSED = {
    "x has shape (5, 4) but needs axes (N, C, H, W)": (IMAGES[0, 0], KERNELS, BIASES, {}),
    "w has shape (6, 3, 2) but needs axes (F, C, KH, KW)": (IMAGES, KERNELS[..., 0], BIASES, {}),
    "w has 2 channels but x has 3": (IMAGES, KERNELS[:, :2], BIASES, {}),
    "b has shape (5,) but needs (6,), one bias for each filter of w": (IMAGES, KERNELS, BIASES[:5], {}),
    "w is float32 but x is float64: they must share one dtype": (IMAGES, KERNELS.astype("f4"), BIASES, {}),
    "x is int64 but must be floating": (IMAGES.astype(int), KERNELS, BIASES, {}),
    "stride is 0 but must be at least 1": (IMAGES, KERNELS, BIASES, {"stride": 0}),
    "pad is -1 but must be at least 0": (IMAGES, KERNELS, BIASES, {"pad": -1}),
    "a window of 2 does not fit into 1 pixels with padding 0": (IMAGES[:, :, :1], KERNELS, BIASES, {}),
    "the window is 0 wide but must be at least 1": (IMAGES, KERNELS[:, :, :0], BIASES, {}),
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("forward", [conv_forward, conv_forward_plain])
def test_what_does_not_fit_is_refused(forward: Any, message: str) -> None:
    x, w, b, options = REFUSED[message]
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        forward(x, w, b, **options)
    assert str(error.value) == message


@pytest.mark.parametrize("backward", [conv_backward, conv_backward_plain])
def test_a_cotangent_that_does_not_fit_is_refused(backward: Any) -> None:
    out, cache = conv_forward(IMAGES, KERNELS, BIASES)
    with pytest.raises(ValueError, match=r"dout has shape \(2, 6, 3, 3\) but the output has shape \(2, 6, 4, 3\)"):
        backward(out[:, :, :3], cache)
    with pytest.raises(ValueError, match="dout is float32 but the output is float64"):
        backward(out.astype(np.float32), cache)


# ---------------------------------------------------------------- pooling


def pool_problem(seed: int, dtype: Any) -> tuple[Any, dict[str, int], Any]:
    """Images full of ties, options and a cotangent; windows overlap, tile, or leave gaps."""
    rng = np.random.default_rng(seed)
    images, channels, height, width = (int(n) for n in rng.integers((0, 1, 1, 1), (4, 4, 10, 10)))
    pool_height, pool_width = (int(rng.integers(1, min(size, 4) + 1)) for size in (height, width))
    stride = int(rng.integers(1, 5))
    x = np.maximum(whole(rng, images, channels, height, width, dtype=dtype), 0)
    options = {"pool_height": pool_height, "pool_width": pool_width, "stride": stride}
    out, _ = conv.avg_pool_forward(x, **options)
    return x, options, whole(rng, *out.shape, dtype=dtype)


def torch_pool(kind: str, options: dict[str, int]) -> Callable[[Any], Any]:
    pool = {"max": F.max_pool2d, "avg": F.avg_pool2d}[kind]
    return lambda x: pool(x, (options["pool_height"], options["pool_width"]), options["stride"])


@dtypes
@pytest.mark.parametrize("seed", GEOMETRIES)
def test_max_pooling_and_its_ties_are_those_of_torch(seed: int, dtype: Any) -> None:
    x, options, dout = pool_problem(seed, dtype)
    expected = torch_gradients(torch_pool("max", options), [x], dout)
    plain = conv.max_pool_forward_plain, conv.max_pool_backward_plain
    for forward, backward in (POOLS["max"], plain):
        for order in ("as it comes", "inner"):
            out, cache = forward(rearranged(x, order), **options)
            require_equal([out, backward(rearranged(dout, order), cache)], expected, dtype)


@pytest.mark.parametrize("seed", GEOMETRIES)
def test_average_pooling_shares_what_torch_shares(seed: int) -> None:
    x, options, dout = pool_problem(seed, np.float64)
    x, dout = (options["pool_height"] * options["pool_width"] * a for a in (x, dout))  # the means are whole numbers
    out, cache = conv.avg_pool_forward(x, **options)
    require_equal(
        [out, conv.avg_pool_backward(dout, cache)], torch_gradients(torch_pool("avg", options), [x], dout), np.float64
    )


@dtypes
@pytest.mark.parametrize("seed", GEOMETRIES)
def test_nan_and_infinity_pass_through_max_pooling_as_through_torch(seed: int, dtype: Any) -> None:
    x, options, dout = pool_problem(seed, dtype)
    rng = np.random.default_rng(seed)
    values, odds = [np.nan, np.inf, -np.inf, 0], [0.1, 0.1, 0.3, 0.5]
    x = rng.choice(values if seed % 2 else [0, np.inf, -np.inf, 0], x.shape, p=odds).astype(dtype)
    if options["stride"] >= max(options["pool_height"], options["pool_width"]):
        dout = rng.choice([1, np.nan, np.inf, -np.inf], dout.shape).astype(dtype)  # meets its winner and no other
    out, cache = conv.max_pool_forward(x, **options)
    expected = torch_gradients(torch_pool("max", options), [x], dout)
    require_equal([out, conv.max_pool_backward(dout, cache)], expected, dtype)


@pytest.mark.parametrize("kind", POOLS)
def test_pooling_refuses_what_does_not_fit(kind: str) -> None:
    forward, backward = POOLS[kind]
    with pytest.raises(ValueError, match=r"x has shape \(5, 4\) but needs axes \(N, C, H, W\)"):
        forward(IMAGES[0, 0])
    with pytest.raises(ValueError, match="x is int64 but must be floating"):
        forward(IMAGES.astype(int))
    with pytest.raises(ValueError, match="a window of 5 does not fit into 4 pixels"):
        forward(IMAGES, pool_width=5)
    with pytest.raises(ValueError, match="stride is 0 but must be at least 1"):
        forward(IMAGES, stride=0)
    out, cache = forward(IMAGES)
    with pytest.raises(ValueError, match="dout has shape"):
        backward(out[:1], cache)
    with pytest.raises(ValueError, match="dout is float32"):
        backward(out.astype(np.float32), cache)


def test_a_maximum_of_complex_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="x is complex128 but a maximum needs real numbers"):
        conv.max_pool_forward(IMAGES + 0j)
