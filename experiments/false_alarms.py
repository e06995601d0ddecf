"""How often does the exam cry wolf? Right code, compared tensor by tensor until there are enough comparisons.

Right are torch on the CPU in each precision, with one thread and with two, and in float64 and float32 the from-scratch
package, both its forms, the textbook of the bank, and JAX where it is installed: in one turn of four, for it compiles
every shape anew, not on denormal numbers, which it takes for 0, and not where its subgradient is another. (In half
precision its gradients of a bias are summed in the format itself on the CPU; the exam says so, and is right.) Each draw
has a legal shape of a layer, a distribution and a scale of its data; every output and gradient is compared as in the
exam, the allowances of a few draws of one shape derived side by side. A line of results.jsonl is kept for each such
batch, so a run that was stopped goes on where it was; lines of another state of the checks are left aside.

A scale is left out where squares of the data leave the format: what then overflows is another question.
"""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scratchproof import scratch
from scratchproof.bank.certificate import keep, of_alarms, state
from scratchproof.bank.mechanical import FORMS, in_form
from scratchproof.bank.mistakes import subject_of
from scratchproof.bank.worth import at_most
from scratchproof.exam.beyond import drawn
from scratchproof.exam.compare import Verdict
from scratchproof.exam.exam import Exam, Trial
from scratchproof.exam.judge import judge
from scratchproof.oracle.tolerance import tolerances_of_many
from scratchproof.progress import progress
from scratchproof.second.in_jax import expressions
from scratchproof.subjects.jax import from_jax
from scratchproof.subjects.protocol import PromisesNothing
from scratchproof.subjects.subject import ModuleSubject, Subject, load
from scratchproof.table.layers import LAYERS, Case, Layer
from scratchproof.vjp import PRECISIONS, Function, Precision

from .command import Basic, command, option
from .record import Run

