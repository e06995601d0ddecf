"""How do the gradient checkers people use compare: what they catch, how often they cry wolf, what they cost?

One bank for all: the mistakes of `scratchproof mutants`, named and sometimes. False alarms are counted on right code,
the textbook in which the mistakes are made and the from-scratch package, for several seeds. The cost is the processor
time for one right layer, in medians, with nothing remembered from layer to layer.
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from scratchproof import scratch
from scratchproof.bank.kill import Bench
from scratchproof.bank.mistakes import NAMED, SOMETIMES, Slip, subject_of
from scratchproof.extras import needed
from scratchproof.progress import progress
from scratchproof.subjects.subject import ModuleSubject, Subject
from scratchproof.table.layers import row

from .checkers_known import CHECKERS, Question
from .command import Basic, command, option
from .plots import figure, save
from .record import Run

BANKS = {"named": NAMED, "sometimes": SOMETIMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """How much is asked."""

    every: int = option(1, "only every so-manieth mistake", least=1)
    seeds: int = option(3, "how often right code is checked", least=1)
    rows: str = option("", "only these rows, separated by commas")
    checkers: str = option("", "only checkers whose name holds one of these, separated by commas")


NEEDS = ("matplotlib",)
SMOKE = {"rows": "relu", "every": 6, "seeds": 1, "checkers": "fast,scratchproof"}


def main(config: Config) -> dict[str, object]:
    """Count, print and draw; return the record."""
    torch.set_num_threads(1)
    run = Run.start("checkers", config)
    asked = _chosen(config.checkers)
    if any("jax" in name for name in asked):
        needed("jax")
    slips = {bank: _of_rows(held, config) for bank, held in BANKS.items()}
    told = _kills(asked, slips, config.seed)
    alarms, costs = _right(asked, sorted({s.row for held in slips.values() for s in held}), config)
    rows = [_row(name, told[name], alarms[name], costs[name]) for name in asked]
    _print(rows, slips)
    _draw(run, rows)
    return run.finish({"checkers": rows, "caught": told})


def _chosen(words: str) -> list[str]:
    """Raises: ValueError where a word chooses nothing."""
    for word in filter(None, words.split(",")):
        if not any(word in name for name in CHECKERS):
            raise ValueError(f"no checker is called {word!r}: choose from {'; '.join(CHECKERS)}")
    return [name for name in CHECKERS if not words or any(word in name for word in words.split(","))]


def _of_rows(slips: Sequence[Slip], config: Config) -> list[Slip]:
    rows = config.rows.split(",") if config.rows else []
    return [slip for slip in slips if not rows or slip.row in rows][:: config.every]


def _kills(asked: Sequence[str], slips: dict[str, list[Slip]], seed: int) -> dict[str, dict[str, list[str]]]:
    """By checker and bank, the mistakes that are caught."""
    found: dict[str, dict[str, list[str]]] = {name: {bank: [] for bank in slips} for name in asked}
    every = [(bank, slip) for bank, held in slips.items() for slip in held]
    bench = Bench(seed=seed)
    with progress("mistakes") as advance:
        for done, (bank, slip) in enumerate(every):
            advance(done, len(every))
            question = Question(subject=subject_of(slip), layer=row(slip.row), seed=seed, bench=bench)
            for name in asked:
                if _told(name, question):
                    found[name][bank].append(f"{slip.row}: {slip.name}")
    return found


def _right(
    asked: Sequence[str], rows: Sequence[str], config: Config
) -> tuple[dict[str, tuple[int, int]], dict[str, list[float]]]:
    """By checker, alarms and examinations of right code, and the seconds that each row took."""
    subjects: list[Subject] = [subject_of(None), ModuleSubject(name="scratch", module=scratch)]
    every = [(subject, row(name), seed) for subject in subjects for name in rows for seed in config.run_seeds()]
    alarms, costs = dict.fromkeys(asked, 0), {name: list[float]() for name in asked}
    with progress("right code") as advance:
        for done, (subject, layer, seed) in enumerate(every):
            advance(done, len(every))
            for name in asked:
                began = time.process_time()
                question = Question(subject=subject, layer=layer, seed=seed, bench=Bench(seed=seed))
                alarms[name] += _told(name, question)
                costs[name].append(time.process_time() - began)
    return {name: (count, len(every)) for name, count in alarms.items()}, costs


def _told(name: str, question: Question) -> bool:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return CHECKERS[name](question)
        except Exception:
            return True


def _row(name: str, told: dict[str, list[str]], alarms: tuple[int, int], costs: Sequence[float]) -> dict[str, Any]:
    caught = {bank: len(names) for bank, names in told.items()}
    return {"checker": name, **caught, "alarms": alarms[0], "of": alarms[1], "seconds": median(costs)}


def _print(rows: Sequence[dict[str, Any]], slips: dict[str, list[Slip]]) -> None:
    held = {bank: len(of_bank) for bank, of_bank in slips.items()}
    print(f"{'checker':36} {'named':>11} {'sometimes':>11} {'false alarms':>14} {'s a layer':>10}")
    for r in rows:
        cells = [f"{r[bank]} of {count}" for bank, count in held.items()]
        print(f"{r['checker']:36} {cells[0]:>11} {cells[1]:>11} {r['alarms']:>6} of {r['of']:<5} {r['seconds']:>9.3f}")


def _draw(run: Run, rows: Sequence[dict[str, Any]]) -> None:
    drawing, (axes,) = figure(width=8.0, height=4.2)
    names = [r["checker"] for r in rows][::-1]
    places = np.arange(len(names))
    for shift, bank in ((0.2, "named"), (-0.2, "sometimes")):
        axes.barh(places + shift, [r[bank] for r in rows][::-1], height=0.38, label=f"caught, {bank}")
    for place, r in zip(places, rows[::-1], strict=True):
        told = f" {r['alarms']} false alarms of {r['of']}; {r['seconds']:.2g} s"
        axes.text(r["named"], float(place) + 0.2, told, va="center", fontsize=7)
    axes.set_yticks(places, names, fontsize=8)
    axes.margins(x=0.35)
    axes.set(xlabel="mistakes caught")
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    save(drawing, run.path("checkers.png"))


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
