"""A row that makes no sense is refused where it is written, with the fact and the need."""

import pytest
import torch

from scratchproof.table.expressions import normal
from scratchproof.table.layers import Case, Layer

CASE = Case(name="q (N, D)", inputs=normal(q=(4, 5), k=(4, 5)))


def make(**fields):
    return Layer(**{"name": "mine", "kind": "pair", "torch": torch.mul, "cases": (CASE,), **fields})


def test_the_data_is_the_first_input_and_the_rows_are_its_unless_the_row_says_otherwise():
    assert (make().data, make().batched) == ("q", ("q",))
    assert (make(data="k").data, make(data="k").batched) == ("k", ("k",))
    assert make(batched=("q", "k")).batched == ("q", "k")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "layer"}, "kind is 'layer', but should be one of pair"),
        ({"stored": "none"}, "stored is 'none', but should be one of all, outputs"),
        ({"cases": ()}, "mine has no cases"),
        ({"cases": (CASE, Case(name="other", inputs=normal(q=(4, 5))))}, "cases with other inputs"),
        ({"data": "x"}, "data says x, but inputs are q, k"),
        ({"batched": ("q", "v")}, "batched says v"),
        ({"constant": ("mask",)}, "constant says mask"),
        ({"kind": "net"}, "needs `sizes`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_senseless_rows_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        make(**fields)
