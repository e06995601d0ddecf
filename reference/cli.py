"""The command line: `scratchproof check`, `trace`, `lockstep`.

torch takes seconds to import, so everything that needs it is imported where it is used, and `--help` is quick.
Exit status: 0 if everything passes, 1 if something does not, 2 if the subject, the data or the options are unusable,
130 if it is stopped with Ctrl-C.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from scratchproof.bank.command import mutants
from scratchproof.console import console
from scratchproof.grading.command import grade
from scratchproof.judging.command import judge
from scratchproof.options import (
    Group,
    device_option,
    dtype_option,
    effort_option,
    gradescope_option,
    html_option,
    in_process_option,
    json_option,
    junit_option,
    layer_option,
    mapping_option,
    oracle_on,
    oracle_option,
    present,
    rename_option,
    scripts_option,
    seed_option,
    strict_option,
    time_limit_option,
    usable,
    written,
)
from scratchproof.report.text import plain
from scratchproof.sandbox.warm import prepare
from scratchproof.tracing.command import trace
from scratchproof.training.command import lockstep

Files = Mapping[str, Path | None]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scratchproof", message="%(prog)s %(version)s")
def main() -> None:
    """Check layers, losses and nets against torch, with autograd as the oracle."""


@main.command()
@click.argument("subject", default="scratch")
@layer_option
@dtype_option
@effort_option
@click.option(
    "--rows",
    type=click.Path(exists=True, dir_okay=False),
    help="The Python file of a table of your own: its rows are examined, in this process.",
)
@device_option
@oracle_option
@seed_option
@in_process_option
@time_limit_option
@strict_option
@click.option("--certify", is_flag=True, help="Measure anew what a PASS of these layers is worth: minutes for all.")
@rename_option
@mapping_option
@json_option
@html_option
@junit_option
@gradescope_option
@scripts_option
def check(
    subject: str,
    layers: tuple[str, ...],
    dtypes: tuple[str, ...],
    effort: str,
    rows: str | None,
    device: str,
    oracles: str,
    seed: int,
    in_process: bool,
    time_limit: float,
    strict: bool,
    certify: bool,
    renamed: dict[str, str],
    mapping: Path | None,
    scripts: Path | None,
    **files: Path | None,
) -> None:
    """Examine every layer, loss and net of SUBJECT.

    SUBJECT is an importable module (the default is the from-scratch NumPy package, scratch), the path of a .py file,
    a folder of them (cs231n/) or a notebook (.ipynb) with CS231n names (affine_forward, softmax_loss, TwoLayerNet,
    ...), or torch itself in some precision: torch:cpu:float32, torch:cpu:bfloat16, torch:cuda:tf32.

    A file is run in a process of its own, under limits of time, memory and output. A module, which is on your own
    import path, is run in this one: examine modules that you would also be willing to run.

    A FILE that exists is replaced only if it holds results of scratchproof.
    """
    usable(files)
    present(subject)
    if rows and layers:
        raise click.UsageError("--rows brings its own layers: leave --layer out")
    if not (in_process or rows):
        prepare(subject)
    how: dict[str, Any] = {"effort": effort, "rows": rows, "in_process": in_process, "time_limit": time_limit}
    how |= {"certify": certify, "oracles": oracles}
    found = _examine(subject, layers, dtypes, device, seed, strict=strict, renamed=renamed, mapping=mapping, **how)
    _show(found, files)
    written(files, found)
    if scripts:
        _write_scripts(scripts, found)
    sys.exit(0 if found["summary"]["passed"] else 1)


main.add_command(grade)
main.add_command(judge)
main.add_command(mutants)
main.add_command(trace)
main.add_command(lockstep)


@main.command()
@click.argument("name", metavar="scalar|matrix", type=click.Choice(["scalar", "matrix"]))
@click.option("--subject", default="scratch", show_default=True, help="Whose graphs: a module or a .py file.")
def graph(name: str, subject: str) -> None:
    """Work one of the lectures' graphs step by step, local and chained gradients, beside torch autograd.

    scalar: f = (a·x + b·y)·(c·z) and its distance from a target; matrix: f = ‖W x‖².
    """
    present(subject)
    from scratchproof.tracing.nets import graphs

    title, lines = graphs.worked(name, subject)
    graphs.show(console(), title, lines)
    sys.exit(0 if all(line.agrees for line in lines) else 1)


def _examine(
    spec: str,
    layers: tuple[str, ...],
    dtypes: tuple[str, ...],
    device: str,
    seed: int,
    *,
    effort: str,
    in_process: bool,
    time_limit: float,
    strict: bool,
    renamed: dict[str, str],
    mapping: Path | None = None,
    rows: str | None = None,
    certify: bool = False,
    oracles: str = "torch",
) -> dict[str, Any]:
    """Load and examine; return the document."""
    import torch

    from scratchproof.api.tables import rows_of, subject_of
    from scratchproof.bank.certificate import stored
    from scratchproof.bank.measure import afresh
    from scratchproof.bank.worth import certificate
    from scratchproof.exam.checks import examine
    from scratchproof.exam.compare import Verdict
    from scratchproof.exam.judge import strictly
    from scratchproof.progress import progress
    from scratchproof.report.document import document
    from scratchproof.sandbox.find import find
    from scratchproof.sandbox.limits import Limits
    from scratchproof.second.opinion import Second
    from scratchproof.subjects import subject
    from scratchproof.subjects.cs231n.mapping import read
    from scratchproof.table.layers import EVERY_ROW, LAYERS, family

    torch.set_num_threads(1)  # the arrays are small: waking a second thread costs more than it saves
    oracle, second = oracle_on(device), Second() if "jax" in oracles else None
    named = f"torch:{oracle}" if spec == "torch" else spec
    if rows:
        table, examined = rows_of(rows), subject_of(named, oracle)
    else:
        everything = LAYERS if spec.startswith("torch") else EVERY_ROW
        table = tuple(layer for name in layers for layer in family(name)) or everything
        told: dict[str, Any] = {"renamed": renamed, "mapping": read(mapping) if mapping else {}}
        options = {name: value for name, value in told.items() if value}
        examined = find(named, in_process=in_process, limits=Limits.of(time_limit), **options)
    precisions = dtypes or examined.precisions
    if isinstance(examined, subject.TorchSubject) and set(precisions) != set(examined.precisions):
        raise click.UsageError(f"{examined.name} has its precision in its name: leave --dtype out")
    reports = []
    sittings = [(layer, precision) for layer in table for precision in precisions]
    with progress("examining") as advance:
        for done, (layer, precision) in enumerate(sittings):
            advance(done, len(sittings))
            report = examine(examined, layer, precision, seed=seed, device=oracle, effort=effort)
            if second and precision == precisions[0]:
                report = second.heard(report, examined, layer, seed=seed, effort=effort)
            reports.append(strictly(report) if strict else report)
    # Of what only strangers have, what this one lacks goes without saying.
    known = {layer.name for layer in (table if layers or rows else LAYERS)}
    reports = [r for r in reports if r.layer in known or r.verdict is not Verdict.MISSING]
    if all(r.verdict is Verdict.MISSING for r in reports):
        wanted = ", ".join(layer.name for layer in table)
        raise subject.SubjectError(f"{spec} has nothing to examine: none of {wanted}")
    remarks = (*examined.remarks, *([second.told()] if second else ()))
    held = stored() | (afresh(_rows_of(reports, table), effort, seed) if certify and not rows else {})
    told = {"asked": layers, "remarks": remarks, "certificate": certificate(held, reports, effort)}
    return document(reports, subject=examined.name, seed=seed, oracle=oracle, **told)


def _rows_of(reports: Any, table: Any) -> list[Any]:
    """The rows of the table that are there."""
    there = {report.layer for report in reports if report.verdict != "MISSING"}
    return [layer for layer in table if layer.name in there]


def _show(found: dict[str, Any], files: Files) -> None:
    import torch

    from scratchproof.report.terminal import show

    printed = console()
    against = f"against torch {torch.__version__} float64 on {found['oracle']}, seed {found['seed']}"
    printed.print(f"{plain(found['subject'])} {against}\n", soft_wrap=True)
    for remark in found["remarks"]:
        printed.print(f"note: {plain(remark)}", soft_wrap=True)
    show(printed, found)


def _write_scripts(folder: Path, content: dict[str, Any]) -> None:
    from scratchproof.report.files import scripts

    told = scripts(folder, content)
    said = f"{len(told)} in {folder}" if told else f"none: {folder} is left as it is"
    click.echo(f"scripts that show a mistake: {plain(said)}", err=True)
