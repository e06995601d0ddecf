"""How often does the exam cry wolf? Right code, compared tensor by tensor until there are enough comparisons.

Right are torch on the CPU in each precision, and the from-scratch package in the two it takes, both its forms. Each
draws a legal shape of a layer, a distribution and a scale of its data; every output and gradient is compared as in the
exam. A line of results.jsonl is kept for each draw, so a run that was stopped goes on where it was.

A scale is left out where squares of the data leave the format: what then overflows is another question.
"""

import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scratchproof import scratch
from scratchproof.bank.mechanical import FORMS, in_form
from scratchproof.exam.beyond import drawn
from scratchproof.exam.compare import Verdict
from scratchproof.exam.exam import Exam, Trial
from scratchproof.exam.judge import judge
from scratchproof.progress import progress
from scratchproof.subjects.subject import ModuleSubject, Subject, load
from scratchproof.table.layers import LAYERS, Layer
from scratchproof.vjp import PRECISIONS, Precision

from .command import Basic, command, option
from .record import Run

Array = NDArray[Any]
FORMATS = ("float64", "float32", "float16", "bfloat16")
KINDS = ("pair", "loss", "net", "forward")
SHAPES = 40  # of a layer, in turn
SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)
DISTRIBUTIONS: Mapping[str, Callable[[Array, np.random.Generator], Array]] = {
    "normal": lambda x, rng: x,
    "of one sign": lambda x, rng: np.abs(x),
    "cancelling": lambda x, rng: np.concatenate([x.ravel()[: x.size - x.size // 2], -x.ravel()[: x.size // 2]]),
    "sparse": lambda x, rng: np.where(rng.random(x.shape) < 0.9, 0.0, x),
    "of many sizes": lambda x, rng: x * 10.0 ** rng.uniform(-6, 0, x.shape),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """How many, and of what."""

    comparisons: int = option(1_000_000, "tensors to compare before it ends", least=1, free=True)
    results: str = option("runs/false-alarms.jsonl", "where results are kept and found again")
    layers: str = option("", "only these layers, separated by commas")
    precisions: str = option(",".join(FORMATS), "precisions, separated by commas")
    threads: int = option(1, "torch's threads", least=1)


SMOKE = {"comparisons": 40, "layers": "relu,affine", "results": "runs/smoke/false-alarms.jsonl"}


def main(config: Config) -> dict[str, object]:
    """Compare until there are enough; print the count, the alarms and the bound; return the record."""
    torch.set_num_threads(config.threads)
    run = Run.start("false_alarms", config)
    file = Path(config.results)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = _known(file)
    count = sum(line["comparisons"] for line in known.values())
    with progress("comparisons") as advance, file.open("a", encoding="utf-8") as lines:
        for key, ask in _draws(config):
            if count >= config.comparisons:
                break
            advance(min(count, config.comparisons), config.comparisons)
            if key not in known:
                compared, alarms = ask()
                known[key] = {"key": key, "comparisons": compared, "alarms": alarms}
                count += compared
                lines.write(json.dumps(known[key]) + "\n")
                lines.flush()
    return run.finish(_told(list(known.values())))


def _known(file: Path) -> dict[str, dict[str, Any]]:
    found = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {line["key"]: line for line in map(json.loads, found)}


def _draws(config: Config) -> Iterator[tuple[str, Callable[[], tuple[int, list[str]]]]]:
    """Without end: each draw by its name, and how it is asked."""
    names = config.layers.split(",") if config.layers else [layer.name for layer in LAYERS]
    rows = [layer for layer in LAYERS if layer.name in names and layer.kind in KINDS and layer.shapes]
    if not rows:
        raise ValueError(f"layers is {config.layers!r} but no layer of shapes is called so")
    subjects = {name: _subjects(name) for name in config.precisions.split(",")}
    turn = config.seed
    while True:
        for layer in rows:
            for name, of_precision in subjects.items():
                precision = PRECISIONS[name]
                scales = [s for s in SCALES if precision.tiny < s * s * 1e-2 and s * s * 1e4 < precision.largest]
                for i, distribution in enumerate(DISTRIBUTIONS):
                    scale = scales[(turn + i) % len(scales)]
                    key = f"{layer.name} {name} {distribution} {scale:g} {turn}"
                    yield (
                        key,
                        lambda l=layer, p=precision, d=distribution, s=scale, t=turn, w=of_precision: _asked(  # type: ignore[misc]
                            l, p, d, s, t, w
                        ),
                    )
        turn += 1


def _subjects(name: str) -> list[Subject]:
    """Who is right in a precision. Raises: ValueError for one that is not known."""
    if name not in FORMATS:
        raise ValueError(f"precision is {name!r} but must be one of {', '.join(FORMATS)}")
    found: list[Subject] = [load(f"torch:cpu:{name}")]
    for form in FORMS if name in ("float64", "float32") else ():
        module = ModuleType(f"scratch{form}")
        vars(module).update(in_form(form, scratch))
        found.append(ModuleSubject(name=module.__name__, module=module))
    return found


def _asked(
    layer: Layer, precision: Precision, distribution: str, scale: float, turn: int, subjects: list[Subject]
) -> tuple[int, list[str]]:
    """How many tensors were compared, and what was told of any."""
    assert layer.shapes is not None
    sizes = drawn(layer.shapes, turn // SHAPES, SHAPES)[turn % SHAPES]
    case = layer.shapes.case(sizes)
    rng = np.random.default_rng([turn, 1])  # else the cotangent is x itself
    inputs = case.inputs(rng)
    data = inputs[layer.data]
    inputs[layer.data] = scale * DISTRIBUTIONS[distribution](data, rng).reshape(data.shape)
    trial = Trial(
        layer=layer, case=case, name=case.name, precision=precision, inputs=precision.rounded(inputs), seed=turn
    )
    compared, alarms = 0, []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for subject in subjects:
            exam = Exam(subject=subject, layer=layer, precision=precision)
            if subject.function(layer, case, precision) is None:
                continue
            for result in judge(exam, trial, "false alarms"):
                compared += 1
                if result.verdict is not Verdict.PASS:
                    alarms.append(f"{subject.name}: {distribution}, scale {scale:g}: {result.message}")
    return compared, alarms


def _told(lines: list[dict[str, Any]]) -> dict[str, object]:
    count = sum(line["comparisons"] for line in lines)
    alarms = [alarm for line in lines for alarm in line["alarms"]]
    by_format, of_format = Counter[str](), Counter[str]()
    for line in lines:
        name = next(word for word in line["key"].split() if word in FORMATS)
        by_format[name] += line["comparisons"]
        of_format[name] += len(line["alarms"])
    for name, compared in by_format.items():
        print(f"{name:9} {of_format[name]:6,} alarms in {compared:10,} comparisons")
    bound = at_most(len(alarms), count)
    print(f"{len(alarms):,} alarms in {count:,} comparisons: with 95 % confidence at most 1 in {1 / bound:,.0f}")
    for alarm in alarms[:20]:
        print(f"  {alarm}")
    return {"comparisons": count, "alarms": len(alarms), "at_most": bound, "told": alarms[:200]}


def at_most(alarms: int, count: int) -> float:
    """The rate above which so few alarms in so many comparisons have less than a chance of 5 %: 3 / count for none."""
    low, high = 0.0, alarms + 10.0 + 10 * math.sqrt(alarms + 1)
    for _ in range(60):
        mean = (low + high) / 2
        chance = sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(alarms + 1))
        low, high = (mean, high) if chance > 0.05 else (low, mean)
    return high / count


if __name__ == "__main__":
    command(Config, main, SMOKE)()
