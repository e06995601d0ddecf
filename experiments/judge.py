"""How do rules for judging generated kernels compare: what they let through, what they refuse of what is right?

A bank of problems in KernelBench's form is written to a folder: of every family right candidates in honest
variety, mistakes, and hacks. Each is judged by `scratchproof judge`, by allclose at 1e-2 and at 1e-4 on the output for
the inputs of known seeds (KernelBench's rule), and by twice eager's error, gradients included (FlashAttention's). A
line of results is kept for each candidate, so a run that was stopped goes on where it was. Costs are medians, in
seconds of one processor.
"""

import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from scratchproof import judge
from scratchproof.progress import progress

from .command import Basic, command, option
from .problems.bank import candidates, problems, write
from .problems.problem import Candidate
from .problems.rules import RULES, passed
from .record import Run

OURS = "scratchproof judge"
KINDS = ("right", "mistake", "hack")
PATIENCE = 600.0  # seconds for one call: some compile
Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """Which candidates, and how they are judged."""

    problem: str = option("", "only problems whose name holds one of these, separated by commas")
    kind: str = option("", f"only {', '.join(KINDS)}, separated by commas")
    name: str = option("", "only candidates whose name holds one of these, separated by commas")
    every: int = option(1, "only every so-manieth candidate", least=1)
    everywhere: bool = option(False, "each hack at every problem that it fits, not at one of each family")
    jobs: int = option(1, "processes", least=1, free=True)
    results: str = option("runs/judge.jsonl", "where results are kept and found again", free=True)
    bank: str = option("runs/judge-bank", "the folder to which the bank is written", free=True)


SMOKE = {
    "problem": "reductions/mean",
    "name": "quotient,over one,thousandth",
    "results": "runs/smoke/judge.jsonl",
    "bank": "runs/smoke/judge-bank",
}


def main(config: Config) -> dict[str, object]:
    """Write the bank, judge it, print the tables; return the record."""
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports it: kernels run on the CPU
    chosen = _chosen(config)
    run = Run.start("judge", config)
    write(Path(config.bank), chosen)
    lines, known = list(_judged(config, chosen)), problems()
    told = [line for line in lines if not known[line["problem"]].vacuous]
    blind = [line for line in lines if known[line["problem"]].vacuous]
    rows = [_row(rule, told) for rule in (OURS, *RULES)]
    _print(rows, told, blind)
    return run.finish(
        {"rules": rows, "families": _families(told), "cannot tell": blind, "wrongly judged": _surprises(told)}
    )


def _chosen(config: Config) -> list[Candidate]:
    """Raises: ValueError where nothing is chosen."""
    for kind in filter(None, config.kind.split(",")):
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r} but must be one of {', '.join(KINDS)}")
    kinds = config.kind.split(",") if config.kind else KINDS
    found = [c for c in candidates(everywhere=config.everywhere) if c.kind in kinds]
    found = [c for c in found if _holds(c.problem, config.problem) and _holds(c.name, config.name)]
    if not found:
        raise ValueError("no candidate is called so: leave out --problem, --kind or --name to see more")
    return found[:: config.every]


def _holds(text: str, words: str) -> bool:
    return not words or any(word in text for word in words.split(","))


