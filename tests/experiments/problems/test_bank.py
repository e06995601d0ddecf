"""The bank: enough of every family, files that run, right candidates that agree with the reference."""

import ast
import os
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
import torch

from scratchproof.experiments.problems.bank import FAMILIES, HACKS, candidates, problems, write
from scratchproof.experiments.problems.rules import _module

EVERY = list(candidates())
SLOW = ("compiled",)  # it is in the experiment


def quick(family):
    return [c for c in EVERY if c.problem.startswith(f"{family}/") and c.kind == "right" and c.name not in SLOW]


def pulled(model, inputs, dtype):
    """The output, and each input's gradient where the input is not zero, as half of a triangular matrix is."""
    inputs = [x.detach().to(dtype).requires_grad_() if x.is_floating_point() else x for x in inputs]
    out = model(*inputs)
    sources = [x for x in inputs if x.requires_grad] if out.is_floating_point() else []
    generator = torch.Generator().manual_seed(0)
    dout = torch.randn(out.shape, generator=generator).to(dtype)
    grads = torch.autograd.grad(out, sources, dout) if sources else ()
    return (out, *(torch.where(x == 0, 0, grad) for x, grad in zip(sources, grads, strict=True)))


def test_there_is_enough_of_every_family():
    assert len(problems()) >= 40
    for family in FAMILIES:
        kinds = Counter(c.kind for c in EVERY if c.problem.startswith(f"{family}/"))
        assert kinds["mistake"] + kinds["hack"] >= 15
        assert kinds["right"] >= 10
    assert len({c.key for c in EVERY}) == len(EVERY)


def test_each_family_meets_every_hack_that_fits_one_of_its_problems():
    for family, held in FAMILIES.items():
        met = {c.name for c in EVERY if c.problem.startswith(f"{family}/")}
        assert {hack.name for hack in HACKS if any(map(hack.fits, held))} <= met


def test_every_file_is_one_and_every_mistake_changes_something():
    texts = Counter((c.problem, c.text) for c in EVERY)
    assert set(texts.values()) == {1}
    for c in EVERY:
        names = {node.name for node in ast.parse(c.text).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert {"ModelNew", "get_inputs", "get_init_inputs"} <= names


def agree(folder, chosen):
    """Each of the candidates, written to the folder, gives what its reference gives, forward and backward."""
    write(folder, chosen)
    for c in chosen:
        problem, other = (_module(folder / p, "one") for p in (f"{c.problem}/reference.py", f"{c.key}.py"))
        torch.manual_seed(0)
        model, new = problem.Model(*problem.get_init_inputs()), other.ModelNew(*problem.get_init_inputs())
        new.load_state_dict(model.state_dict())
        dtype = torch.float32 if "triton" in c.text else torch.float64
        inputs = problem.get_inputs()
        expected, actual = pulled(model.to(dtype), inputs, dtype), pulled(new.to(dtype), inputs, dtype)
        torch.testing.assert_close(actual, expected, msg=lambda said, key=c.key: f"{key}: {said}")


@pytest.mark.parametrize("family", FAMILIES)
def test_right_candidates_agree_with_the_reference(tmp_path, family):
    agree(tmp_path, [c for c in quick(family) if "triton" not in c.text])


def test_right_candidates_in_triton_agree_with_the_reference(tmp_path):
    if metadata.version("triton").startswith("3.6."):
        pytest.skip("the interpreter of Triton 3.6 fails on loops without a constant bound under NumPy 2.4")
    told = os.environ | {"TRITON_INTERPRET": "1"}  # which Triton reads when it is imported
    subprocess.run([sys.executable, __file__, str(tmp_path)], env=told, check=True)


if __name__ == "__main__":
    agree(Path(sys.argv[1]), [c for family in FAMILIES for c in quick(family) if "triton" in c.text])
