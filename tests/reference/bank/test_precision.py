"""The smallest error that is seen: finer in finer formats, finer everywhere than in one element, never nothing."""

import math

import pytest

from scratchproof.bank.precision import WHERE, at_scale, rows, seen
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS


@pytest.mark.parametrize("name", ["affine", "softmax_loss", "adam"])
def test_each_place_of_each_quantity_is_seen(name):
    found = list(seen(row(name), PRECISIONS["float32"]))
    assert {one.where for one in found} == set(WHERE)
    assert all(one.units >= 1 and math.isfinite(one.units) for one in found)
    for one in found:
        everywhere = next(o for o in found if (o.quantity, o.where) == (one.quantity, "everywhere"))
        assert everywhere.smallest <= one.smallest


def test_a_finer_format_sees_less():
    coarse, fine = (max(o.smallest for o in seen(row("affine"), PRECISIONS[p])) for p in ("bfloat16", "float32"))
    assert fine < coarse


def test_the_rows_at_the_scale_of_training_are_among_them():
    names = [layer.name for layer in rows()]
    assert {layer.name for layer in at_scale()} < set(names)
    assert [layer.name for layer in rows([row("affine"), row("TwoLayerNet.start")])] == ["affine"]


def test_the_cotangent_is_no_input_in_disguise():
    """Drawn alike, dout would be x, whose gradient through a normalisation cancels."""
    assert all(one.units < 1000 for one in seen(row("batchnorm"), PRECISIONS["float32"]) if one.where == "one element")
