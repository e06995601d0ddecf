"""What stands in for the course's own modules computes what the course's do."""

import numpy as np

from scratchproof.finding.course import COURSE, theirs

LAYERS, IM2COL = COURSE["layers"], COURSE["im2col_cython"]
RNG = np.random.default_rng(0)


def test_what_stands_in_is_nobodys_own():
    assert not any(theirs(value) for value in LAYERS.values() if callable(value))
    assert theirs(test_what_stands_in_is_nobodys_own)


def test_col2im_is_the_transpose_of_im2col():
    x = RNG.standard_normal((2, 3, 5, 6))
    cols = IM2COL["im2col_cython"](x, 3, 2, 1, 2)
    other = RNG.standard_normal(cols.shape)
    back = IM2COL["col2im_cython"](other, 2, 3, 5, 6, 3, 2, 1, 2)
    assert back.shape == x.shape
    assert np.isclose((cols * other).sum(), (x * back).sum())


def test_im2col_serves_a_convolution():
    x, w, b = RNG.standard_normal((2, 3, 5, 6)), RNG.standard_normal((4, 3, 3, 2)), RNG.standard_normal(4)
    out, _ = LAYERS["conv_forward_fast"](x, w, b, {"stride": 2, "pad": 1})
    cols = IM2COL["im2col_cython"](x, 3, 2, 1, 2)
    by_hand = (w.reshape(4, -1) @ cols).reshape(4, *out.shape[2:], 2).transpose(3, 0, 1, 2) + b[:, None, None]
    assert np.allclose(out, by_hand)


def test_batch_norm_keeps_its_statistics_and_uses_them_in_test_mode():
    x, gamma, beta, param = RNG.standard_normal((6, 3)), np.ones(3), np.zeros(3), {"mode": "train", "momentum": 0.0}
    out, _ = LAYERS["batchnorm_forward"](x, gamma, beta, param)
    param["mode"] = "test"
    assert np.allclose(LAYERS["batchnorm_forward"](x, gamma, beta, param)[0], out)


def test_dropout_keeps_p_and_scales():
    out, cache = LAYERS["dropout_forward"](np.ones((200, 50)), {"mode": "train", "p": 0.25, "seed": 1})
    assert set(np.unique(out)) == {0.0, 4.0}
    assert np.array_equal(LAYERS["dropout_backward"](np.ones((200, 50)), cache), out)
