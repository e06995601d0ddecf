"""The table: unique names, companions beside what they ask more of, and shapes that say what must occur."""

import numpy as np
import pytest

from scratchproof.table.layers import LAYERS, family, row

SHAPED = [layer.name for layer in LAYERS if layer.shapes]


def test_names_are_unique_and_a_family_is_found_together():
    names = [layer.name for layer in LAYERS]
    assert len(names) == len(set(names))
    assert [layer.name for layer in family("conv")] == ["conv", "conv.need_dx"]
    assert all(row(layer.of) for layer in LAYERS if layer.of)


@pytest.mark.parametrize("name", SHAPED)
def test_shapes_make_inputs_that_the_expression_takes(name):
    shapes = row(name).shapes
    rng = np.random.default_rng(0)
    for _ in range(20):
        sizes = {letter: int(rng.choice(sizes)) for letter, sizes in shapes.letters.items()}
        if shapes.legal(**sizes):
            case = shapes.case(sizes)
            assert list(case.inputs(rng)) == list(row(name).cases[0].inputs(rng))
            assert all(f"{letter} {size}" in case.name for letter, size in sizes.items())
