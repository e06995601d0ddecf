"""What a derived tolerance allows, and what it does not."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scratchproof.exam.compare import compare
from scratchproof.oracle.tolerance import least, tolerances
from scratchproof.vjp import PRECISIONS, answer, from_torch

RNG = np.random.default_rng(0)


def judged(actual, expression, inputs, precision="float64", **given):
    """The problem, if any, that the derived tolerance finds with an array as the expression's output."""
    truth = answer(from_torch(expression), inputs)
    allowed, _ = tolerances(expression, truth, inputs, (), PRECISIONS[precision], **given)
    return compare(actual, truth.outs["out"], allowed["out"], PRECISIONS[precision]).problem


def test_a_truth_may_be_several_equivalent_expressions():
    x, t = RNG.standard_normal(400) + 30, np.ones(400)

    def softplus(x, t):
        return torch.logaddexp(torch.zeros_like(x), -x) + (1 - t) * x

    def other(x, t):
        return torch.logaddexp(torch.zeros_like(x), x) - t * x  # cancels: 30 - 30

    found = from_torch(other)(x=x, t=t)[0]
    given = {"expression": softplus, "inputs": {"x": x, "t": t}}
    assert judged(found, **given) is not None
    assert judged(found, **given, alternatives=(other,)) is None
    assert judged(found * (1 + 1e-3) + 1e-10, **given, alternatives=(other,)) is not None


