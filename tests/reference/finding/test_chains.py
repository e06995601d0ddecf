"""A lone file that uses chains of layers from a file that is not there gets them, made of the layers that it has."""

import numpy as np
import pytest

from scratchproof.finding.course import COURSE, theirs
from scratchproof.finding.find import find

LAYERS = COURSE["layers"]
RNG = np.random.default_rng(0)
SOURCE = """
from .layer_utils import *

def uses():
    return affine_batch_norm_relu_forward, affine_batch_norm_relu_backward, conv_bn_relu_pool_forward, affine_forwards
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "fc_net.py").write_text(SOURCE)
    return find(str(tmp_path / "fc_net.py"), set()).module


def test_a_chain_is_its_layers_one_after_another(module):
    x, w, b = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)
    gamma, beta, dout = RNG.standard_normal(3), RNG.standard_normal(3), RNG.standard_normal((5, 3))
    out, cache = module.affine_batch_norm_relu_forward(x, w, b, gamma, beta, {"mode": "train"})
    dx, dw, db, dgamma, dbeta = module.affine_batch_norm_relu_backward(dout, cache)
    a, of_affine = LAYERS["affine_forward"](x, w, b)
    n, of_norm = LAYERS["batchnorm_forward"](a, gamma, beta, {"mode": "train"})
    assert np.array_equal(out, np.maximum(n, 0))
    da, *of_scale = LAYERS["batchnorm_backward"](dout * (n > 0), of_norm)
    due = *LAYERS["affine_backward"](da, of_affine), *of_scale
    assert all(np.array_equal(*pair) for pair in zip((dx, dw, db, dgamma, dbeta), due, strict=True))


def test_behind_a_convolution_the_normalisation_is_spatial(module):
    x, w, ones = RNG.standard_normal((2, 3, 4, 6)), RNG.standard_normal((5, 3, 3, 3)), np.ones(5)
    params = {"stride": 1, "pad": 1}, {"mode": "train"}, {"pool_height": 2, "pool_width": 2, "stride": 2}
    out, _ = module.conv_bn_relu_pool_forward(x, w, ones, ones, ones, *params)
    assert out.shape == (2, 5, 2, 3)


def test_it_is_nobodys_own_and_no_other_name_is_made_up(module):
    assert not theirs(module.affine_batch_norm_relu_forward)
    assert not hasattr(module, "affine_forwards")
