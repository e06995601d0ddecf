"""Training in lockstep: a subject's Solver and a torch.optim loop, from one start, on the same batches.

For each update rule two runs of the subject are judged, both in float64. In the first the learning rate is
constant: torch trains beside it, and after every step loss and parameters must agree within the allowance that
disturbed runs of torch derive (`oracle_run`). In the second the rate is halved every epoch, so that the rule's
use of the rate is judged too, step by step. Where they part, `parting` names step, parameter and term.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scratchproof.exam.compare import Verdict
from scratchproof.progress import progress
from scratchproof.report.document import environment, finite
from scratchproof.report.text import plain
from scratchproof.subjects.subject import ModuleSubject, SubjectError, load
from scratchproof.training.journal import CASES, CONFIGS, PER_EPOCH, Journal, Params, find_rule, record
from scratchproof.training.oracle_run import RUNS, FreeRun, allowances, largest_difference
from scratchproof.training.parting import Known, Parting, difference, explain, known_differences

HALVINGS = 3  # epochs of the run with a falling rate
DECAY = 0.5

Advance = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReport:
    """What lockstep says of one update rule.

    steps: judged with a constant rate. error, allowed, headroom: at the step and quantity closest to (or beyond) the
    allowance, over the run beside torch. growth: how far the allowance of the parameters has grown from the first
    step to the last. parting: where they part, if they do; with `parting.convention` the subject follows another
    convention and passes. known: differences of convention that would show, or do.
    """

    rule: str
    verdict: Verdict
    steps: int = 0
    error: float | None = None
    allowed: float | None = None
    headroom: float | None = None
    growth: float | None = None
    parting: Parting | None = None
    message: str = ""
    known: tuple[Known, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """The outcome of the run beside torch: the closest call, and the first step (from 0) out of bounds."""

    error: float
    allowed: float
    growth: float
    first: int | None
    quantity: str = ""
    message: str = ""


def lockstep(
    module: ModuleType,
    net: str,
    rule: str,
    *,
    steps: int = 200,
    seed: int = 0,
    runs: int = RUNS,
    advance: Advance = lambda: None,
) -> RuleReport:
    """Judge one rule of a subject on one net.

    net: two_layer | linear | xor | convnet. runs: how many disturbed runs derive the allowance: fewer are faster and
    stricter. advance: called once a step of the subject and of every torch run.
    Raises: UnusableError if the module has no such net, or it cannot be built.
    """
    case = CASES[net]
    if find_rule(module, rule) is None:
        return RuleReport(rule=rule, verdict=Verdict.MISSING, message=f"{module.__name__} has no {rule}")
    constant = record(module, case, rule, steps=steps, seed=seed, advance=advance)
    falling = record(module, case, rule, steps=HALVINGS * PER_EPOCH, lr_decay=DECAY, seed=seed)
    for journal in (constant, falling):
        if not journal.steps:
            return RuleReport(rule=rule, verdict=Verdict.CRASH, message=journal.stopped)
    beside = _run_beside(constant, runs, advance)
    parting = _first_parting(constant, beside) or explain(falling, last=falling.steps)
    return _report(constant, falling, beside, parting)


def planned_steps(steps: int) -> int:
    """How often `lockstep` calls `advance` for one rule."""
    return steps * (1 + 1 + RUNS)


def _run_beside(journal: Journal, runs: int, advance: Advance) -> _Beside:
    worst, first, quantity, message = (0.0, 1.0), None, "", ""
    growth = []
    for step, (expected, allowed) in enumerate(_torch_runs(journal, runs)):
        growth.append(max(allowed[name] for name in journal.params[0]))
        actual = {**journal.params[step + 1], "loss": np.array(journal.losses[step])}
        for name in expected:
            error = largest_difference(actual[name], expected[name])
            if error / allowed[name] > worst[0] / worst[1]:
                worst = error, allowed[name]
            if first is None and error > allowed[name]:
                first, quantity, message = step, name, difference(actual[name], expected[name], allowed[name])
        for _ in range(1 + runs):
            advance()
        if first is not None:
            break
    return _Beside(
        error=worst[0],
        allowed=worst[1],
        growth=growth[-1] / growth[0],
        first=first,
        quantity=quantity,
        message=message,
    )


def _torch_runs(journal: Journal, runs: int) -> Iterator[tuple[Params, dict[str, float]]]:
    """What torch's own run says after every step, and how far each quantity may be from it."""
    allowed: dict[str, float] = {}
    together = zip(FreeRun(journal), *(FreeRun(journal, seed=seed) for seed in range(runs)), strict=True)
    for expected, *others in together:
        # An allowance never shrinks: what rounding has done is not undone, and few runs may agree by chance.
        allowed = {name: max(value, allowed.get(name, 0.0)) for name, value in allowances(expected, others).items()}
        yield expected, allowed


def _first_parting(journal: Journal, beside: _Beside) -> Parting | None:
    if beside.first is None:
        return None
    found = explain(journal, last=beside.first)
    return found or Parting(
        step=beside.first + 1,
        quantity=beside.quantity,
        term="accumulated",
        cause="every step by itself is within its allowance",
        message=beside.message,
    )


