"""The two worked graphs, to the digit."""

from typing import Any

import numpy as np
import pytest

from scratchproof.scratch import Step, matrix_graph, scalar_graph


def values(steps: tuple[Step, ...]) -> dict[str, Any]:
    return {step.name: step.value for step in steps}


def test_scalar_graph_gives_the_worked_example_to_the_digit() -> None:
    graph = scalar_graph()
    given = {"a": 2, "b": 5, "c": 1, "x": 1, "y": 2, "z": 1, "target": 15}
    assert values(graph.forward) == given | {"p": 2, "q": 10, "s": 12, "t": 1, "f": 12, "loss": 3}
    of_p_and_q = {"dp/da": 1, "dp/dx": 2, "dq/db": 2, "dq/dy": 5, "ds/dp": 1, "ds/dq": 1}
    of_t_and_f = {"dt/dc": 1, "dt/dz": 1, "df/ds": 1, "df/dt": 12, "dloss/df": -1}
    assert values(graph.local) == of_p_and_q | of_t_and_f
    of_f = {"p": 1, "q": 1, "a": 1, "x": 2, "b": 2, "y": 5, "c": 12, "z": 12}
    of_loss = {f"dloss/d{name}": -value for name, value in (of_f | {"s": 1, "t": 12}).items()}
    assert values(graph.chained) == {f"df/d{name}": value for name, value in of_f.items()} | of_loss


def test_scalar_graph_on_other_numbers_agrees_with_differences() -> None:
    # f is linear in every single input, so a difference over a step of 1 is exact on whole numbers
    inputs = {"a": 3, "b": -2, "c": 4, "x": 5, "y": 7, "z": -6}
    graph = scalar_graph(**inputs, target=0)
    assert graph["f"] == (3 * 5 - 2 * 7) * (4 * -6)
    assert graph["loss"] == abs(graph["f"])
    for name, value in inputs.items():
        rise = scalar_graph(**{**inputs, name: value + 1}, target=0)["f"] - graph["f"]
        assert graph[f"df/d{name}"] == rise
        assert graph[f"dloss/d{name}"] == -rise  # f is negative here


def test_at_the_target_the_loss_passes_nothing_back() -> None:
    graph = scalar_graph(target=12)
    assert graph["loss"] == 0
    assert graph["dloss/df"] == graph["dloss/da"] == 0
    assert scalar_graph(target=11)["dloss/df"] == 1


def test_matrix_graph_gives_the_worked_example_to_the_digit() -> None:
    graph = matrix_graph(np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))
    assert [str(step) for step in graph.forward] == [
        "W = [[0.1, 0.5], [-0.3, 0.8]]",
        "x = [0.2, 0.4]",
        "q = W x = [0.22, 0.26]",
        "f = Σ q² = 0.116",
    ]
    assert [str(step) for step in graph.local] == [
        "df/dq = 2 q = [0.44, 0.52]",
        "dq/dW = [k = i] x[j] = [[[0.2, 0.4], [0, 0]], [[0, 0], [0.2, 0.4]]]",
        "dq/dx = W = [[0.1, 0.5], [-0.3, 0.8]]",
    ]
    assert [str(step) for step in graph.chained] == [
        "df/dW = df/dq xᵀ = [[0.088, 0.176], [0.104, 0.208]]",
        "df/dx = Wᵀ df/dq = [-0.112, 0.636]",
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_local_gradients_multiply_to_the_chained_ones(dtype: Any) -> None:
    W, x = np.array([[1, 2, -3], [4, -5, 6]], dtype), np.array([7, -8, 9], dtype)
    graph = matrix_graph(W, x)
    np.testing.assert_array_equal(graph["q"], [-36, 122])
    assert graph["f"] == 36**2 + 122**2
    np.testing.assert_array_equal(graph["df/dW"], np.einsum("k,kij->ij", graph["df/dq"], graph["dq/dW"]))
    np.testing.assert_array_equal(graph["df/dx"], graph["df/dq"] @ graph["dq/dx"])
    assert {step.value.dtype for step in (*graph.forward, *graph.local, *graph.chained)} == {np.dtype(dtype)}


def test_a_record_stays_what_it_was() -> None:
    W, x = np.ones((2, 3)), np.ones(3)
    graph = matrix_graph(W, x)
    W[:] = 0
    np.testing.assert_array_equal(graph["dq/dx"], np.ones((2, 3)))
    with pytest.raises(ValueError, match="read-only"):
        graph["df/dW"][:] = 0
    with pytest.raises(AttributeError):
        graph.title = "another"  # type: ignore[misc]


def test_the_walk_through_shows_every_step_once() -> None:
    graph = scalar_graph()
    lines = str(graph).splitlines()
    steps = [*graph.forward, *graph.local, *graph.chained]
    assert lines[0] == "f = (a·x + b·y)·(c·z), loss = |target - f|"
    assert [line.strip() for line in lines if line.startswith("  ")] == [str(step) for step in steps]
    assert "  df/da = df/ds · ds/dp · dp/da = 1" in lines
    assert "  loss = |target - f| = 3" in lines


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="W has 3 columns but x has 2 entries"):
        matrix_graph(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="W is int64 but must be floating"):
        matrix_graph(np.ones((2, 3), np.int64), np.ones(3))
    with pytest.raises(KeyError, match="no step 'df/dw' in this graph: there are W, x, q, f"):
        matrix_graph(np.ones((2, 3)), np.ones(3))["df/dw"]
