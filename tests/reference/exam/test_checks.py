"""One planted bug for each check: the check it is meant for catches it."""

from types import ModuleType

import numpy as np
import pytest
import torch

from scratchproof import scratch
from scratchproof.exam import checks
from scratchproof.exam.compare import Severity, Verdict
from scratchproof.subjects.subject import ModuleSubject, TorchSubject, load
from scratchproof.table.layers import LAYERS, row
from scratchproof.vjp import PRECISIONS

calls = iter(range(10**9))


def relu(forward=None, backward=None):
    return {
        "relu_forward": forward or (lambda x: (np.maximum(x, 0), x)),
        "relu_backward": backward or (lambda dout, x: dout * (x > 0)),
    }


def documented(x, w, b):
    """Raises ValueError for shapes that do not fit (it says)."""
    return x.reshape(len(x), -1)[:, : len(w)] @ w + b, (x, w)


def index_error(x, w, b):
    """Raises ValueError for shapes that do not fit (it says)."""
    if x[0].size != len(w):
        raise IndexError("w")
    return scratch.affine_forward(x, w, b)


def negative_zero(x):
    x -= 0.5
    x += 0.5
    x *= 2
    return np.maximum(x / 2, 0), x / 2


def overwrite_dout(dout, x):
    dout *= x > 0
    return dout.copy()


def private_cache(x):
    return np.maximum(x, 0), [(x > 0).astype(x.dtype)]


def eat_cache(dout, cache):
    out = dout * cache[0]
    cache[0][:] = 1
    return out


def noisy(x):
    return np.maximum(x, 0) * (1 + 1e-3 * (next(calls) % 2)), x


PLANTS = {
    "unwritten: x": ("relu", "unwritten", relu(forward=negative_zero), Verdict.FAIL),
    "unwritten: dout": ("relu", "unwritten", relu(backward=overwrite_dout), Verdict.FAIL),
    "unwritten: cache": ("relu", "unwritten", relu(private_cache, eat_cache), Verdict.FAIL),
    "aliases": ("relu", "aliases", relu(backward=lambda dout, x: np.multiply(dout, x > 0, out=dout)), Verdict.SUSPECT),
    "repeatable": ("relu", "repeatable", relu(forward=noisy), Verdict.FAIL),
    "linear": (
        "relu",
        "linear",
        relu(backward=lambda dout, x: dout * (x > 0) if dout.any() else np.full_like(dout, 1e-9)),
        Verdict.FAIL,
    ),
    "linear: another shape": (
        "relu",
        "linear",
        relu(backward=lambda dout, x: dout * (x > 0) if dout.any() else dout[None]),
        Verdict.FAIL,
    ),
    "linear: clipped": (
        "affine",
        "linear",
        {"affine_backward": lambda dout, cache: [g.clip(-1e3, 1e3) for g in scratch.affine_backward(dout, cache)]},
        Verdict.FAIL,
    ),
    "linear: flushed": (
        "relu",
        "linear",
        relu(backward=lambda dout, x: dout * (x > 0) * (np.abs(dout) > 1e-4)),
        Verdict.FAIL,
    ),
    "errors: accepted": ("affine", "errors", {"affine_forward": documented}, Verdict.FAIL),
    "errors: another": ("affine", "errors", {"affine_forward": index_error}, Verdict.SUSPECT),
    "values: shape": ("relu", "values", relu(forward=lambda x: (np.maximum(x, 0)[None], x)), Verdict.FAIL),
    "values: nothing returned": ("relu", "values", relu(forward=lambda x: None), Verdict.UNIMPLEMENTED),
    "values: float32 inside": (
        "tanh",
        "values",
        {"tanh_forward": lambda x: (o := np.tanh(x.astype(np.float32)).astype(x.dtype), (o,))},
        Verdict.SUSPECT,
    ),
    "corners: one row": (
        "relu",
        "corners",
        relu(forward=lambda x: (np.maximum(x, 0) if len(x) > 1 else x.copy(), x)),
        Verdict.FAIL,
    ),
    "memory: strided": (
        "relu",
        "memory",
        relu(forward=lambda x: (np.maximum(x, 0) if x.flags.c_contiguous else x.copy(), x)),
        Verdict.FAIL,
    ),
    "corners: overflow": (
        "sigmoid",
        "corners",
        {"sigmoid_forward": lambda x: (o := np.exp(x) / (1 + np.exp(x)), (o,))},
        Verdict.FAIL,
    ),
    "corners: tanh of exponentials": (
        "tanh",
        "corners",
        {"tanh_forward": lambda x: (o := (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), (o,))},
        Verdict.FAIL,
    ),
    "central differences": (
        "sigmoid",
        "central differences",
        {"sigmoid_backward": lambda dout, c: dout * c[0]},
        Verdict.FAIL,
    ),
    "complex step": ("sigmoid", "complex step", {"sigmoid_backward": lambda dout, c: dout * c[0]}, Verdict.FAIL),
}