def _report(constant: Journal, falling: Journal, beside: _Beside, parting: Parting | None) -> RuleReport:
    stopped = next((f"stopped: {journal.stopped}" for journal in (constant, falling) if journal.stopped), "")
    in_order = parting is None or parting.convention
    verdict = Verdict.FAIL if not in_order else Verdict.CRASH if stopped else Verdict.PASS
    judged = beside.first is None or not in_order  # beside torch, another convention goes its own way
    return RuleReport(
        rule=constant.rule,
        verdict=verdict,
        steps=constant.steps,
        error=beside.error if judged else None,
        allowed=beside.allowed if judged else None,
        headroom=beside.allowed / beside.error if judged and beside.error else None,
        growth=beside.growth if judged else None,
        parting=parting,
        message=stopped,
        known=known_differences(constant, falling) if in_order else (),
    )


FORMAT_VERSION = 1


def record_of(reports: list[RuleReport], *, subject: str, net: str, seed: int) -> dict[str, Any]:
    """The JSON record: format and version, what was run where, one entry a rule, whether all passed."""
    return {
        "format": "scratchproof-lockstep",
        "version": FORMAT_VERSION,
        "environment": environment(),
        "subject": subject,
        "net": net,
        "seed": seed,
        "configs": {report.rule: CONFIGS[report.rule] for report in reports},
        "results": [finite(asdict(report)) for report in reports],
        "passed": all(report.verdict is Verdict.PASS for report in reports),
    }


def run(subject: str, net: str, rules: Sequence[str], *, steps: int, seed: int) -> list[RuleReport]:
    """Judge each rule of the subject on one net, with a progress bar on a terminal.

    Raises: SubjectError or UnusableError, both ValueErrors, for a subject that cannot be trained.
    """
    return _run(_module(subject), net, list(dict.fromkeys(rules)) or list(CONFIGS), steps, seed)


def show(console: Console, reports: list[RuleReport]) -> None:
    """Print a line a rule, the conventions that matter, and where a rule parts from torch."""
    console.print(_verdicts(reports))
    if any(report.known for report in reports):
        console.print(_conventions(reports))
    for report in reports:
        if report.parting is not None and not report.parting.convention:
            console.print(Text(f"{report.rule} parts at {plain(report.parting)}"), soft_wrap=True)
        if report.message:
            console.print(Text(f"{report.rule}: {plain(report.message)}"), soft_wrap=True)
    console.print(Text(COLUMNS), soft_wrap=True)
    console.print(Text(sentence(reports)), soft_wrap=True)


COLUMNS = """
error, allowed: at the loss or parameter closest to its allowance, over the steps beside torch (the largest difference)
headroom: how many times the error would fit into it; growth: how far the allowance grew over the steps, as rounding
does"""


def sentence(reports: list[RuleReport]) -> str:
    """What the table comes to."""
    beside = [report.rule for report in reports if report.verdict is Verdict.PASS and report.parting is None]
    other = [report.rule for report in reports if report.verdict is Verdict.PASS and report.parting is not None]
    wrong = [report.rule for report in reports if report.verdict is not Verdict.PASS]
    parts = [
        f"{', '.join(beside)}: beside torch.optim to the last step" if beside else "",
        f"{', '.join(other)}: another convention than torch's, followed throughout" if other else "",
        f"{', '.join(wrong)}: not as torch.optim" if wrong else "",
    ]
    return "; ".join(part for part in parts if part) + "."


def _module(subject: str) -> ModuleType:
    found = load(subject)
    if not isinstance(found, ModuleSubject):
        raise SubjectError(f"lockstep needs a module with nets and update rules, and {subject!r} is not one")
    return found.module


def _run(module: ModuleType, net: str, rules: list[str], steps: int, seed: int) -> list[RuleReport]:
    reports: list[RuleReport] = []
    with progress(f"lockstep {net}") as show:
        for number, rule in enumerate(rules):
            done = number * planned_steps(steps)

            def advance() -> None:
                nonlocal done
                done += 1
                show(done, len(rules) * planned_steps(steps))

            reports.append(lockstep(module, net, rule, steps=steps, seed=seed, advance=advance))
    return reports


def _verdicts(reports: list[RuleReport]) -> Table:
    table = Table()
    for heading in ("rule", "verdict", "steps", "error", "allowed", "headroom", "growth"):
        table.add_column(heading, justify="left" if heading in ("rule", "verdict") else "right")
    for report in reports:
        numbers = (report.error, report.allowed, report.headroom, report.growth)
        cells = ("-" if value is None else f"{value:.2g}" for value in numbers)
        table.add_row(report.rule, report.verdict, str(report.steps), *cells)
    return table


def _conventions(reports: list[RuleReport]) -> Table:
    table = Table("rule", "known difference of convention")
    table.add_column("would show at", no_wrap=True)
    for report in reports:
        followed = report.parting.cause if report.parting else ""
        for known in report.known:
            does = "shows at " if known.difference == followed else ""
            where = f"step {known.step}, {known.quantity}" + (", rate falling" if known.rate != 1 else "")
            table.add_row(Text(report.rule), Text(plain(known.difference)), Text(plain(does + where)))
    return table
