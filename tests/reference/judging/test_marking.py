"""What is said of an output beside its numbers, of what a call did, and which wrong answers would pass."""

import numpy as np
import pytest
import torch
from torch import nn

from scratchproof.exam.compare import Verdict
from scratchproof.judging import asks
from scratchproof.judging.marking import conduct, formal, marked, statistics, survivors
from scratchproof.judging.truth import Truth
from scratchproof.kernels.candidate import Called
from scratchproof.kernels.problem import from_objects
from scratchproof.vjp import PRECISIONS

FLOAT = PRECISIONS["float32"]


def truth_of(reference, draw, **how):
    setting = from_objects(reference, draw).at({}, 0)
    ask = asks.base(setting, FLOAT, 0, asks.built_state(setting), grad=True)
    return Truth(ask=ask, precision=FLOAT, allow=FLOAT, grid=FLOAT, seed=0, **how)


def rows():
    return [torch.randn(5, 7)]


@pytest.fixture(scope="module")
def truth():
    return truth_of(torch.tanh, rows)


def called(facts=None, **how):
    plain = {"type": "", "dtype": "float32", "device": "cpu", "layout": "torch.strided", "shared": [], "graph": True}
    facts = {"out": plain} if facts is None else {name: {**plain, **fact} for name, fact in facts.items()}
    what = {"number": 1, "outs": {}, "changed": (), "threads": (), "patched": ()}
    return Called(facts=facts, **{**what, **how})


def test_what_is_right_is_left_alone(truth):
    right = truth.expected["out"].astype(np.float32).astype(np.float64)
    found = marked(truth, "out", right, {})
    assert found.reason is None
    assert 0 < found.share < 1
    assert not [*formal(called(), truth), *conduct(called(), truth)]


def test_for_what_torch_itself_gives_nothing_is_derived():
    truth = truth_of(torch.tanh, rows)
    assert marked(truth, "out", truth.eager.outs["out"], {}).reason is None
    assert not truth._under
    assert marked(truth, "out", truth.eager.outs["out"] * 1.001, {}).reason is not None


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lambda t: 0 * t, "zeros"),
        (lambda t: t * 1.001, "wrong factor"),
        (lambda t: t[::-1].copy(), "permutation"),
        (lambda t: t[:-1], "wrong shape"),
        (lambda t: np.where(t == t.max(), np.nan, t), "not finite"),
    ],
)
def test_what_is_wrong_is_named(truth, wrong, kind):
    found = marked(truth, "out", wrong(truth.expected["out"]), {})
    assert found.reason.kind == kind
    assert found.reason.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, "missing output"),
        ({"out": {}, "more": {}}, "another output"),
        ({"out": {"type": "Lazy"}}, "not a real tensor"),
        ({"out": {"layout": "torch.sparse_coo"}}, "not a real tensor"),
        ({"out": {"dtype": "float64"}}, "wrong dtype"),
        ({"out": {"shared": ["x"]}}, "shares storage"),
    ],
)
def test_the_form_of_an_output(truth, facts, kind):
    assert [reason.kind for reason in formal(called(facts), truth)] == [kind]


def test_memory_that_the_reference_shares_may_be_shared():
    assert not list(formal(called({"out": {"shared": ["x"]}}), truth_of(lambda x: x.view(7, 5), rows)))


def test_what_a_call_did_beside(truth):
    found = list(conduct(called(changed=("x",), threads=("t",), patched=("torch.equal",)), truth))
    assert [reason.kind for reason in found] == ["writes an input", "patches torch", "threads left"]
    assert not list(conduct(called(changed=("x",)), truth_of(lambda x: x.mul_(2), rows)))


def test_wrong_answers_that_would_pass(truth):
    assert survivors(truth, {}) == set()
    assert ("zeros", "out") in survivors(truth_of(lambda x: x - x, rows), {})


def test_statistics_that_are_left_or_wrong():
    truth = truth_of(nn.BatchNorm1d(7), rows)
    right, _ = truth.kept
    assert set(right.outs) == {"running_mean", "running_var"}
    assert not list(statistics(truth, right.outs))
    left = list(statistics(truth, truth.ask.state))
    assert [reason.verdict for reason in left] == [Verdict.PASS] * 2
    biased = {**right.outs, "running_var": truth.ask.state["running_var"] * 0.9 + right.outs["running_var"] * 0.1}
    assert [reason.verdict for reason in statistics(truth, biased)] == [Verdict.SUSPECT]
    assert not list(statistics(truth_of(nn.LayerNorm(7), rows), {}))
