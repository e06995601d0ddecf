"""The atlas: enough functions, words for every difference, and an arbiter that knows right from wrong."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

from scratchproof.experiments import atlas
from scratchproof.experiments.atlas_ask import Finding, agree, findings
from scratchproof.experiments.atlas_table import Entry
from scratchproof.experiments.atlas_words import WORDS

LEAST = 80
QUICK = ("relu", "sinc", "i0", "maximum", "2-norm")


def test_there_are_functions_enough_and_words_name_them() -> None:
    names = [entry.name for entry in atlas.entries()]
    assert len(names) == len(set(names)) >= LEAST
    assert set(WORDS) <= set(names)


def test_words_name_points_that_are_asked_about() -> None:
    points = {entry.name: set(entry.at) for entry in atlas.entries()}
    for name, told in WORDS.items():
        assert set(told) <= points[name] | {"*"}, name


@pytest.fixture(scope="module")
def found() -> list[Finding]:
    return [finding for entry in atlas.entries() if entry.name in QUICK for finding in findings(entry)]


def test_every_difference_has_words_and_a_line_on_the_page(found: list[Finding]) -> None:
    assert {f.name for f in found} == set(QUICK)
    text = atlas.page(found)
    for finding in found:
        if finding.differ:
            words = atlas.words(finding)
            assert words is not None, (finding.name, finding.at, finding.order)
            assert words.replace("|", "\\|") in text
    assert "unexplained" not in text


def test_a_wrong_derivative_is_called_wrong() -> None:
    """JAX's side is told a sine whose slope is a thousandth too large."""
    import jax
    import torch

    def slipped(x: Any) -> Any:
        return jax.numpy.sin(x) + 0.001 * (x - jax.lax.stop_gradient(x))

    entry = Entry(name="sin", torch=torch.sin, jax=slipped, at={"ordinary": ([0.5, 1.0],)}, apart=True)
    value, first, _ = findings(entry)
    assert not value.differ
    assert first.differ
    assert first.allowed(first.torch) == "right"
    assert "unexplained" in atlas.page([value, first]) or atlas.words(first) is not None


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ([1.0], [1.0 + 1e-12], True),
        ([1.0], [1.1], False),
        ([np.inf], [5.0], False),
        ([np.inf], [np.inf], True),
        ([np.inf], [-np.inf], False),
        ([np.nan], [np.nan], True),
        ([np.nan], [0.0], False),
        ([1.0], [1.0, 1.0], False),
    ],
)
def test_agreement(a: list[float], b: list[float], same: bool) -> None:
    assert agree(np.array(a), np.array(b)) is same


def test_at_a_kink_what_lies_between_the_slopes_is_allowed() -> None:
    def at(answer: float) -> str:
        sides = {"left": np.array([0.0]), "right": np.array([1.0])}
        made = Finding(name="relu", at="x = 0", order="first derivative", torch=np.array([answer]),
                       jax=np.array([0.0]), **sides)  # fmt: skip
        return made.allowed(made.torch)

    assert [at(value) for value in (0.0, 0.5, 1.0, 1.5, -0.5)] == ["allowed"] * 3 + ["outside"] * 2


def test_a_slope_of_another_function_is_not_called_wrong() -> None:
    import jax
    import torch

    entry = Entry(name="sin", torch=torch.sin, jax=jax.numpy.cos, at={"ordinary": ([0.5, 1.0],)}, apart=True)
    value, first, _ = findings(entry)
    assert value.differ
    assert first.differ
    assert {first.allowed(first.torch), first.allowed(first.jax)} == {"no verdict"}
