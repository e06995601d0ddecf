"""The command line that all experiments share, made from an experiment's frozen Config.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Common):
        hidden: int = option(50, "units of the hidden layer")

    if __name__ == "__main__":
        command(Config, main, SMOKE)()

Every field becomes an option of the same name; `--smoke` swaps in the small settings of SMOKE wherever nothing
else was asked for. What cannot be used (an option, a device, a folder of images) ends the command with exit
status 2 and one line that says why; so does a package that is missing and not everybody has (NEEDS, after SMOKE),
before anything runs.
"""

import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from scratchproof.extras import require
from scratchproof.scratch import CheckpointError


def option(
    default: Any,
    text: str,
    *,
    choices: tuple[str, ...] = (),
    kind: type | None = None,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    free: bool = False,
) -> Any:
    """A Config field with its default, its line in --help, what it may be, and its type.

    kind: needed only where the default is None. least, above, below: bounds of a number, or of each of several
    (above and below themselves are outside). free: may be another when a run is resumed.
    """
    bounds = {"least": least, "above": above, "below": below}
    kept = {"help": text, "choices": choices, "kind": kind or type(default), "free": free, **bounds}
    return field(default=default, metadata=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """What every experiment can be told.

    Raises: ValueError for a number out of its option's bounds.
    """

    seed: int = option(0, "seed of the first run; the others count on from it", least=0)
    out: str | None = option(None, "folder of the run; the same again resumes it", kind=str, free=True)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float):
                    _require_within(item.name, number, item.metadata)

    def run_seeds(self) -> range:
        """The seeds of the runs, where an experiment has `seeds` of them."""
        return range(self.seed, self.seed + getattr(self, "seeds", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Basic):
    """What an experiment can be told that either backend computes."""

    backend: str = option("scratch", "who computes", choices=("scratch", "torch"))
    device: str = option("auto", "where torch computes", choices=("auto", "cpu", "cuda"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Common(Computed):
    """What an experiment on images can be told."""

    data: str = option("synthetic", "synthetic, cifar10, or the path of an image folder")
    root: str | None = option(None, "folder of CIFAR-10's archive (with --data cifar10)", kind=str, free=True)
    download: bool = option(False, "fetch CIFAR-10 if it is missing (with --data cifar10)", free=True)


def _require_within(name: str, number: float, bounds: Mapping[str, Any]) -> None:
    """Raises: ValueError for a number that is not finite or not within the bounds."""
    least, above, below = bounds["least"], bounds["above"], bounds["below"]
    words = name.replace("_", "-")
    if not math.isfinite(number):
        raise ValueError(f"{words} is {number} but must be finite")
    if least is not None and number < least:
        raise ValueError(f"{words} is {number} but must be at least {least:g}")
    if above is not None and number <= above:
        raise ValueError(f"{words} is {number} but must be above {above:g}")
    if below is not None and number >= below:
        raise ValueError(f"{words} is {number} but must be below {below:g}")


Settings = TypeVar("Settings", bound=Basic)


class _Command(click.Command):
    """A command whose every error is one line."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        try:
            sys.exit(super().main(*arguments, **options | {"standalone_mode": False}))
        except click.ClickException as error:
            click.echo(f"{self.name}: {' '.join(error.format_message().split())}", err=True)
            sys.exit(2)
        except click.Abort:
            sys.exit(130)


def command(
    config: type[Settings],
    main: Callable[[Settings], object],
    smoke: Mapping[str, Any],
    needs: Sequence[str] = (),
) -> click.Command:
    """The click command of an experiment: its question is the help text, its Config the options.

    needs: packages that not everybody has; that one is missing is told before anything runs.
    """
    module = sys.modules[main.__module__]

    @click.pass_context
    def run(context: click.Context, /, smoke_run: bool, **chosen: Any) -> None:
        if smoke_run:
            unset = {name for name in chosen if context.get_parameter_source(name) is ParameterSource.DEFAULT}
            chosen |= {name: value for name, value in smoke.items() if name in unset}
        try:
            require(*needs)
            main(config(**chosen))
        except (ValueError, OSError, CheckpointError) as error:
            raise click.UsageError(str(error)) from None

    options: list[click.Parameter] = [_click_option(item) for item in fields(config)]
    options.append(click.Option(["--smoke", "smoke_run"], is_flag=True, help="small settings: a run of seconds"))
    text = inspect.getdoc(module)
    name = f"python -m {module.__spec__.name}" if module.__spec__ else None
    settings = {"show_default": True, "help_option_names": ["-h", "--help"]}
    return _Command(name, callback=run, params=options, help=text, context_settings=settings)


def resolve_device(backend: str, device: str) -> str:
    """The device that is meant: cpu or cuda.

    Raises: ValueError where it is not there or the backend cannot use it.
    """
    if backend == "scratch":
        if device == "cuda":
            raise ValueError("the scratch backend is NumPy on the CPU: use --backend torch with --device cuda")
        return "cpu"
    if device == "cpu":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise ValueError("torch sees no CUDA device here: use --device cpu or --device auto")
    return "cpu"


class _Numbers(click.ParamType[tuple[Any, ...]]):
    """Numbers separated by commas, as a tuple of the type of the first default."""

    name = "numbers"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of {self.kind.__name__}s separated by commas", param, ctx)


def _click_option(item: Field[Any]) -> click.Option:
    default = None if item.default is MISSING else item.default
    choices = item.metadata.get("choices", ())
    flag = isinstance(default, bool)
    kind: Any = None if flag else item.metadata["kind"]
    if choices:
        kind = click.Choice(choices)
    elif isinstance(default, tuple):
        kind = _Numbers(type(default[0]))
    return click.Option(
        [f"--{item.name.replace('_', '-')}", item.name],
        default=",".join(map(str, default)) if isinstance(default, tuple) else default,
        type=kind,
        is_flag=flag,
        show_default=default is not None and default is not False and default != "",
        help=item.metadata.get("help"),
    )