Array = NDArray[Any]
FORMATS = ("float64", "float32", "float16", "bfloat16")
KINDS = ("pair", "loss", "net", "forward")
SHAPES = 41  # of a layer, in turn: no multiple of the distributions, so that all meet
OF_JAX = 4  # JAX is asked in one of so many turns
ELSEWHERE = {"leaky_relu"}  # rows whose slope at 0 is another in JAX: the exam notes that apart
BATCH, ELEMENTS = 16, 2**16  # draws of one shape side by side, and of how many elements at most
SCALES = {"float16": (0.1, 0.3, 1.0, 2.0)}
FURTHER = (1e-6, 1e-3, 1.0, 1e3, 1e6)  # of formats with a range to speak of
DISTRIBUTIONS: Mapping[str, Callable[[Array, np.random.Generator], Array]] = {
    "normal": lambda x, rng: x,
    "of one sign": lambda x, rng: np.abs(x),
    "cancelling": lambda x, rng: np.concatenate([x.ravel()[: x.size - x.size // 2], -x.ravel()[: x.size // 2]]),
    "sparse": lambda x, rng: np.where(rng.random(x.shape) < 0.9, 0.0, x),
    "of many sizes": lambda x, rng: x * 10.0 ** rng.uniform(-6, 0, x.shape),
    "repeating": lambda x, rng: np.round(2 * x) / 3,
    "nearly alike": lambda x, rng: 1 + x / 1000,
}
DENORMAL = "denormal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """How many, and of what."""

    comparisons: int = option(1_000_000, "tensors to compare before it ends", least=1, free=True)
    results: str = option("runs/false-alarms.jsonl", "where results are kept and found again")
    layers: str = option("", "only these layers, separated by commas")
    precisions: str = option(",".join(FORMATS), "precisions, separated by commas")
    threads: int = option(2, "torch's threads: one and so many, in turn", least=1)
    jax: bool = option(True, "ask JAX too, where it is installed", free=True)
    keep: str = option("", "put the count into this file of measurements")


SMOKE = {"comparisons": 200, "layers": "relu,affine", "results": "runs/smoke/false-alarms.jsonl"}


def main(config: Config) -> dict[str, object]:
    """Compare until there are enough; print the count, the alarms and the bound; return the record."""
    run = Run.start("false_alarms", config)
    file = Path(config.results)
    file.parent.mkdir(parents=True, exist_ok=True)
    known = _known(file)
    count = sum(line["comparisons"] for line in known.values())
    with progress("comparisons") as advance, file.open("a", encoding="utf-8") as lines:
        for draw in _draws(config):
            if count >= config.comparisons:
                break
            advance(min(count, config.comparisons), config.comparisons)
            if draw.key not in known:
                torch.set_num_threads(config.threads if draw.turn % 2 else 1)
                compared, alarms = draw.asked()
                known[draw.key] = {"key": draw.key, "comparisons": compared, "alarms": alarms, "state": state()}
                count += compared
                lines.write(json.dumps(known[draw.key]) + "\n")
                lines.flush()
    return run.finish(_told(list(known.values()), config.keep))


def _known(file: Path) -> dict[str, dict[str, Any]]:
    found = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {line["key"]: line for line in map(json.loads, found) if line["state"] == state()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Several sets of inputs of one case, distribution and scale, and the subjects that get them."""

    layer: Layer
    case: Case
    precision: Precision
    distribution: str
    scale: float
    turn: int
    subjects: Sequence[Subject]

    @property
    def key(self) -> str:
        return f"{self.layer.name} {self.precision.name} {self.distribution} {self.scale:g} {self.turn}"

    def asked(self) -> tuple[int, list[str]]:
        """How many tensors were compared, and what was told of any."""
        compared, alarms = 0, []
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for trial in self.trials():
                for subject in self.subjects:
                    exam = Exam(subject=subject, layer=self.layer, precision=self.precision)
                    if subject.function(self.layer, trial.case, self.precision) is None:
                        continue
                    for result in judge(exam, [trial], "false alarms"):
                        compared += 1
                        if result.verdict is not Verdict.PASS:
                            told = f"{subject.name}: {self.distribution}, scale {self.scale:g}, seed {trial.seed}"
                            alarms.append(f"{told}: {result.message}")
        return compared, alarms

    def trials(self) -> list[Trial]:
        """With their allowances, derived side by side."""
        elements = sum(value.size for value in self.case.inputs(np.random.default_rng(0)).values())
        count = max(1, min(BATCH, ELEMENTS // elements))
        trials = [self._trial(self.case, BATCH * self.turn + i) for i in range(count)]
        found = tolerances_of_many(
            self.layer.torch,
            [trial.truth for trial in trials],
            [trial.inputs for trial in trials],
            [trial.cotangents for trial in trials],
            self.precision,
            constant=self.layer.constant,
            options=self.case.options,
            alternatives=self.layer.alternatives,
            stored=self.layer.stored,
            seed=self.turn,
        )
        for trial, of_trial in zip(trials, found, strict=True):
            trial.tolerances = of_trial
        return trials

    def _trial(self, case: Case, seed: int) -> Trial:
        rng = np.random.default_rng([seed, 1])  # else the cotangent is x itself
        inputs = case.inputs(rng)
        data = inputs[self.layer.data]
        shaped = DISTRIBUTIONS.get(self.distribution, DISTRIBUTIONS["normal"])(data, rng)
        inputs[self.layer.data] = self.scale * shaped.reshape(data.shape)
        return Trial(
            layer=self.layer,
            case=case,
            name=case.name,
            precision=self.precision,
            inputs=self.precision.rounded(inputs),
            seed=seed,
        )


def _draws(config: Config) -> Iterator[Draw]:
    """Without end."""
    names = config.layers.split(",") if config.layers else [layer.name for layer in LAYERS]
    rows = [layer for layer in LAYERS if layer.name in names and layer.kind in KINDS and layer.shapes]
    if not rows:
        raise ValueError(f"layers is {config.layers!r} but no layer of shapes is called so")
    subjects = {name: _subjects(name, config.jax) for name in config.precisions.split(",")}
    turn, cases = config.seed, {layer.name: _cases(layer, config.seed) for layer in rows}
    while True:
        for layer in rows:
            for name, of_precision in subjects.items():
                precision = PRECISIONS[name]
                for distribution, scale in _data(precision, turn):
                    yield Draw(
                        layer=layer,
                        case=next(cases[layer.name]),
                        precision=precision,
                        distribution=distribution,
                        scale=scale,
                        turn=turn,
                        subjects=_asked(of_precision, turn, distribution),
                    )
        turn += 1


def _asked(subjects: Sequence[Subject], turn: int, distribution: str) -> list[Subject]:
    apart = turn % OF_JAX or distribution == DENORMAL
    return [subject for subject in subjects if not (apart and isinstance(subject, JaxSubject))]


def _cases(layer: Layer, seed: int) -> Iterator[Case]:
    """A layer's shapes, another for each draw."""
    assert layer.shapes is not None
    return cycle([layer.shapes.case(sizes) for sizes in drawn(layer.shapes, seed, SHAPES)])


def _data(precision: Precision, turn: int) -> Iterator[tuple[str, float]]:
    """Distributions, each with a scale that changes from turn to turn."""
    held = (s for s in FURTHER if precision.tiny < s * s * 1e-2 and s * s * 1e4 < precision.largest)
    scales = SCALES.get(precision.name) or tuple(held)
    yield from ((distribution, scales[(turn + i) % len(scales)]) for i, distribution in enumerate(DISTRIBUTIONS))
    yield DENORMAL, precision.tiny


def _subjects(name: str, jax: bool) -> list[Subject]:
    """Who is right in a precision. Raises: ValueError for one that is not known."""
    if name not in FORMATS:
        raise ValueError(f"precision is {name!r} but must be one of {', '.join(FORMATS)}")
    found: list[Subject] = [load(f"torch:cpu:{name}")]
    for form in FORMS if name in ("float64", "float32") else ():
        module = ModuleType(f"scratch{form}")
        vars(module).update(in_form(form, scratch))
        found.append(ModuleSubject(name=module.__name__, module=module))
    return [*found, subject_of(None), *(_of_jax() if jax else [])] if len(found) > 1 else found


@dataclass(frozen=True, slots=True, kw_only=True)
class JaxSubject(PromisesNothing):
    """The rows of the table that are written in JAX."""

    name: str = "jax"
    precisions: tuple[str, ...] = FORMATS
    remarks: tuple[str, ...] = ()
    rows: Mapping[str, Callable[..., Any]]

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        row = self.rows.get(layer.name)
        if row is None:
            return None
        return from_jax(partial(row, **case.options), lambda given: list(given.values()), precision, layer.constant)

    def scores(self, layer: Layer, case: Case, precision: Precision) -> None:
        return None


def _of_jax() -> list[Subject]:
    rows = expressions() if find_spec("jax") else {}
    return [JaxSubject(rows={name: row for name, row in rows.items() if name not in ELSEWHERE})] if rows else []


def _told(lines: list[dict[str, Any]], file: str) -> dict[str, object]:
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
    if file:
        keep(Path(file), of_alarms({name: (of_format[name], compared) for name, compared in by_format.items()}))
    return {"comparisons": count, "alarms": len(alarms), "at_most": bound, "told": alarms[:200]}


if __name__ == "__main__":
    command(Config, main, SMOKE)()
