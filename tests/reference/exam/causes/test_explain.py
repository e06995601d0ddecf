"""A cause is told where a mistake reproduces all that it changes; where it does not, it is not."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

import scratchproof
from scratchproof import scratch
from scratchproof.exam.causes import explain
from scratchproof.exam.causes.facts import KNOWN
from scratchproof.exam.checks import examine
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row


def affine(backward):
    return {"affine_forward": scratch.affine_forward, "affine_backward": backward}


def relu(forward, backward):
    return {"relu_forward": forward, "relu_backward": backward}


def maximum(x):
    return np.maximum(x, 0), x.copy()


def test_a_slip_in_all_that_it_changes_is_named(told):
    found = told("relu", **relu(maximum, lambda dout, x: dout * (x < 0)))
    assert found["dx"] == "the mask is turned around: gradient where x is negative"


def test_a_slip_in_forward_alone_is_told_as_such(told):
    found = told("relu", **relu(lambda x: (np.abs(x), x.copy()), lambda dout, x: dout * (x > 0)))
    assert found["out"] == "in forward, the absolute value is taken"


def test_what_only_resembles_a_slip_in_one_case_is_no_cause(told):
    # dx is masked the wrong way round for images alone.
    found = told("relu", "normal", **relu(maximum, lambda dout, x: dout * ((x < 0) if x.ndim == 4 else (x > 0))))
    assert "turned" not in found["dx"]


def test_another_case_tells_apart_what_fits_equally_in_one(told):
    def backward(dout, cache):
        dx, dw, db = scratch.affine_backward(dout, cache)
        return dx, dw, db / len(dout)

    def by_five(dout, cache):
        dx, dw, db = scratch.affine_backward(dout, cache)
        return dx, dw, db / 5

    assert "divided by N once too often" in told("affine", "normal", **affine(backward))["db"]
    assert "0.2 times" in told("affine", "normal", **affine(by_five))["db"]  # N is 5 in two of three cases


def test_several_that_fit_equally_are_told_to_fit_equally():
    ways = {"one way": torch.abs, "another way": torch.abs, "not at all": torch.neg}
    module = ModuleType("planted")
    vars(module).update(relu(lambda x: (abs(x), x), lambda dout, x: dout * np.sign(x)))
    layer = replace(row("relu"), slips=ways)
    report = examine(ModuleSubject(name="planted", module=module), layer, "float64", effort="quick")
    assert {r.cause for r in report.results if r.cause} == {"these fit equally: one way; or another way"}


def test_labels_that_agree_by_chance_name_no_mistake():
    # Nine zeros and ones: the sign of a bias may well give the same.
    class XorNet(scratch.XorNet):
        def predict(self, X):
            return 1 - super().predict(X)

    module = ModuleType("planted")
    vars(module).update(XorNet=XorNet)
    report = examine(ModuleSubject(name="planted", module=module), row("XorNet.predict"), "float64", effort="quick")
    assert any("1 is predicted where the logit is negative" in r.cause for r in report.results)
    assert not any("b2" in r.cause for r in report.results)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_no_mistake_is_named_for_what_is_zero_or_nan_throughout(told, value):
    found = told("relu", **relu(maximum, lambda dout, x: np.full_like(dout, value)))
    assert found["dx"].startswith(KNOWN)


def test_a_truth_that_is_mere_dust_has_no_cause(told):
    # b1 stands before a normalisation: its gradient is rounding alone.
    def softmax_loss(x, y):
        loss, dx = scratch.softmax_loss(x, y)
        return loss, dx * (1 + 1e-3)

    assert "times the right result throughout" in told("softmax_loss", softmax_loss=softmax_loss)["dx"]


def test_a_factor_near_one_is_not_told_as_a_factor_of_one(told):
    found = told("relu", **relu(maximum, lambda dout, x: dout * (x > 0) * (1 + 1e-9)))
    assert "it is 1 + 1e-09 times" in found["dx"]


def test_it_is_told_if_only_elements_of_one_sign_are_wrong(told):
    found = told("relu", **relu(maximum, lambda dout, x: np.where(x > 0, dout, 0.3 * np.sin(dout))))
    assert found["dx"].endswith("17 of 42 elements are wrong: all where x is negative, and nowhere else")


def test_each_of_two_mistakes_has_its_own_cause(told):
    def backward(dout, cache):
        dx, dw, db = scratch.affine_backward(dout, cache)
        return -dx, dw, 2 * db

    found = told("affine", **affine(backward))
    assert "sign is flipped" in found["dx"]
    assert "twice" in found["db"]


def test_what_follows_from_a_wrong_output_is_told_to(told):
    def forward(x):
        return np.maximum(x, 0) ** 1.5, x.copy()

    found = told("relu", **relu(forward, lambda dout, x: dout * 1.5 * np.maximum(x, 0) ** 0.5))
    assert "the output is wrong already" in found["dx"]


def test_gradients_in_the_wrong_order_are_told_to_be_exchanged(told):
    def backward(dout, cache):
        dx, dw, db = scratch.affine_backward(dout, cache)
        return dx, db, dw

    found = told("affine", **affine(backward))
    assert found["dw"] == found["db"] == "dw and db are exchanged"


def test_a_row_that_is_left_out_is_told(told):
    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x[:-1].T @ dout[:-1], dout[:-1].sum(0)

    functions = {"affine_forward": lambda x, w, b: (x @ w + b, (x, w)), "affine_backward": backward}
    found = told("affine", **functions)
    assert found["dw"] == found["db"] == "in backward, the last row of the batch is left out"


def doubled(x):
    return 2.0 * torch.tanh(x)


def test_a_function_of_a_lone_number_has_causes_too():
    report = scratchproof.examine(doubled, truth=torch.tanh, inputs={"x": ()}, seed=0)
    assert any("twice" in finding.cause for finding in report.findings)


def test_what_is_too_large_to_try_mistakes_on_is_told_by_facts(monkeypatch):
    monkeypatch.setattr(explain, "LARGE", 5)
    report = scratchproof.examine(doubled, truth=torch.tanh, inputs={"x": (2, 3)}, seed=0)
    assert all(finding.cause.startswith(KNOWN) for finding in report.findings if finding.cause)
    assert any("2 times the right result" in finding.cause for finding in report.findings)
