"""A lack of precision is told by the arithmetic that would explain it; a wrong formula is not explained away."""

from types import ModuleType

import numpy as np
import pytest
import torch

import scratchproof
from scratchproof import scratch
from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.oracle.explain import as_if, effective_bits
from scratchproof.oracle.tolerance import tolerances
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS, answer, from_torch

RNG = np.random.default_rng(0)
INPUTS = {"a": RNG.standard_normal((20, 300)), "b": RNG.standard_normal((300, 7))}


def product(a, b):
    return a @ b


def kept(values, dtype):
    return torch.from_numpy(np.asarray(values)).to(dtype)


def in_format(dtype):
    """The product with operands, products and sums in one format."""
    a, b = kept(INPUTS["a"], dtype), kept(INPUTS["b"], dtype)
    total = torch.zeros(20, 7, dtype=dtype)
    for k in range(300):
        total = total + a[:, k, None] * b[None, k]
    return total.double().numpy()


def tf32():
    """Operands cut to eleven bits, summed in float32."""
    cut = [torch.from_numpy(x).float().view(torch.int32) for x in INPUTS.values()]
    a, b = ((x & ~0x1FFF).view(torch.float32) for x in cut)
    return (a @ b).double().numpy()


@pytest.mark.parametrize(
    ("precision", "actual", "words"),
    [
        ("float64", in_format(torch.float32), "as if float32 inside"),
        ("float32", tf32(), "as if its operands were TF32"),
        ("bfloat16", in_format(torch.bfloat16), "as if summed in bfloat16"),
        ("float16", in_format(torch.float16), "as if summed in float16"),
    ],
)
def test_the_finest_arithmetic_that_explains_an_error_is_named(precision, actual, words):
    inputs = PRECISIONS[precision].rounded(INPUTS)
    truth = answer(from_torch(product), inputs)

    def derive(of):
        return tolerances(product, truth, inputs, (), of)[0]["out"]

    expected = truth.outs["out"]
    assert (np.abs(actual - expected) > derive(PRECISIONS[precision]).allowed).any()
    assert as_if(actual, expected, PRECISIONS[precision], derive).startswith(words)
    assert as_if(-expected, expected, PRECISIONS[precision], derive) == ""


def test_a_product_summed_in_bfloat16_is_suspect_and_says_so():
    def summed(a, b):
        total = torch.zeros(20, 7, dtype=a.dtype)
        for k in range(300):
            total = total + a[:, k, None] * b[None, k]
        return total

    shapes = {name: value.shape for name, value in INPUTS.items()}
    report = scratchproof.examine(
        summed, truth=torch.matmul, inputs=shapes, precisions=("bfloat16",), effort="quick", framework="torch"
    )
    found = [finding for finding in report.findings if finding.check == "values"]
    assert found
    assert {finding.verdict for finding in found} == {Verdict.SUSPECT}
    assert all("as if summed in bfloat16" in finding.cause for finding in found)


def test_bits_are_those_that_are_right():
    expected = RNG.standard_normal(1000)
    assert round(effective_bits(expected * 2.0**-9, expected)) == 9


def test_the_exam_says_so():
    def forward(x, w, b):
        out, cache = scratch.affine_forward(*(v.astype(np.float32) for v in (x, w, b)))
        return out.astype(x.dtype), cache

    def backward(dout, cache):
        return tuple(d.astype(dout.dtype) for d in scratch.affine_backward(dout.astype(np.float32), cache))

    module = ModuleType("narrow")
    vars(module).update(affine_forward=forward, affine_backward=backward)
    subject = ModuleSubject(name="narrow", module=module)
    report = examine(subject, row("affine"), "float64")
    found = [result for result in report.findings if result.check == "values"]
    assert found
    assert all(result.verdict is Verdict.SUSPECT for result in found), found
    assert "as if float32 inside" in found[0].cause
