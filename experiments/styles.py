"""Is right code passed however it is written? Layers in many styles, each examined in two precisions under many seeds.

Einsum and loops, columns and strides, caches that are tuples, objects and closures, gradients computed anew, sums in
place, torch and JAX underneath: whoever writes one of them is owed a PASS.
"""

from collections import Counter
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Report, Verdict
from scratchproof.progress import progress
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row

from .command import Basic, command, option
from .record import Run
from .right import STYLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """How often each is examined."""

    seeds: int = option(5, "how often each is examined in each precision", least=1)
    precisions: str = option("float64,float32", "precisions, separated by commas")
    layers: str = option("", "only the styles of these layers, separated by commas")
    effort: str = option("quick", "how much is asked", choices=("quick", "normal", "thorough"))


SMOKE = {"seeds": 1, "precisions": "float32", "layers": "squared_loss"}


def main(config: Config) -> dict[str, object]:
    """Examine, count and print; return the record."""
    torch.set_num_threads(1)
    run = Run.start("styles", config)
    wanted = config.layers.split(",") if config.layers else [layer for layer, _ in STYLES]
    chosen = [style for style in STYLES if style[0] in wanted]
    if not chosen:
        raise ValueError(f"layers is {config.layers!r} but no layer with styles is called so")
    papers: dict[Any, Any] = {}
    examined, compared, alarms = 0, 0, []
    with progress("examinations") as advance:
        for seed in config.run_seeds():
            papers.clear()  # truths are shared by styles, not by seeds
            for precision in config.precisions.split(","):
                for layer, style in chosen:
                    advance(examined, len(chosen) * len(config.precisions.split(",")) * config.seeds)
                    report = sat(layer, style, precision, seed, config.effort, papers)
                    examined += 1
                    compared += len(report.results)
                    alarms += [f"{layer}, {style}, seed {seed}: {told}" for told in _told(report)]
    _tell(chosen, examined, compared, alarms)
    return run.finish({"styles": len(chosen), "examined": examined, "compared": compared, "alarms": alarms})


def sat(layer: str, style: str, precision: str, seed: int, effort: str, papers: dict[Any, Any]) -> Report:
    """The exam of one style."""
    module = ModuleType(f"{layer}, {style}")
    vars(module).update(STYLES[layer, style])
    subject = ModuleSubject(name=module.__name__, module=module)
    return examine(subject, row(layer), precision, seed=seed, effort=effort, papers=papers)


def _told(report: Report) -> list[str]:
    if report.verdict is Verdict.PASS:
        return []
    return [result.message for result in report.findings[:1]] or [str(report.verdict)]


def _tell(chosen: list[tuple[str, str]], examined: int, compared: int, alarms: list[str]) -> None:
    for layer, count in Counter(layer for layer, _ in chosen).items():
        print(f"{layer:20} {count:3} styles")
    for alarm in alarms[:20]:
        print(f"  {alarm}")
    print(f"{len(chosen)} styles, {examined:,} examinations, {compared:,} results: {len(alarms)} alarms")


if __name__ == "__main__":
    command(Config, main, SMOKE)()
