"""A problem as a file, and mistakes made in the first right text that holds what they change."""

import pytest
import torch

from scratchproof.experiments.problems.problem import Problem
from scratchproof.experiments.problems.rules import _module


def problem(**changes):
    given = {
        "name": "double",
        "told": "Twice.",
        "sizes": {"batch": 3},
        "inputs": "torch.randn(batch, 2)",
        "body": "return 2 * x",
        "right": {"a sum": "return x + x", "a helper": "def twice(x):\n    return x + x\n\n# forward\nreturn twice(x)"},
        "wrong": {},
    }
    return Problem(**given | changes)


def run(tmp_path, text, name):
    (tmp_path / "one.py").write_text(text)
    module = _module(tmp_path / "one.py", "one")
    return getattr(module, name)(*module.get_init_inputs())(torch.ones(1, 2)).tolist()


def test_it_runs_as_a_file(tmp_path):
    assert run(tmp_path, problem().reference(), "Model") == [[2, 2]]
    for text in problem().right.values():
        assert run(tmp_path, problem().file("ModelNew", text), "ModelNew") == [[2, 2]]


def test_a_mistake_is_made_in_the_first_text_that_holds_it(tmp_path):
    made = dict(problem(wrong={"thrice": ("2 *", "3 *"), "once": ("x + x", "x"), "none": "return 0 * x"}).mistakes())
    found = {name: run(tmp_path, problem().file("ModelNew", text), "ModelNew")[0][0] for name, text in made.items()}
    assert found == {"thrice": 3, "once": 1, "none": 0}


def test_a_mistake_in_nothing_is_refused():
    with pytest.raises(ValueError, match="'4 \\*' stands in no right text"):
        list(problem(wrong={"other": ("4 *", "5 *")}).mistakes())
