"""The worked graphs of the lectures, step by step, every number beside torch autograd.

A subject's `scalar_graph()` and `matrix_graph(W, x)` say what they found under names such as "q" and "dq/dx". Here
torch builds the same nodes, and "dA/dB" is the derivative that autograd gives for them. The numbers are small and
whole, so nothing rounds: the two must be equal.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from scratchproof.subjects.subject import ModuleSubject, SubjectError, load

Nodes = dict[str, Tensor]
SECTIONS = ("forward", "local", "chained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step of a graph: its section, name, formula, the subject's value, and torch's."""

    section: str
    name: str
    formula: str
    value: Any
    expected: Any

    @property
    def agrees(self) -> bool:
        return np.array_equal(np.asarray(self.value), np.asarray(self.expected))


def _scalar() -> tuple[Nodes, tuple[Any, ...]]:
    given = {"a": 2.0, "b": 5.0, "c": 1.0, "x": 1.0, "y": 2.0, "z": 1.0, "target": 15.0}
    n: Nodes = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in given.items()}
    n |= {"p": n["a"] * n["x"], "q": n["b"] * n["y"], "t": n["c"] * n["z"]}
    n["s"] = n["p"] + n["q"]
    n["f"] = n["s"] * n["t"]
    n["loss"] = (n["target"] - n["f"]).abs()
    return n, ()


def _matrix() -> tuple[Nodes, tuple[Any, ...]]:
    W, x = np.array([[1.0, 2.0, -1.0], [0.0, -3.0, 2.0]]), np.array([2.0, 1.0, 3.0])
    n: Nodes = {name: torch.tensor(value, requires_grad=True) for name, value in {"W": W, "x": x}.items()}
    n["q"] = n["W"] @ n["x"]
    n["f"] = (n["q"] * n["q"]).sum()
    return n, (W, x)


GRAPHS: dict[str, Callable[[], tuple[Nodes, tuple[Any, ...]]]] = {"scalar": _scalar, "matrix": _matrix}


def worked(name: str, spec: str = "scratch") -> tuple[str, list[Line]]:
    """The title and the lines of the subject's graph, `name` being scalar or matrix.

    Raises: SubjectError if the subject has no such graph.
    """
    nodes, inputs = GRAPHS[name]()
    subject = load(spec)
    make = getattr(subject.module, f"{name}_graph", None) if isinstance(subject, ModuleSubject) else None
    if make is None:
        raise SubjectError(f"{spec} has no {name}_graph, which is to be shown")
    graph = make(*inputs)
    return graph.title, list(_lines(graph, nodes))


def _lines(graph: Any, nodes: Nodes) -> Iterator[Line]:
    for section in SECTIONS:
        for step in getattr(graph, section):
            expected = _expected(step.name, nodes)
            yield Line(section=section, name=step.name, formula=step.formula, value=step.value, expected=expected)


def _expected(name: str, nodes: Nodes) -> Any:
    """torch's value of a node, or of the derivative that "dA/dB" names."""
    if name in nodes:
        return nodes[name].detach().numpy()
    end, start = (nodes[part.removeprefix("d")] for part in name.split("/"))
    rows = [torch.autograd.grad(entry, start, retain_graph=True)[0] for entry in end.reshape(-1)]
    return torch.stack(rows).reshape(end.shape + start.shape).numpy()


def show(console: Console, title: str, lines: list[Line]) -> None:
    """Print the graph, a section at a time, and whether torch agrees."""
    headings = {"forward": "forward", "local": "local gradients", "chained": "chained gradients"}
    console.print(title, markup=False, highlight=False)
    for section, heading in headings.items():
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in (heading, "formula", "value", "torch", ""):
            table.add_column(column)
        for line in (line for line in lines if line.section == section):
            ours, theirs = _digits(line.value), _digits(line.expected)
            table.add_row(line.name, escape(line.formula), ours, theirs, "" if line.agrees else "differs")
        console.print()
        console.print(table, highlight=False)
    wrong = [line.name for line in lines if not line.agrees]
    verdict = f"differs from torch autograd: {', '.join(wrong)}" if wrong else "every step equals torch autograd's"
    console.print(f"\n{verdict}", style="bold red" if wrong else "green", highlight=False)


def _digits(value: Any) -> str:
    array = np.asarray(value)
    return f"{array:.6g}" if not array.ndim else f"({', '.join(_digits(entry) for entry in array)})"
