"""What a hack is, and how any problem is turned into a candidate that uses it.

Its text is the body of the `forward` of a class that inherits from the problem's own module, `Right`; what has to stand
at the top of its file comes first, above a line that says `# forward`. `changed` gives what the module makes of other
parameters and inputs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import dedent, indent

from .problem import BORDER, Candidate, Problem

NEW = """

def floats(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def changed(model, change, inputs):
    state = {{**dict(model.named_parameters()), **dict(model.named_buffers())}}
    state = {{name: change(value) if floats(value) else value for name, value in state.items()}}
    model.__class__ = Right
    try:
        return torch.func.functional_call(model, state, tuple(change(x) if floats(x) else x for x in inputs))
    finally:
        model.__class__ = ModelNew

{top}
class ModelNew(Right):
    def forward(self, *inputs):
{body}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hack:
    """A way to compute a problem. reasons: kinds that name it, none if it is right. fits: to which problems it applies."""

    name: str
    text: str
    reasons: tuple[str, ...] = ()
    fits: Callable[[Problem], bool] = lambda problem: True

    def candidate(self, family: str, problem: Problem) -> Candidate:
        top, _, body = ("\n" + dedent(self.text).strip() + "\n").rpartition("\n" + BORDER)
        new = NEW.format(top=f"\n{top.strip()}\n\n" if top.strip() else "", body=indent(body.strip(), 8 * " "))
        return Candidate(
            problem=f"{family}/{problem.name}",
            name=self.name,
            kind="hack" if self.reasons else "right",
            reasons=self.reasons,
            text=problem.file("Right", problem.body) + new,
        )


def spread(
    hacks: Sequence[Hack], problems: Sequence[Problem], *, everywhere: bool = False
) -> Iterator[tuple[Hack, Problem]]:
    """Each hack with one problem of a family that it fits, in turn; or with all of them."""
    for turn, hack in enumerate(hacks):
        fitting = [problem for problem in problems if hack.fits(problem) and not problem.vacuous]
        yield from (
            (hack, problem) for problem in (fitting if everywhere else fitting[turn % max(1, len(fitting)) :][:1])
        )
