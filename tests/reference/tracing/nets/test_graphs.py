"""The worked graphs beside autograd: every step of scratch's agrees, and one that is wrong is named."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from scratchproof.cli import main
from scratchproof.subjects.subject import SubjectError
from scratchproof.tracing.nets import graphs

WRONG = """
from dataclasses import replace
from scratchproof import scratch

def scalar_graph():
    graph = scratch.scalar_graph()
    local = tuple(replace(step, value=2) if step.name == "dp/da" else step for step in graph.local)
    return replace(graph, local=local)
"""


@pytest.mark.parametrize("name", graphs.GRAPHS)
def test_every_step_of_scratchs_graph_is_autograds(name: str) -> None:
    result = CliRunner().invoke(main, ["graph", name])
    assert result.exit_code == 0
    assert "every step equals torch autograd's" in result.output


def test_the_write_ups_numbers_are_there() -> None:
    _, lines = graphs.worked("scalar")
    value = {line.name: line.value for line in lines}
    assert (value["f"], value["target"], value["loss"]) == (12, 15, 3)
    assert (value["dp/da"], value["df/da"], value["dloss/da"]) == (1, 1, -1)
    assert {line.section for line in lines} == {"forward", "local", "chained"}


def test_a_wrong_step_is_named(tmp_path: Path) -> None:
    subject = tmp_path / "mine.py"
    subject.write_text(WRONG)
    result = CliRunner().invoke(main, ["graph", "scalar", "--subject", str(subject)])
    assert result.exit_code == 1
    assert "differs from torch autograd: dp/da" in result.output


def test_a_subject_without_graphs_is_refused() -> None:
    with pytest.raises(SubjectError, match="json has no matrix_graph"):
        graphs.worked("matrix", "json")