def test_what_torch_cannot_be_asked_about_is_neither_passed_nor_failed():
    library = torch.library.Library("stranger", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CPU")
    x = {"x": RNG.standard_normal(5)}
    assert judged(2 * x["x"], torch.ops.stranger.twice, x) == "unmodelled"
    assert judged(3 * x["x"], torch.ops.stranger.twice, x) == "unmodelled"
    assert judged(3 * x["x"][:3], torch.ops.stranger.twice, x) == "shape"


def test_random_draws_are_the_same_in_every_run():
    x = {"x": np.ones(50)}

    def dropped(x):
        return torch.nn.functional.dropout(x, 0.5)

    right = answer(from_torch(dropped), x).outs["out"]
    assert judged(right, dropped, x) is None
    assert judged(2 - right, dropped, x) == "value"


@pytest.mark.parametrize("seed", [15, 34])
def test_the_variance_of_sparse_data_summed_row_by_row_is_right(seed):
    """Nine tenths of its terms are the mean's square, and all of them are rounded to the same side."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((300, 3)) < 0.9, 0.0, rng.standard_normal((300, 3))).astype(np.float32)
    given = {"expression": lambda x: x.var(0), "inputs": {"x": x.astype(np.float64)}, "precision": "float32"}
    assert judged(x.var(0, ddof=1), **given) is None
    assert judged(x.var(0), **given) is not None


def found(function, precision, inputs, cotangents):
    """What a torch function gives in a precision: its output and each gradient, by name."""
    given = answer(from_torch(function, PRECISIONS[precision]), inputs, cotangents)
    return by_quantity(given.outs, given.grads[0])


def by_quantity(outs, grads):
    return {**outs, **{f"d{name}": value for name, value in grads.items()}}


def posed(expression, shapes, precision, seed=0, **given):
    """Random inputs, a cotangent, the truth and what is allowed."""
    rng, p = np.random.default_rng(seed), PRECISIONS[precision]
    inputs = p.rounded({name: rng.standard_normal(shape) for name, shape in shapes.items()})
    out = answer(from_torch(expression), inputs).out
    cotangents = [p.rounded({"out": rng.standard_normal(out.shape)})]
    truth = answer(from_torch(expression), inputs, cotangents)
    outs, (grads,) = tolerances(expression, truth, inputs, cotangents, p, seed=seed, **given)
    return inputs, cotangents, by_quantity(truth.outs, truth.grads[0]), by_quantity(outs, grads)


def seen(function, precision, problem):
    """The quantities of which something is said."""
    inputs, cotangents, due, allowed = problem
    gave = found(function, precision, inputs, cotangents)
    return {name for name in due if compare(gave[name], due[name], allowed[name], PRECISIONS[precision]).problem}


def in_float32(function):
    """The same with everything but inputs and results kept in float32."""
    return lambda *x: function(*(v if v.dtype == torch.float64 else v.float() for v in x)).to(x[0].dtype)


def attention(error=0.0):
    return lambda q, k, v: (q @ k.mT * ((1 + error) * q.shape[-1] ** -0.5)).softmax(-1) @ v


@pytest.mark.parametrize(("precision", "error"), [("float32", 1.9e-6), ("float16", 4.9e-4), ("bfloat16", 3.9e-3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_scale_of_attention_off_by_less_than_a_last_place_is_seen_and_right_kernels_are_not(precision, error, seed):
    shapes = {"q": (2, 33, 64), "k": (2, 65, 64), "v": (2, 65, 64)}
    problem = posed(F.scaled_dot_product_attention, shapes, precision, seed)
    for right in (F.scaled_dot_product_attention, attention(), in_float32(attention())):
        assert not seen(right, precision, problem)
    assert seen(in_float32(attention(error)), precision, problem)


def leaking(q, k, v):
    """Attention that takes a thousandth too much of each row's dout * out into dq."""
    p = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
    return p @ v + p.detach() @ v.detach() * 1e-3 * (q - q.detach()).sum(-1, keepdim=True)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("size", [3, 10])
def test_torchs_attention_is_right_where_its_scores_are_large(precision, size):
    """Its gradients come of exp(score - log of the sum), and of what was stored of its result."""

    def scaled(q, k, v):
        return F.scaled_dot_product_attention(size * q, size * k, v)

    shapes = {"q": (1, 2, 33, 16), "k": (1, 2, 65, 16), "v": (1, 2, 65, 16)}
    problem = posed(scaled, shapes, precision)
    assert not seen(scaled, precision, problem)
    assert seen(lambda q, k, v: leaking(size * q, size * k, v), precision, problem) == {"dq"}


def rms_norm(count):
    return lambda x, w: x * torch.rsqrt((x * x).sum(-1, keepdim=True) / count + 1e-6) * w


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_kernel_that_keeps_float32_inside_is_held_to_that(precision):
    """A mean over 1,023 of 1,024 is a bias of a sixteenth of bfloat16's last place."""
    shapes = {"x": (32, 1024), "w": (1024,)}
    problem = posed(rms_norm(1024), shapes, precision, stored="outputs")
    assert not seen(in_float32(rms_norm(1024)), precision, problem)
    assert seen(in_float32(rms_norm(1023)), precision, problem) == {"out", "dx", "dw"}
    assert not seen(rms_norm(1024), precision, posed(rms_norm(1024), shapes, precision))


def units(name, problem):
    """What an element of median size is allowed, in its own last places in float32."""
    _, _, due, allowed = problem
    median = np.median(np.abs(due[name]))
    near = np.abs(np.abs(due[name]) - median) < median / 8
    return np.median(allowed[name].allowed[near]) / (PRECISIONS["float32"].unit * median)


@pytest.mark.parametrize(
    ("expression", "shapes"),
    [
        (lambda x, w, b: x @ w + b, {"x": (50, 3072), "w": (3072, 10), "b": (10,)}),
        (lambda x, w, b: F.conv2d(x, w, b, padding=1), {"x": (2, 128, 6, 6), "w": (8, 128, 5, 5), "b": (8,)}),
    ],
    ids=["affine", "convolution"],
)
def test_one_element_of_a_long_sum_is_held_to_the_sum_it_is(expression, shapes):
    problem = posed(expression, shapes, "float32")
    assert units("out", problem) <= 256
    assert units("dw", problem) <= 64


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("expression", [torch.relu, torch.sum, torch.tanh, lambda x: x.softmax(0), lambda x: 0 * x])
def test_what_is_allowed_at_the_least_is_allowed_whatever_is_derived(expression, precision):
    inputs = PRECISIONS[precision].rounded({"x": RNG.standard_normal((5, 3))})
    out = from_torch(expression)(**inputs)[0]
    douts = [{"out": RNG.standard_normal(out.shape)}]
    truth = answer(from_torch(expression), inputs, douts)
    of_out, (of_dx,) = tolerances(expression, truth, inputs, douts, PRECISIONS[precision])
    least_of_out, (least_of_dx,) = least(truth, PRECISIONS[precision])
    for derived, floor in ((of_out["out"], least_of_out["out"]), (of_dx["x"], least_of_dx["x"])):
        assert (floor.allowed <= derived.allowed).all()
        assert (floor.ceiling <= derived.ceiling).all()
        assert floor.scale <= derived.scale
        assert floor.offset <= derived.offset
        assert floor.drift <= derived.drift
