"""Normalisation over rows, channels and groups, against central differences, batch norm and hand-made numbers."""

from functools import partial

import numpy as np
import pytest

from scratchproof import scratch

SHAPES = {"layernorm": (4, 5), "spatial_batchnorm": (3, 4, 2, 3), "spatial_groupnorm": (3, 4, 2, 3)}
OPTIONS = {"layernorm": {}, "spatial_batchnorm": {}, "spatial_groupnorm": {"groups": 2}}
norms = pytest.mark.parametrize("norm", SHAPES)


def pair(norm):
    forward, backward = (getattr(scratch, f"{norm}_{way}") for way in ("forward", "backward"))
    return partial(forward, **OPTIONS[norm]), backward


def drawn(norm, dtype=np.float64, rows=None):
    rng = np.random.default_rng(0)
    shape = SHAPES[norm] if rows is None else (rows, *SHAPES[norm][1:])
    return [rng.standard_normal(s).astype(dtype) for s in (shape, shape[1:2], shape[1:2], shape)]


@norms
def test_gradients_are_the_slopes_of_the_forward_pass(norm, require_gradient):
    *inputs, dout = drawn(norm)
    forward, backward = pair(norm)
    grads = backward(dout, forward(*inputs)[1])
    for place, grad in enumerate(grads):

        def out(value, place=place):
            return forward(*(value if i == place else other for i, other in enumerate(inputs)))[0]

        require_gradient(out, inputs[place], dout, grad)


@norms
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_dtype_and_shapes_come_out_as_they_went_in(norm, dtype, rows):
    *inputs, dout = drawn(norm, dtype, rows)
    forward, backward = pair(norm)
    out, cache = forward(*inputs)
    grads = backward(dout, cache)
    assert [(a.shape, a.dtype) for a in (out, *grads)] == [(a.shape, dtype) for a in (inputs[0], *inputs)]


@norms
def test_nothing_that_is_given_is_written_or_handed_out(norm):
    *inputs, dout = drawn(norm)
    for array in (*inputs, dout):
        array.setflags(write=False)
    forward, backward = pair(norm)
    out, cache = forward(*inputs)
    for fresh in (out, *backward(dout, cache)):
        assert not any(np.shares_memory(fresh, given) for given in (*inputs, dout))


def test_of_one_group_group_norm_is_layer_norm_of_whole_images():
    x = drawn("spatial_groupnorm")[0]
    out, _ = scratch.spatial_groupnorm_forward(x, np.ones(4), np.zeros(4), groups=1)
    rows, _ = scratch.layernorm_forward(x.reshape(3, -1), np.ones(24), np.zeros(24))
    np.testing.assert_array_equal(out.reshape(3, -1), rows)


def test_layer_norm_by_hand():
    out, _ = scratch.layernorm_forward(np.array([[1.0, 3.0]]), np.array([2.0, 5.0]), np.array([0.5, 1.0]), eps=3.0)
    np.testing.assert_array_equal(out, [[-0.5, 3.5]])  # mean 2, variance 1, deviation sqrt(1 + 3)


@norms
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, gamma, beta: (x, gamma[:-1], beta), r"gamma has shape \(\d,\) but needs"),
        (lambda x, gamma, beta: (x, gamma.astype(np.float32), beta), "must share one dtype"),
        (lambda x, gamma, beta: (x[0, 0], gamma, beta), "needs axes|but needs"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(norm, spoil, message):
    *inputs, _ = drawn(norm)
    with pytest.raises(ValueError, match=message):
        pair(norm)[0](*spoil(*inputs))


@pytest.mark.parametrize("groups", [0, 3, 8])
def test_groups_must_divide_the_channels(groups):
    *inputs, _ = drawn("spatial_groupnorm")
    with pytest.raises(ValueError, match=f"groups is {groups} but must divide the 4 channels"):
        scratch.spatial_groupnorm_forward(*inputs, groups=groups)


@norms
def test_eps_must_be_positive(norm):
    *inputs, _ = drawn(norm)
    with pytest.raises(ValueError, match="eps is 0 but must be positive"):
        pair(norm)[0](*inputs, eps=0)
