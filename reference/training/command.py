"""`scratchproof lockstep`: this package's nets with anybody's Solver, or anybody's module and optimizer."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from scratchproof.console import console
from scratchproof.errors import InputError
from scratchproof.options import json_option, once, present, seed_option, usable, written
from scratchproof.report.text import plain
from scratchproof.tracing.command import PRECISIONS, called

NETS = ("two_layer", "linear", "xor", "convnet")
NEEDED = ("make_candidate", "make_truth", "batches", "loss")


@click.command()
@click.argument("net", metavar="NET")
@click.option("--subject", help="Whose Solver, for a net of this package: a module or a .py file; scratch unless said.")
@click.option(
    "--rule",
    "rules",
    type=click.Choice(["sgd", "sgd_momentum", "rmsprop", "adam"]),
    multiple=True,
    callback=once,
    help="Only this update rule of a net of this package; may be repeated.",
)
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Steps beside the truth.")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), help="What a module of your own trains in; float64 unless said."
)
@seed_option
@json_option
def lockstep(
    net: str, subject: str | None, rules: tuple[str, ...], steps: int, precision: str | None, seed: int, **files: Any
) -> None:
    """Train NET beside the truth, step for step, and say where, if anywhere, the two part.

    NET is two_layer, linear, xor or convnet, beside torch.optim; or FILE.py:NAME (or MODULE:NAME), where NAME is a
    function without arguments that returns what scratchproof.lockstep takes, by name, in a dictionary:
    make_candidate, make_truth, batches and loss. The file runs in this process.

    Both start from the same parameters and see the same batches. A parting is named by step, parameter and term:
    gradient, loss scaling, accumulation, clipping, decay, momentum, bias correction, epsilon, rate, schedule, average.
    """
    usable(files)
    if net in NETS:
        if precision:
            raise click.UsageError(f"--precision says nothing of {net}, which is trained in float64")
        passed = _net(net, subject or "scratch", rules, steps, seed, files)
    else:
        if subject or rules:
            raise click.UsageError(f"--subject and --rule say nothing of {net}: give one of {', '.join(NETS)}")
        passed = _modules(net, steps, precision or "float64", seed, files)
    sys.exit(0 if passed else 1)


def _net(net: str, subject: str, rules: tuple[str, ...], steps: int, seed: int, files: Any) -> bool:
    present(subject)
    import torch

    from scratchproof.exam.compare import Verdict
    from scratchproof.training import lockstep as training

    printed = console()
    beside = f"{plain(subject)} beside torch.optim {torch.__version__}: {net}, float64, seed {seed}\n"
    printed.print(beside, soft_wrap=True)
    found = training.run(subject, net, rules, steps=steps, seed=seed)
    training.show(printed, found)
    written(files, training.record_of(found, subject=subject, net=net, seed=seed))
    return all(r.verdict is Verdict.PASS for r in found)


def _modules(spec: str, steps: int, precision: str, seed: int, files: dict[str, Path | None]) -> bool:
    if ":" not in spec:
        raise click.UsageError(f"{spec} is neither one of {', '.join(NETS)} nor FILE.py:NAME")
    given = called(spec)
    if not isinstance(given, dict) or not set(NEEDED) <= set(given):
        raise InputError(f"{spec} should give a dictionary with {', '.join(NEEDED)}")
    from scratchproof.report.document import environment
    from scratchproof.training.modules import lockstep as compared

    found = compared(**{"steps": steps, "precision": precision, "seed": seed, **given})
    console().print(plain(str(found)), style="green" if found.passed else "bold red", soft_wrap=True, highlight=False)
    head = {"format": "scratchproof-module-lockstep", "version": 1, "environment": environment()}
    told = {"given": spec, "precision": precision, "seed": seed, "passed": found.passed, **asdict(found)}
    written(files, {**head, **told})
    return found.passed
