"""Does a PASS mean something, and is a FAIL never a false alarm?

The exam's power: the mistakes of `experiments.mistakes` are put to it and to two weaker ways of checking, and
counted. Its false alarms: right code, torch itself in several precisions and the from-scratch package, sits it with
many seeds; whatever does not PASS is printed. The smallest headroom says how near an alarm came.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from scratchproof.exam.checks import check_values, examine
from scratchproof.exam.compare import Severity, Verdict
from scratchproof.exam.exam import Exam
from scratchproof.progress import progress
from scratchproof.subjects import subject
from scratchproof.table.layers import LAYERS
from scratchproof.vjp import PRECISIONS, answer, from_torch

from .command import Basic, command, option
from .mistakes import MISTAKES, Mistake
from .record import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """What is counted."""

    seeds: int = option(200, "how often each right subject sits the exam", least=1)
    subjects: str = option("scratch,torch:cpu:float32,torch:cpu:bfloat16", "right subjects, separated by commas")
    layers: str = option("", "only these layers, separated by commas")


SMOKE = {"seeds": 1, "subjects": "torch:cpu:float32", "layers": "affine,relu"}


def main(config: Config) -> dict[str, object]:
    """Count and print both rates; return the record."""
    torch.set_num_threads(1)
    run = Run.start("power", config)
    run.begin()
    kills = _kills(config.seed)
    alarms = [_alarms(config, name) for name in config.subjects.split(",")]
    return run.finish({"kills": kills, "false_alarms": alarms})


def _kills(seed: int) -> dict[str, object]:
    oracles = {
        "out.sum().backward(), 1e-4": _all_ones,
        "signed cotangent, random input": _ordinary,
        "the exam": _exam,
    }
    caught = {m.name: {name: oracle(m, seed) for name, oracle in oracles.items()} for m in MISTAKES}
    print(f"{'mistake':32} " + "  ".join(oracles))
    for mistake in MISTAKES:
        marks = ("x" if caught[mistake.name][name] else "-" for name in oracles)
        cells = "  ".join(f"{mark:^{len(name)}}" for mark, name in zip(marks, oracles, strict=True))
        print(f"{mistake.layer + ': ' + mistake.name:32.32} {cells}")
    totals = {name: sum(of_mistake[name] for of_mistake in caught.values()) for name in oracles}
    print(f"{'caught of ' + str(len(MISTAKES)):32} " + "  ".join(f"{totals[name]:^{len(name)}}" for name in oracles))
    return {"mistakes": caught, "totals": totals, "of": len(MISTAKES)}


def _exam(mistake: Mistake, seed: int) -> bool:
    """Whether the exam fails it, or, where it is a mere convention, says so."""
    report = examine(mistake.subject, mistake.row, "float64", seed=seed)
    noted = any(result.severity is Severity.CONVENTION for result in report.findings)
    return report.verdict is not Verdict.PASS or (mistake.convention and noted)


def _ordinary(mistake: Mistake, seed: int) -> bool:
    """The same comparison with torch float64, on the first case's random input alone: no corners."""
    exam = Exam(subject=mistake.subject, layer=mistake.row, precision=PRECISIONS["float64"], seed=seed)
    first = exam.trials[0].name
    return any(r.verdict is not Verdict.PASS for r in check_values(exam) if r.case == first)


def _all_ones(mistake: Mistake, seed: int) -> bool:
    """What many test suites do: the gradient of the sum of the output, each element to 1e-4 and a thousandth."""
    exam = Exam(subject=mistake.subject, layer=mistake.row, precision=PRECISIONS["float64"], seed=seed)
    trial = exam.trials[0]
    oracle = from_torch(trial.layer.torch, constant=trial.layer.constant, options=trial.case.options)
    ones = np.ones(trial.truth.out.shape)
    try:
        found, truth = (answer(f, trial.given(), [ones.copy()]) for f in (exam.function(trial), oracle))
        pairs = [(found.out, truth.out), *((found.grads[0][k], v) for k, v in truth.grads[0].items())]
        return not all(np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in pairs)
    except Exception:
        return True


def _alarms(config: Config, name: str) -> dict[str, object]:
    """Let a right subject sit the exam with every seed, and count the verdicts."""
    examined = subject.load(name)
    layers = [layer for layer in LAYERS if not config.layers or layer.name in config.layers.split(",")]
    verdicts: Counter[str] = Counter()
    alarms: list[str] = []
    smallest = {precision: float("inf") for precision in examined.precisions}
    with progress(name, every=30.0) as advance:
        for done, seed in enumerate(config.run_seeds()):
            advance(done, config.seeds)
            for layer in layers:
                for precision in examined.precisions:
                    report = examine(examined, layer, precision, seed=seed)
                    verdicts[str(report.verdict)] += 1
                    if report.tightest and report.tightest.headroom is not None:
                        smallest[precision] = min(smallest[precision], report.tightest.headroom)
                    alarms += [f"seed {seed}: {f.message}" for f in report.findings if f.verdict is not Verdict.PASS]
    rooms = ", ".join(f"{room:.1f} in {precision}" for precision, room in smallest.items())
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(verdicts.items()))
    print(f"{name}, {config.seeds} seeds: {counts}; smallest headroom {rooms}", flush=True)
    for alarm in alarms[:10]:
        print(f"  {alarm}")
    return {"subject": name, "verdicts": verdicts, "smallest_headroom": smallest, "alarms": alarms}


if __name__ == "__main__":
    command(Config, main, SMOKE)()
