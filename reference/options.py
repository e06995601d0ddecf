"""The options that the commands share, and how a command ends when it cannot do its work.

Nothing here imports torch: a misuse is told at once.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from scratchproof.console import forget_output
from scratchproof.errors import InputError
from scratchproof.names import names
from scratchproof.report.text import plain

Files = Mapping[str, Path | None]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())  # not there in older versions of click, nor needed
STOPPED = 130  # what a shell says of a program that Ctrl-C ended


class Group(click.Group):
    """Commands that state fact and need on one line and leave with status 2; a traceback is for bugs of ours."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            status = run(*args, standalone_mode=False, **extra)
        except (click.Abort, KeyboardInterrupt):
            status = STOPPED
        except BrokenPipeError:
            forget_output()
            status = 1
        except (click.ClickException, InputError, OSError) as error:
            _tell(error)
            status = 2
        sys.exit(status)


def _tell(error: Exception) -> None:
    if isinstance(error, HELP):
        error.show()
        return
    message = error.format_message() if isinstance(error, click.ClickException) else error
    click.echo(f"scratchproof: {plain(message)}", err=True)


def _file(ctx: click.Context, option: click.Parameter, name: str | None) -> Path | None:
    if name == "":
        raise click.BadParameter("the name is empty: give the name of a file to write", ctx, option)
    return None if name is None else Path(name)


def _layers(ctx: click.Context, option: click.Parameter, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Each once; a name that is none is told before torch is imported."""
    known = names() if asked else ()
    for name in asked:
        if known and name not in known:
            near = "".join(f"did you mean {like}? " for like in get_close_matches(name, known, n=1))
            choice = ", ".join(name for name in known if "." not in name)
            raise click.BadParameter(f"no layer is called {name!r}: {near}choose from {choice}", ctx, option)
    return once(ctx, option, asked)


def _renamed(_: click.Context, __: click.Parameter, renames: tuple[str, ...]) -> dict[str, str]:
    """Their names by ours."""
    pairs = [rename.split("=") for rename in renames]
    if wrong := [rename for rename, pair in zip(renames, pairs, strict=True) if len(pair) != 2 or not all(pair)]:
        raise click.BadParameter(f"{wrong[0]!r} is not THEIRS=OURS", param_hint="--rename")
    return {ours: theirs for theirs, ours in pairs}


def once(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """What is said twice counts once."""
    return tuple(dict.fromkeys(values))


def usable(files: Mapping[str, Path | None]) -> None:
    """Find out before the work, not after it, that a result could not, or must not, be written.

    files: by the name of their option. Raises: InputError.
    """
    from scratchproof.report.files import check_target

    given = {option: file for option, file in files.items() if file is not None}
    for option, file in given.items():
        check_target(file)
        if twins := [other for other, path in given.items() if other != option and _same(path, file)]:
            raise InputError(f"--{option} and --{twins[0]} name the same file, {file}: give each its own")
    if "html" in given:
        from scratchproof.report.render import environment

        environment()


def present(subject: str) -> None:
    """Raises: InputError where a subject that reads like a path is not there."""
    reads_like_a_path = "/" in subject or subject.endswith((".py", ".ipynb"))
    if not subject or (reads_like_a_path and not Path(subject).exists()):
        need = "give the path of a .py file, or the name of a module that can be imported"
        raise InputError(f"there is no file {subject or '(an empty name)'}: {need}")


def oracle_on(device: str) -> str:
    """The device on which the truth is computed. Raises: SubjectError where it is asked for and not there."""
    import torch

    from scratchproof.subjects.subject import check_device

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        click.echo("no usable GPU: the oracle runs on the CPU", err=True)
        return "cpu"
    check_device(device)
    return device


def written(files: Files, content: dict[str, Any], **others: Callable[[dict[str, Any]], str]) -> None:
    """Write every file that was asked for. others: who writes, by the name of the option, where it is not as usual."""
    from scratchproof.report.document import as_json
    from scratchproof.report.files import write
    from scratchproof.report.gradescope import gradescope
    from scratchproof.report.junit import junit
    from scratchproof.report.page import page

    writers: dict[str, Callable[[dict[str, Any]], str]] = {
        "json": as_json,
        "html": page,
        "junit": junit,
        "gradescope": lambda found: as_json(gradescope(found)),
    }
    for option, file in files.items():
        if file is not None:
            write(file, {**writers, **others}[option](content))


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.resolve() == other.resolve()
    return one == other


def file_option(name: str, told: str) -> Decorator:
    return click.option(f"--{name}", name, callback=_file, metavar="FILE", help=told)


layer_option = click.option(
    "--layer", "layers", multiple=True, metavar="NAME", callback=_layers, help="Only this layer; may be repeated."
)
effort_option = click.option(
    "--effort",
    type=click.Choice(["quick", "normal", "thorough"]),
    default="normal",
    show_default=True,
    help="How many cases, shapes and orders of calls are asked.",
)
seed_option = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**64 - 1),
    metavar="NUMBER",
    help="Draw every random input from this seed.",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where torch computes the truth; auto takes the GPU if there is one.",
)
json_option = file_option("json", "Write every result to this file.")
junit_option = file_option("junit", "Write JUnit XML for a continuous integration server to this file.")
html_option = file_option("html", "Write a page to look at, with what is wrong drawn, to this file.")
gradescope_option = file_option("gradescope", "Write Gradescope's results.json, a point a property, to this file.")
scripts_option = click.option(
    "--scripts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write code that shows each mistake, with NumPy and torch alone, into this folder.",
)
oracle_option = click.option(
    "--oracle",
    "oracles",
    type=click.Choice(["torch", "torch,jax"]),
    default="torch",
    show_default=True,
    help="Whose truth: with torch,jax both are asked, and where they disagree it is said who is out.",
)
in_process_option = click.option(
    "--in-process", is_flag=True, help="Run a file in this process: for your own code, with a debugger, say."
)
time_limit_option = click.option(
    "--time-limit",
    type=click.FloatRange(0.0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds for one call of a file's code.",
)
strict_option = click.option("--strict", is_flag=True, help="Raise every note to SUSPECT: for a library's own tests.")
dtype_option = click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    callback=once,
    type=click.Choice(["float64", "float32"]),
    help="Only this precision; may be repeated. A module sits the exam in both.",
)
mapping_option = click.option(
    "--mapping",
    type=click.Path(path_type=Path),
    help="A TOML file that says how classes, and weights (out, in), answer to CS231n's names.",
)
rename_option = click.option(
    "--rename",
    "renamed",
    multiple=True,
    metavar="THEIRS=OURS",
    callback=_renamed,
    help="What a name of CS231n is called in SUBJECT; may be repeated.",
)
