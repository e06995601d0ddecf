"""The contract: one output or several, floating or not, and what becomes of their cotangents."""

import numpy as np
import pytest
import torch

from scratchproof.exam import checks
from scratchproof.exam.compare import Verdict
from scratchproof.subjects.subject import TorchSubject
from scratchproof.table.expressions import normal
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import PRECISIONS, answer, from_torch

X = np.arange(6.0).reshape(2, 3) - 2


def several(x, y):
    """Two floating outputs, one of them nested, and one of whole numbers."""
    return {"product": x * y, "sums": (x.sum(0), (x * y).argmax(1))}


def test_several_outputs_come_by_name_and_their_gradients_add_up():
    dout = {"product": X + 1, "sums.0": np.array([1.0, 2.0, 3.0])}
    found = answer(from_torch(several), {"x": X, "y": X + 3}, [dout])
    assert list(found.outs) == ["product", "sums.0", "sums.1"]
    assert found.outs["sums.1"].dtype == np.int64
    np.testing.assert_array_equal(found.grads[0]["x"], (X + 1) * (X + 3) + [1, 2, 3])
    np.testing.assert_array_equal(found.grads[0]["y"], (X + 1) * X)


def test_a_lone_output_is_an_array_and_is_called_out():
    out, pullback = from_torch(torch.sin)(x=X)
    assert isinstance(out, np.ndarray)
    np.testing.assert_array_equal(pullback(X)["x"], pullback({"out": X})["x"])
    assert list(answer(from_torch(torch.sin), {"x": X}).outs) == ["out"]


def test_an_output_that_depends_on_nothing_has_a_zero_gradient():
    found = answer(from_torch(lambda x: torch.ones(2, dtype=x.dtype)), {"x": X}, [{"out": np.ones(2)}])
    np.testing.assert_array_equal(found.grads[0]["x"], np.zeros_like(X))


def test_complex_results_are_refused_in_plain_words():
    with pytest.raises(ValueError, match=r"out is torch\.complex128, but should be real: return torch\.view_as_real"):
        from_torch(torch.fft.fft)(x=X)


LAYER = Layer(
    name="several",
    kind="pair",
    torch=several,
    cases=(Case(name="x (N, D)", inputs=normal(x=(4, 5), y=(4, 5))),),
    corners=("zeros", "one row"),
)


def sits(expression):
    class Subject(TorchSubject):
        def function(self, layer, case, precision):
            return from_torch(expression, precision)

    subject = Subject(name="torch", device="cpu", precision=PRECISIONS["float32"])
    return checks.examine(subject, LAYER, "float32")


def test_the_exam_takes_several_outputs():
    assert sits(several).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda x, y: {**several(x, y), "product": 1.01 * x * y}, "several product: got"),
        (lambda x, y: {**several(x, y), "sums": (x.sum(0), (x * y).argmin(1))}, "several sums.1: got"),
        (lambda x, y: {**several(x, y), "product": x * y.detach()}, "several dy: got"),
        (lambda x, y: {"product": x * y}, "gave product, but should give sums.0, sums.1 too"),
    ],
    ids=["an output", "whole numbers", "a gradient", "outputs missing"],
)
def test_a_wrong_output_or_gradient_is_told_by_its_name(wrong, words):
    report = sits(wrong)
    assert report.verdict is Verdict.FAIL
    assert any(words in finding.message for finding in report.findings)
