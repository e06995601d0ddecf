"""What must be refused: a package that promises it is asked for every argument, cotangent, option; others are not."""

from types import ModuleType

import numpy as np
import pytest

from scratchproof import scratch
from scratchproof.exam.compare import Verdict
from scratchproof.exam.exam import EFFORTS, Exam
from scratchproof.exam.refusals import check_errors
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS


def results(name, *, promised=True, precision="float64", effort="normal", **replaced):
    module = ModuleType("package")
    vars(module).update(vars(scratch) | replaced)
    if not promised:
        del module.__refuses__
    subject = ModuleSubject(name="package", module=module)
    exam = Exam(subject=subject, layer=row(name), precision=PRECISIONS[precision], effort=EFFORTS[effort])
    return list(check_errors(exam))


def accepted(name, **replaced):
    return {r.quantity for r in results(name, **replaced) if r.verdict is Verdict.FAIL}


def lenient_norm(x, gamma, beta, *, eps=1e-5):
    return scratch.layernorm_forward(x, gamma.ravel() + 0 * x[0], beta, eps=eps)


def lenient_dropout(x, mask, *, p=0.5):
    return scratch.dropout_forward(x, mask, p=abs(p) or 1)


def lenient_relu_backward(dout, cache):
    return scratch.relu_backward(dout.astype(cache[0].dtype), cache)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", ["affine", "relu", "batchnorm_running", "conv", "max_pool", "squared_loss", "adam"])
def test_scratch_keeps_its_promise(name, precision):
    found = results(name, precision=precision, effort="thorough")
    assert len(found) > 10
    assert {r.verdict for r in found} == {Verdict.PASS}


def test_one_value_that_would_be_spread_must_be_refused():
    found = accepted("layernorm", layernorm_forward=lenient_norm)
    assert "gamma of one along axis 0" in found
    assert not [what for what in found if what.startswith("x")]


def test_options_out_of_range_must_be_refused():
    assert accepted("dropout", dropout_forward=lenient_dropout) == {"p 0.0", "p -0.5"}


def test_cotangents_must_look_like_the_output():
    assert accepted("relu", relu_backward=lenient_relu_backward) == {"dout of int64", "dout of float32"}


def test_a_second_precision_is_asked_only_where_time_allows():
    assert len(results("affine", precision="float32")) == 1


def test_nan_and_overflow_must_pass_in_silence():
    def loud(x, w, b):
        found = scratch.affine_forward(x, w, b)
        np.square(x)
        return found

    told = [r.message for r in results("affine", affine_forward=loud) if r.verdict is Verdict.FAIL]
    assert told
    assert all("overflow" in message for message in told)


def test_who_does_not_promise_is_not_asked():
    found = results("layernorm", promised=False, layernorm_forward=lenient_norm)
    assert found == []
    assert {r.quantity for r in results("affine", promised=False)} == {"w with a row too few"}
