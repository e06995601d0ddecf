"""`scratchproof grade`: many submissions, one table."""

from pathlib import Path

import click

from scratchproof.grading.submissions import Conditions
from scratchproof.options import (
    dtype_option,
    effort_option,
    layer_option,
    mapping_option,
    rename_option,
    seed_option,
    time_limit_option,
)


@click.command()
@click.argument("places", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default="grades", show_default=True, help="Folder for what is found."
)
@layer_option
@dtype_option
@effort_option
@rename_option
@mapping_option
@seed_option
@click.option("--workers", type=click.IntRange(1), help="Processes to grade in; as many as processors by default.")
@time_limit_option
@click.option(
    "--submission-limit",
    type=click.FloatRange(0.0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds for all calls of a submission's code together.",
)
def grade(
    places: tuple[Path, ...],
    out: Path,
    layers: tuple[str, ...],
    dtypes: tuple[str, ...],
    effort: str,
    renamed: dict[str, str],
    mapping: Path | None,
    seed: int,
    workers: int | None,
    time_limit: float,
    submission_limit: float,
) -> None:
    """Examine every submission in DIR; write a page for each, and a table of all: index.html and index.csv.

    A submission is a .py file, a notebook or a folder directly within DIR (or is given itself). Each is run in a
    process of its own, under limits. A run that was interrupted continues; what is unchanged is not graded again.
    Exit status: 0 if every submission has its row, whatever it says; 2 if there is nothing to grade.
    """
    from scratchproof.grading.engine import run
    from scratchproof.subjects.cs231n.mapping import read

    conditions = Conditions(
        layers=layers,
        precisions=dtypes,
        effort=effort,
        renamed=renamed,
        mapping=read(mapping) if mapping else {},
        seed=seed,
        call=time_limit,
        whole=submission_limit,
    )
    rows = run(places, out, conditions, workers=workers)
    unread = sum(bool(row.problem) for row in rows)
    click.echo(f"{len(rows)} submissions, {unread} of which could not be examined: see {out / 'index.html'}")
