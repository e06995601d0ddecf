"""Options reach a function by name, in the course's dictionary, or in order, whatever it calls them."""

import functools

import numpy as np
import pytest

from scratchproof.subjects.cs231n.calling import calling, takes, wants_dictionary
from scratchproof.subjects.protocol import Unsupported
from scratchproof.table.layers import Case, row

POOL = {"pool_height": 3, "pool_width": 2, "stride": 1}


def called(function, layer="max_pool", options=POOL):
    given = row(layer)
    case = Case(name="", inputs=given.cases[0].inputs, options=options)
    inputs = given.cases[0].inputs(np.random.default_rng(0))
    return calling(function, given, case, len(inputs))(inputs)


def hidden(function):
    return lambda *args, **kwargs: function(*args, **kwargs)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, pool_param: tuple(pool_param.values()),
        lambda x, pool_param: (pool_param["height"], pool_param["width"], pool_param["stride"]),
        lambda x, pool_param, verbose=False, axis=0: tuple(pool_param.values()),
        lambda x, *, pool_height, pool_width, stride: (pool_height, pool_width, stride),
        lambda x, pool_height=2, pool_width=2, stride=2: (pool_height, pool_width, stride),
        lambda x, hh, ww, s: (hh, ww, s),
        lambda x, config, **rest: tuple(config.values()),
        hidden(lambda x, pool_param: tuple(pool_param.values())),
        hidden(lambda x, *, pool_height, pool_width, stride: (pool_height, pool_width, stride)),
        functools.partial(lambda x, pool_param, debug: tuple(pool_param.values()), debug=True),
    ],
)
def test_the_options_arrive(function):
    assert called(function) == (3, 2, 1)


def test_a_synonym_is_understood_and_what_has_no_place_is_told():
    assert called(lambda x, alpha=0.01: alpha, "leaky_relu", {"negative_slope": 0.3}) == 0.3
    with pytest.raises(Unsupported, match="takes no pool_height, pool_width, stride"):
        called(lambda x: x)
    with pytest.raises(Unsupported, match="wants nonsense"):
        called(lambda x, pool_height, pool_width, stride, nonsense: x)


def test_what_goes_wrong_within_is_what_is_told():
    def wrong(x, pool_param):
        raise KeyError("of the author's own")

    with pytest.raises(KeyError, match="of the author's own"):
        called(wrong)


def test_dictionaries_are_told_from_inputs():
    assert takes(lambda x, w, b: x, 3)
    assert not takes(lambda x, pool_param: x, 2)
    assert wants_dictionary(lambda x, gamma, beta, bn_param: x, 3)
    assert not wants_dictionary(lambda x, gamma, beta, eps: x, 3)
