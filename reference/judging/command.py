"""`scratchproof judge`: one candidate kernel against its reference, or a folder of them."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from scratchproof.console import console
from scratchproof.errors import InputError
from scratchproof.report.text import plain

PRECISIONS = ("float64", "float32", "float16", "bfloat16")


def _scale(_: click.Context, option: click.Parameter, given: str) -> int | str:
    if given == "auto":
        return given
    if not given.isdigit() or not int(given):
        raise click.BadParameter(f"{given!r} is neither a whole number from 1 nor auto", param=option)
    return int(given)


@click.command()
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option(
    "--against", "reference", required=True, metavar="REFERENCE", type=click.Path(path_type=Path),
    help="The problem: a file, or a folder with a file of each candidate's name.",
)  # fmt: skip
@click.option("--allow", type=click.Choice(["tf32", "float16", "bfloat16"]), help="What may be computed in inside.")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), help="The dtype of all floating tensors; as shipped unless said."
)
@click.option(
    "--scale", default="auto", show_default=True, callback=_scale, metavar="NUMBER",
    help="Divide the problem's sizes; auto bounds the work.",
)  # fmt: skip
@click.option("--grad/--no-grad", default=True, help="Whether gradients are asked for.")
@click.option("--time", is_flag=True, help="Time what passes beside the reference.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where it runs.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), metavar="NUMBER", help="Of all inputs; drawn anew unless said."
)
@click.option(
    "--time-limit", type=click.FloatRange(0.0, min_open=True), default=30.0, show_default=True,
    help="Seconds for one call.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Candidates at a time, of a folder.")
@click.option(
    "--json-lines", "lines", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Add a line of JSON for each candidate; what it holds already is not judged again.",
)  # fmt: skip
def judge(candidate: Path, reference: Path, jobs: int, lines: Path | None, **options: Any) -> None:
    """Judge the kernel in CANDIDATE, a file with `ModelNew` or a function, against REFERENCE, forward and backward.

    REFERENCE is a file in KernelBench's form (Model, get_inputs, get_init_inputs), in robust-kbench's, or of a function
    with get_inputs. It runs in this process; the candidate runs in one of its own, which never sees it.

    Exit status: 0 if all candidates pass, 1 if one does not, 2 if there is nothing to judge.
    """
    from scratchproof.judging.folders import judged, pairs

    for place in (candidate, reference):
        if not place.exists():
            raise InputError(f"there is no {place}: give a file or a folder")
    wanted, alone = pairs(candidate, reference)
    for file in alone:
        click.echo(f"note: no reference is called {plain(file.stem)}", err=True)
    if candidate.is_file() and lines is None:
        records = [_one(candidate, reference, options)]
    else:
        records = _many(judged(wanted, options, jobs, lines), len(wanted))
        _summary(records)
    sys.exit(0 if all(record["passed"] for record in records) else 1)


def _one(candidate: Path, reference: Path, options: dict[str, Any]) -> dict[str, Any]:
    from scratchproof.sandbox.warm import zygote

    zygote()
    import torch

    from scratchproof.judging.judge import judge as judging

    torch.set_num_threads(1)
    found = judging(candidate, reference, **options)
    console().print(plain_lines(str(found)), soft_wrap=True)
    return found.as_dict()


def _many(found: Any, total: int) -> list[dict[str, Any]]:
    from scratchproof.progress import progress

    records = []
    printed = console()
    with progress("judging") as advance:
        for record in found:
            records.append(record)
            told = record["problem"] or ", ".join(record["kinds"])
            name = Path(record["candidate"]).name
            printed.print(
                f"{record['verdict'] or 'UNUSABLE':8} {plain(name)}{': ' if told else ''}{plain(told)}", soft_wrap=True
            )
            advance(len(records), total)
    return records


def _summary(records: list[dict[str, Any]]) -> None:
    counts = Counter(record["verdict"] or "could not be judged" for record in records)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    console().print(f"\n{len(records)} candidates: {told}", soft_wrap=True)


def plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.splitlines()))