def _judged(config: Config, chosen: Sequence[Candidate]) -> Iterator[Line]:
    """A line for each candidate; one that the file of results holds, with the same text, is not asked again."""
    file = Path(config.results)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = {line["key"]: line for line in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    left = [c for c in chosen if known.get(c.key, {}).get("text") != _text(c)]
    asked = {c.key for c in left}
    yield from ({**known[c.key], "named": _named(c, known[c.key]["reasons"])} for c in chosen if c.key not in asked)
    with file.open("a", encoding="utf-8") as lines, progress("candidates") as advance:
        for done, line in enumerate(_answers(config, left), 1):
            lines.write(json.dumps(line) + "\n")
            lines.flush()
            advance(done, len(left))
            yield line


def _answers(config: Config, left: Sequence[Candidate]) -> Iterator[Line]:
    jobs = [(Path(config.bank), candidate, config.seed) for candidate in left]
    if config.jobs == 1:
        yield from map(_line, jobs)
        return
    with ProcessPoolExecutor(config.jobs) as pool:
        yield from pool.map(_line, jobs)


def _text(candidate: Candidate) -> int:
    return zlib.crc32(candidate.text.encode())


def _line(job: tuple[Path, Candidate, int]) -> Line:
    """What every rule says of one candidate, and what each took."""
    torch.set_num_threads(1)
    folder, candidate, seed = job
    file, reference = folder / f"{candidate.key}.py", folder / candidate.problem / "reference.py"
    judgement, seconds = _timed(lambda: judge(str(file), str(reference), seed=seed, time_limit=PATIENCE))
    says = {name: _timed(lambda rule=rule: passed(rule, reference, file)) for name, rule in RULES.items()}  # type: ignore[misc]
    found = [reason.kind for reason in judgement.reasons]
    return {
        "key": candidate.key,
        "problem": candidate.problem,
        "name": candidate.name,
        "kind": candidate.kind,
        "text": _text(candidate),
        "verdict": str(judgement.verdict),
        "reasons": found,
        "message": str(judgement.reasons[0]) if judgement.reasons else "",
        "named": _named(candidate, found),
        "passes": {OURS: judgement.passed, **{name: said for name, (said, _) in says.items()}},
        "seconds": {OURS: seconds, **{name: took for name, (_, took) in says.items()}},
    }


def _named(candidate: Candidate, found: Sequence[str]) -> bool:
    return not set(candidate.reasons).isdisjoint(found)


def _timed(ask: Callable[[], Any]) -> tuple[Any, float]:
    """An answer, and the seconds of a processor that it took here and in processes that this one started."""
    began = _processor()
    return ask(), round(_processor() - began, 3)


def _processor() -> float:
    taken = sum(os.times()[:4])
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split():
        with suppress(OSError):  # it has ended: then it is among our own
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            taken += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return taken


def _row(rule: str, lines: Sequence[Line]) -> dict[str, Any]:
    """One rule: of each kind how many it passed, and how many there are."""
    counts = Counter((line["kind"], line["passes"][rule]) for line in lines)
    held = {kind: counts[kind, True] + counts[kind, False] for kind in KINDS}
    named = sum(line["named"] for line in lines if line["kind"] == "hack")
    return {
        "rule": rule,
        "refused": counts["right", False],
        "right": held["right"],
        "caught mistakes": counts["mistake", False],
        "mistakes": held["mistake"],
        "caught hacks": counts["hack", False],
        "hacks": held["hack"],
        "named": named if rule == OURS else None,
        "seconds": median(line["seconds"][rule] for line in lines) if lines else None,
    }


def _families(lines: Sequence[Line]) -> list[dict[str, Any]]:
    names = dict.fromkeys(line["problem"].partition("/")[0] for line in lines)
    return [
        {**_row(OURS, [line for line in lines if line["problem"].startswith(f"{name}/")]), "rule": name}
        for name in names
    ]


def _surprises(lines: Sequence[Line]) -> list[Line]:
    """Right ones that were refused, wrong ones that passed, and hacks that were caught under another name."""
    return [line for line in lines if (line["kind"] == "right") != line["passes"][OURS] or _unnamed(line)]


def _unnamed(line: Line) -> bool:
    return line["kind"] == "hack" and not line["named"]


def _print(rows: Sequence[dict[str, Any]], told: Sequence[Line], blind: Sequence[Line]) -> None:
    for title, table in (("rule", rows), ("family, by our judge", _families(told))):
        print(
            f"{title:24} {'right refused':>14} {'mistakes caught':>16} {'hacks caught':>14} {'named':>6} {'s each':>7}"
        )
        for r in table:
            cells = [
                f"{r[a]} of {r[b]}"
                for a, b in (("refused", "right"), ("caught mistakes", "mistakes"), ("caught hacks", "hacks"))
            ]
            took = "" if r["seconds"] is None else f"{r['seconds']:.2f}"
            named = "" if r["named"] is None else r["named"]
            print(f"{r['rule']:24} {cells[0]:>14} {cells[1]:>16} {cells[2]:>14} {named:>6} {took:>7}")
        print()
    for line in blind:
        print(f"cannot tell: {line['key']}: {line['verdict']}; passed by {_passing(line)}")
    for line in _surprises(told):
        what = "REFUSED" if line["kind"] == "right" else "MISSED" if line["passes"][OURS] else "caught, not by name"
        print(f"{what}: {line['key']}: {line['message'] or line['verdict']}")


def _passing(line: Line) -> str:
    return ", ".join(rule for rule, says in line["passes"].items() if says) or "none"


if __name__ == "__main__":
    command(Config, main, SMOKE)()