def planted(functions):
    module = ModuleType("planted")
    vars(module).update({name: getattr(scratch, name) for name in scratch.__all__})
    vars(module).update(functions)
    return ModuleSubject(name="planted", module=module)


@pytest.mark.parametrize("plant", PLANTS)
def test_every_check_catches_its_planted_bug(plant):
    layer, check, functions, verdict = PLANTS[plant]
    precision = "float32" if "float32 in" not in plant and "float32" in plant else "float64"
    report = checks.examine(planted(functions), row(layer), precision)
    caught = [r for r in report.results if r.check == check and r.verdict is not Verdict.PASS]
    assert caught, [r.message for r in report.findings]
    assert max((r.verdict for r in caught), key=lambda v: v.gravity) is verdict
    assert all(r.message for r in caught)


@pytest.mark.parametrize("seed", [1, 3])
def test_a_saturated_sigmoid_may_be_more_accurate_than_torch(seed):
    """torch gives s (1 - s) = 0 where 1 - s is 1e-139; so small a difference from 1 no rounding can show."""
    assert (
        checks.examine(ModuleSubject(name="scratch", module=scratch), row("sigmoid"), "float64", seed=seed).verdict
        == "PASS"
    )


def test_where_torch_is_the_odd_one_out_the_arbiters_say_so():
    """A row whose torch expression has a wrong gradient: the subject is told that its forward pass sides with it."""
    from dataclasses import replace

    def wrong(x):
        return torch.tanh(x).detach() + 2 * (x - x.detach())

    report = checks.examine(ModuleSubject(name="scratch", module=scratch), replace(row("tanh"), torch=wrong), "float64")
    assert report.verdict is Verdict.FAIL
    for arbiter in ("central differences", "complex step"):
        told = [r.message for r in report.results if r.check == arbiter and r.message]
        assert any("against torch autograd" in message for message in told)


EXPRESSED = [layer for layer in LAYERS if layer.kind not in ("start", "dropout")]  # the others torch does not have


@pytest.mark.parametrize("layer", EXPRESSED, ids=lambda layer: layer.name)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_torch_in_another_precision_passes(layer, precision):
    subject = TorchSubject(name=f"torch:cpu:{precision}", device="cpu", precision=PRECISIONS[precision])
    report = checks.examine(subject, layer, precision, seed=11)
    assert report.verdict is Verdict.PASS, [f.message for f in report.findings]


@pytest.mark.parametrize("name", ["svm_loss", "layernorm", "avg_pool", "LinearClassifier.start", "adam"])
def test_torch_passes_in_the_format_of_the_shortest_range(name):
    subject = TorchSubject(name="torch:cpu:float16", device="cpu", precision=PRECISIONS["float16"])
    report = checks.examine(subject, row(name), "float16", seed=1)
    assert report.verdict is Verdict.PASS, [f.message for f in report.findings]


def test_a_crash_ends_the_exam_of_a_layer_and_names_the_line():
    report = checks.examine(planted(relu(forward=lambda x: x.no_such_thing)), row("relu"), "float64")
    assert report.verdict is Verdict.CRASH
    assert "AttributeError" in report.findings[0].message
    assert "test_checks.py" in report.findings[0].message
    assert {r.check for r in report.results} == {"values"}


def test_code_that_exits_is_a_crash_not_an_end():
    def leave(x):
        raise SystemExit(0)

    report = checks.examine(planted(relu(forward=leave)), row("relu"), "float64")
    assert report.verdict is Verdict.CRASH
    assert report.findings[0].severity is Severity.CRASH


def test_a_short_range_loses_the_digits_of_small_cotangents():
    """A softmax in float16, whose gradients are subnormal once their cotangent is a thirty-second."""
    report = checks.examine(load("torch:cpu:float16"), row("softmax_loss"), "float16", effort="quick")
    assert report.verdict is Verdict.PASS
