"""Two oracles: what both agree on passes in silence, and a planted fault of either is laid at the right door."""

import sys
from functools import partial

import jax
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional as F

from scratchproof import examine
from scratchproof.cli import main
from scratchproof.errors import InputError
from scratchproof.exam.compare import Verdict
from scratchproof.second.in_jax import ATLAS, expressions
from scratchproof.table.layers import LAYERS

INPUTS = {"x": (3, 4)}


class Slipped(torch.autograd.Function):
    """tanh with one gradient in twelve a thousandth too large."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(torch.tanh(x))
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, dout):
        (t,) = ctx.saved_tensors
        dx = dout * (1 - t * t)
        dx[1, 2] *= 1.001
        return dx


@jax.custom_vjp
def slipped(x):
    return jax.numpy.tanh(x)


def slipped_forward(x):
    return jax.numpy.tanh(x), jax.numpy.tanh(x)


def slipped_backward(t, dout):
    return ((dout * (1 - t * t)).at[1, 2].multiply(1.001),)


slipped.defvjp(slipped_forward, slipped_backward)


def second_opinions(truth, oracle, subject=torch.tanh, **more):
    found = examine(subject, truth=truth, oracle=oracle, inputs=INPUTS, precisions=["float64"], effort="quick", **more)
    (sitting,) = found.sittings
    return [r for r in sitting.results if r.check == "second oracle"], sitting.verdict


def test_where_both_agree_nothing_is_said():
    assert second_opinions(torch.tanh, jax.numpy.tanh) == ([], Verdict.PASS)


def test_a_gradient_that_torch_has_wrong_is_laid_at_its_door():
    (told,), verdict = second_opinions(Slipped.apply, jax.numpy.tanh)
    assert (told.verdict, told.quantity) == (Verdict.SUSPECT, "dx")
    assert "at (1, 2): torch is out: along the difference" in told.message
    assert verdict is not Verdict.PASS


def test_a_gradient_that_jax_has_wrong_is_laid_at_its_door():
    (told,), verdict = second_opinions(torch.tanh, slipped)
    assert (told.verdict, told.quantity) == (Verdict.PASS, "dx")
    assert "at (1, 2): JAX is out: along the difference" in told.message
    assert verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("truth", "oracle", "said", "verdict"),
    [
        (torch.tanh, lambda x: 1.001 * jax.numpy.tanh(x), "JAX is out: tanh sides with torch", Verdict.PASS),
        (lambda x: 1.001 * torch.tanh(x), jax.numpy.tanh, "torch is out: tanh sides with JAX", Verdict.SUSPECT),
        (lambda x: 1.001 * torch.tanh(x), lambda x: 1.002 * jax.numpy.tanh(x), "sides with neither", Verdict.SUSPECT),
    ],
)
def test_of_values_the_subject_is_the_third(truth, oracle, said, verdict):
    told, _ = second_opinions(truth, oracle)
    (of_value,) = [result for result in told if result.quantity == "out"]
    assert said in of_value.message
    assert of_value.verdict is verdict


def test_a_jax_function_with_other_outputs_is_refused():
    with pytest.raises(InputError, match=r"tanh: JAX gives out\.0, out\.1, but torch out"):
        second_opinions(torch.tanh, lambda x: (x, x))


def test_a_shape_that_only_one_of_them_has_is_told():
    told, _ = second_opinions(torch.tanh, lambda x: jax.numpy.tanh(x).sum(0) if x.ndim else x)
    assert "torch gives shape (3, 4), JAX (4,)" in told[0].message


def test_at_a_kink_both_may_be_right_and_the_atlas_is_cited():
    found = examine(
        F.relu, truth=F.relu, oracle=lambda x: jax.numpy.maximum(x, 0), inputs=INPUTS, precisions=["float64"],
        kink="relu'(0) = 0", corners=("integers",),
    )  # fmt: skip
    (told,) = [r for r in found.sittings[0].results if r.check == "second oracle"]
    assert "a kink, and both are subgradients; docs/atlas.md has it" in told.message
    assert told.verdict is Verdict.PASS
    assert found.passed


def test_the_command_asks_both():
    found = CliRunner().invoke(
        main,
        [
            "check",
            "torch:cpu:float64",
            "--layer",
            "max_pool",
            "--oracle",
            "torch,jax",
            "--effort",
            "quick",
            "--device",
            "cpu",
        ],
    )
    assert found.exit_code == 0, found.output
    assert "torch and JAX were both asked for" in found.output
    assert "of 1 rows: they agree in all" in " ".join(found.output.split())


def test_without_jax_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    found = CliRunner().invoke(main, ["check", "--layer", "relu", "--oracle", "torch,jax", "--device", "cpu"])
    assert found.exit_code == 2
    assert "jax is not installed: pip install 'scratchproof[jax]'" in found.output


def test_every_row_in_jax_is_a_row_of_the_table():
    rows = {layer.name: layer for layer in LAYERS}
    assert set(expressions()) <= set(rows)
    assert set(ATLAS) <= {name for name in expressions() if rows[name].kink}
    for name, expression in expressions().items():
        case = rows[name].cases[0]
        inputs = list(case.inputs(np.random.default_rng(0)).values())
        ours = rows[name].torch(*map(torch.from_numpy, inputs), **case.options)
        assert jax.eval_shape(partial(expression, **case.options), *inputs).shape == ours.shape, name
