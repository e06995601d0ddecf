"""The texts say what the rows' expressions are."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scratchproof.exam.causes.references import REFERENCES
from scratchproof.table.layers import EVERY_ROW, row
from scratchproof.vjp import answer, from_torch


@pytest.mark.parametrize("name", REFERENCES)
def test_a_text_is_the_expression_of_its_row(name):
    layer, found = row(name), {"torch": torch, "F": F}
    exec(REFERENCES[name], found)
    for case in layer.cases:
        inputs = case.inputs(np.random.default_rng(0))
        written, declared = (
            from_torch(expression, constant=layer.constant, options=case.options)
            for expression in (found["reference"], layer.torch)
        )
        douts = [{k: np.ones_like(v) for k, v in answer(declared, inputs).outs.items()}] if layer.pulls_back else []
        if layer.outputs:
            outs = [t.numpy() for t in found["reference"](*map(torch.from_numpy, inputs.values()))]
            for value, due in zip(outs, answer(declared, inputs).outs.values(), strict=True):
                np.testing.assert_allclose(value, due)
            continue
        a, b = answer(written, inputs, douts), answer(declared, inputs, douts)
        np.testing.assert_allclose(a.out, b.out)
        for of_a, of_b in zip(a.grads, b.grads, strict=True):
            for key in of_b:
                np.testing.assert_allclose(of_a[key], of_b[key], atol=np.finfo(float).eps * 100)


def test_every_row_of_a_pair_a_loss_or_an_optimizer_has_a_text():
    due = {layer.name for layer in EVERY_ROW if layer.kind in ("pair", "loss", "rule")}
    assert due <= set(REFERENCES)
