"""Mechanical mutants of a package: the rows that run what is changed are found, in every form, equivalents too."""

import pytest

from scratchproof import scratch
from scratchproof.bank.kill import Bench
from scratchproof.bank.mechanical import EQUIVALENT, changes, in_form
from scratchproof.table.layers import LAYERS


@pytest.fixture(scope="module")
def every():
    rows = [layer for layer in LAYERS if layer.kind != "start"]
    return list(changes(scratch, rows))


def rows_of(every, module, function, form=""):
    return next({r.name for r in c.rows[form]} for c in every if (c.module, c.mutant.function) == (module, function))


def test_the_rows_that_run_a_function_are_asked(every):
    assert rows_of(every, "layers", "leaky_relu_backward") == {"leaky_relu"}
    assert {"relu", "affine_relu", "TwoLayerNet", "ConvNet"} <= rows_of(every, "layers", "relu_forward")
    assert {"sgd", "sgd_momentum", "rmsprop", "adam"} == rows_of(every, "optim", "_blocks")


def test_other_forms_are_run_too(every):
    assert "conv" in rows_of(every, "conv", "conv_backward_plain", "_plain")
    assert in_form("_plain", scratch)["conv_forward"] is scratch.conv_forward_plain
    assert in_form("", scratch)["conv_forward"] is scratch.conv_forward


def test_names_are_unique_and_every_equivalent_is_still_there(every):
    assert len({c.name for c in every}) == len(every)
    reasons = {id(known): False for known in EQUIVALENT}
    for change in every:
        for known in EQUIVALENT:
            reasons[id(known)] |= known.meant(change.place, change.text, change.mutant.change)
    assert all(reasons.values()), [known for known in EQUIVALENT if not reasons[id(known)]]


def test_a_change_is_told_of_and_an_equivalent_lives(every):
    bench = Bench(precisions=("float64",))
    found = {c.mutant.change: c for c in every if c.mutant.function == "leaky_relu_forward"}
    assert found["> becomes < in x > 0"].kill(bench)
    assert found["> becomes >= in x > 0"].kill(bench) == ""
    assert found["> becomes >= in x > 0"].equivalent
    assert not found["> becomes < in x > 0"].equivalent
