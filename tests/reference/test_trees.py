"""Nested values become names and come back."""

from collections import namedtuple

import pytest

from scratchproof import trees

Pair = namedtuple("Pair", "left right")
NESTED = {"x": 1, "cell": (2, 3), "pair": Pair(4, None), "deep": [{"a": 5}]}


def test_leaves_are_called_by_the_way_to_them():
    names = {"x": 1, "cell.0": 2, "cell.1": 3, "pair.left": 4, "deep.0.a": 5}
    assert trees.flat(NESTED) == names
    assert list(trees.flat(NESTED)) == list(names)


def test_a_bare_leaf_has_the_name_it_is_given():
    assert trees.flat(7, "out") == {"out": 7}


def test_what_is_rebuilt_has_the_same_form():
    twice = trees.rebuild(NESTED, (2 * leaf for leaf in trees.flat(NESTED).values()))
    assert twice == {"x": 2, "cell": (4, 6), "pair": Pair(8, None), "deep": [{"a": 10}]}
    assert isinstance(twice["pair"], Pair)


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"two values are called 'a\.b'"):
        trees.flat({"a.b": 1, "a": {"b": 2}})
