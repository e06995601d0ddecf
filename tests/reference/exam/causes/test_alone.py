"""What is suspected of one array is what its sentence says."""

import numpy as np
import pytest

from scratchproof.exam.causes.alone import suspected
from scratchproof.exam.causes.evidence import Item
from scratchproof.exam.exam import Exam
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS


def item(name, quantity, case=0):
    trial = Exam(subject=None, layer=row(name), precision=PRECISIONS["float64"]).trials[case]
    expected, allowed = trial.pick(trial.truth, quantity), trial.tolerance(quantity).allowed
    return Item(trial=trial, place=(quantity, 0), actual=expected, expected=expected, allowed=allowed)


@pytest.mark.parametrize(
    ("name", "quantity", "sentence", "made"),
    [
        ("affine", "dw", "it is the transpose of the right result", lambda dout, due: due.T),
        (
            "conv",
            "db",
            "dout is averaged over axes 2, 3: a mean where its sum is due",
            lambda d, _: d.mean((2, 3)).sum(0),
        ),
        ("affine", "db", "dout is summed over axis 1, where axis 0 is due", lambda dout, due: dout.sum(1)),
        ("affine", "db", "dout is not summed over axis 0: only its first place counts", lambda dout, due: dout[0]),
        ("conv", "db", "dout is averaged over axis 3: a mean where its sum is due", lambda d, _: d.mean(3).sum((0, 2))),
        ("relu", "dx", "it is twice the right result: a factor 1/2 is missing", lambda dout, due: 2 * due),
        (
            "relu",
            "dx",
            "it is dout, passed on unchanged: the layer's own derivative is missing",
            lambda dout, due: dout,
        ),
    ],
)
def test_the_sentence_and_the_array_agree(name, quantity, sentence, made):
    one = item(name, quantity)
    found = dict(suspected(one))
    np.testing.assert_allclose(found[sentence], made(one.trial.cotangents[0]["out"], one.expected))


def test_a_factor_is_tried_along_the_axis_that_it_fits():
    one = item("spatial_batchnorm", "dx")
    gamma = one.trial.inputs["gamma"][:, None, None]
    made = [array for sentence, array in suspected(one) if sentence == "gamma is multiplied in once too often"]
    assert any(np.allclose(array, one.expected * gamma) for array in made)


def test_padding_is_cut_as_python_cuts_it():
    found = dict(suspected(item("conv", "dx")))  # pad 0
    assert found["it is cut out by [pad:-pad], which is empty where pad is 0"].shape == (2, 3, 0, 0)
    padded = dict(suspected(item("conv", "dx", case=1)))  # pad 1
    one = item("conv", "dx", case=1)
    np.testing.assert_array_equal(padded["it is cut out by [pad:-pad], which is empty where pad is 0"], one.expected)
    np.testing.assert_allclose(padded["its padding is not stripped"][:, :, 1:-1, 1:-1], one.expected)


def normed(x, gamma, beta, bn_param):
    mean, var = x.mean(axis=0), x.var(axis=0) + 1e-5
    kept = 0.1 * x.mean(axis=0), 0.1 * x.var(axis=0) + 1e-5
    return gamma * (x - mean) / np.sqrt(var) + beta, (x, (x - mean) / np.sqrt(var), gamma, *kept)


def through_what_is_kept(dout, cache):
    x, z, gamma, mean, var = cache
    g, std = dout * gamma, np.sqrt(var)
    apart = (x - mean) / std
    return (g - g.mean(axis=0) - apart * (g * apart).mean(axis=0)) / std, (dout * z).sum(axis=0), dout.sum(axis=0)


def test_running_statistics_in_backward_are_named(told):
    found = told("batchnorm", batchnorm_forward=normed, batchnorm_backward=through_what_is_kept)
    assert "the running mean and variance stand where the batch's own are due" in found["dx"]


def drawn(x, dropout_param):
    mask = np.random.default_rng(0).random(x.shape)
    mask[mask > dropout_param["p"]] = 0
    return x * mask, mask


def test_a_mask_of_what_was_drawn_is_named(told):
    found = told("dropout.training_mode", dropout_forward=drawn, dropout_backward=lambda dout, mask: dout * mask)
    assert all("mask holds other numbers" in found[quantity] for quantity in ("out", "dx"))


def beside_each_other(x, pool_param):
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    out = np.zeros((*x.shape[:2], x.shape[2] // height, x.shape[3] // width))
    for i, j in np.ndindex(*out.shape[2:]):
        out[:, :, i, j] = x[:, :, i * stride : i * stride + height, j * stride : j * stride + width].max(axis=(2, 3))
    return out, None


def test_a_size_by_the_window_where_the_stride_is_due_is_named(told):
    found = told(
        "max_pool", "normal", max_pool_forward=beside_each_other, max_pool_backward=lambda dout, cache: 0 * dout
    )
    assert "divided by pool_height, its width by pool_width" in found["out"]
