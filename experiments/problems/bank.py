"""The bank: every problem of every family with its candidates, and how it is written to a folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from . import activations, attention, convolution, losses, matmul, nets, norms, pooling, reductions, scans
from .hack import spread
from .hacks import GRADIENTS, NUMBERS, RIGHT
from .problem import Candidate, Problem
from .tricks import TRICKS

FAMILIES: Mapping[str, Sequence[Problem]] = {
    "matmul": matmul.PROBLEMS,
    "convolution": convolution.PROBLEMS,
    "norms": norms.PROBLEMS,
    "attention": attention.PROBLEMS,
    "losses": losses.PROBLEMS,
    "reductions": reductions.PROBLEMS,
    "scans": scans.PROBLEMS,
    "pooling": pooling.PROBLEMS,
    "activations": activations.PROBLEMS,
    "nets": nets.PROBLEMS,
}
HACKS = (*NUMBERS, *GRADIENTS, *TRICKS, *RIGHT)
WRONG = (
    "wrong value",
    "wrong gradient",
    "wrong factor",
    "wrong term",
    "no gradient",
    "part not computed",
    "reads unwritten memory",
    "permutation",
    "downgrade",
    "less accurate",
    "not finite",
    "zeros",
    "constant",
    "fits one distribution",
    "wrong at another size",
)


def problems() -> dict[str, Problem]:
    """Every problem by "family/name"."""
    return {f"{family}/{problem.name}": problem for family, held in FAMILIES.items() for problem in held}


def candidates(*, everywhere: bool = False) -> Iterator[Candidate]:
    """Every candidate, a family at a time. everywhere: each hack at each problem that it fits."""
    for family, held in FAMILIES.items():
        for problem in held:
            yield from _own(family, problem)
        yield from (hack.candidate(family, problem) for hack, problem in spread(HACKS, held, everywhere=everywhere))


def _own(family: str, problem: Problem) -> Iterator[Candidate]:
    place = f"{family}/{problem.name}"
    for name, text in problem.right.items():
        yield Candidate(problem=place, name=name, kind="right", text=problem.file("ModelNew", text))
    for name, text in problem.mistakes():
        yield Candidate(problem=place, name=name, kind="mistake", reasons=WRONG, text=problem.file("ModelNew", text))


def write(folder: Path, chosen: Sequence[Candidate]) -> None:
    """The files: FAMILY/PROBLEM/reference.py, KIND/NAME.py beside it, and what each of them is in bank.json."""
    known = problems()
    for candidate in chosen:
        reference = folder / candidate.problem / "reference.py"
        file = folder / f"{candidate.key}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(known[candidate.problem].reference(), encoding="utf-8")
        file.write_text(candidate.text, encoding="utf-8")
    told = {candidate.key: {k: v for k, v in asdict(candidate).items() if k != "text"} for candidate in chosen}
    (folder / "bank.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
