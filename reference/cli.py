"""The command line: `scratchproof check`, `trace`, `lockstep`.

torch takes seconds to import, so everything that needs it is imported where it is used, and `--help` is quick.
Exit status: 0 if everything passes, 1 if something does not, 2 if the subject, the data or the options are unusable.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from scratchproof.errors import InputError
from scratchproof.sandbox.warm import prepare

NETS = ("two_layer", "xor", "convnet")

in_process_option = click.option(
    "--in-process", is_flag=True, help="Run a file in this process: for your own code, with a debugger, say."
)
time_limit_option = click.option(
    "--time-limit",
    type=click.FloatRange(0.0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds for one call of a file's code; its whole exam may take 30 times as long.",
)
seed_option = click.option("--seed", default=0, show_default=True, help="Draw every random input from this seed.")
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where torch computes the truth; auto takes the GPU if there is one.",
)
json_option = click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every result to this file."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scratchproof", message="%(prog)s %(version)s")
def main() -> None:
    """Check layers, losses and nets against torch, with autograd as the oracle."""


@main.command()
@click.argument("subject", default="scratch")
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="Only this layer; may be repeated.")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(["float64", "float32"]),
    help="Only this precision; may be repeated. A module sits the exam in both.",
)
@device_option
@seed_option
@in_process_option
@time_limit_option
@json_option
def check(
    subject: str,
    layers: tuple[str, ...],
    dtypes: tuple[str, ...],
    device: str,
    seed: int,
    in_process: bool,
    time_limit: float,
    json_file: Path | None,
) -> None:
    """Examine every layer, loss and net of SUBJECT.

    SUBJECT is an importable module (the default is the from-scratch NumPy package, scratch), the path of a .py file
    with CS231n names (affine_forward, softmax_loss, TwoLayerNet, ...), or torch itself in some precision:
    torch:cpu:float32, torch:cpu:bfloat16, torch:cuda:tf32.

    A file is run in a process of its own, under limits of time, memory and output. A module, which is on your own
    import path, is run in this one: examine modules that you would also be willing to run.
    """
    with _plain_errors():
        _writable(json_file)
        if not in_process:
            prepare(subject)
        found = _examine(subject, layers, dtypes, device, seed, in_process=in_process, time_limit=time_limit)
        _write(json_file, found)
    sys.exit(0 if found["summary"]["passed"] else 1)


@main.command()
@click.argument("net", type=click.Choice(NETS))
@click.option("--subject", default="scratch", show_default=True, help="Whose layers: a module or a .py file.")
@click.option("--data", default="synthetic", show_default=True, help="synthetic, cifar10, or an image folder.")
@click.option("--root", type=click.Path(path_type=Path), help="Where torchvision finds or puts CIFAR-10.")
@click.option("--download", is_flag=True, help="Let torchvision download CIFAR-10 if it is not there.")
@click.option("--batch", default=8, show_default=True, type=click.IntRange(min=1), help="Rows in the minibatch.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True)
@device_option
@seed_option
@json_option
def trace(
    net: str,
    subject: str,
    data: str,
    root: Path | None,
    download: bool,
    batch: int,
    dtype: str,
    device: str,
    seed: int,
    json_file: Path | None,
) -> None:
    """Follow one minibatch through NET, forward and backward, layer by layer, beside its torch.nn twin.

    Each layer is judged twice: on torch's own values (teacher-forced), which shows where an error is made, and on the
    values that reach it through the layers before (free-running), which shows what becomes of it.
    """
    with _plain_errors():
        _writable(json_file)
        from scratchproof.report.document import environment
        from scratchproof.tracing import trace as tracing

        oracle = _oracle(device)
        batch_of = tracing.minibatch(net, data, batch, seed=seed, root=root, download=download)
        found = tracing.trace(net, subject, batch_of, precision=dtype, device=oracle, seed=seed)
        tracing.show(_console(), found)
        _write(json_file, tracing.document(found, environment(oracle)))
    sys.exit(0 if found.passed else 1)


@main.command()
@click.argument("net", type=click.Choice(["two_layer", "linear", "xor", "convnet"]))
@click.option("--subject", default="scratch", show_default=True, help="Whose Solver: a module or a .py file.")
@click.option(
    "--rule",
    "rules",
    type=click.Choice(["sgd", "sgd_momentum", "rmsprop", "adam"]),
    multiple=True,
    help="Only this update rule; may be repeated.",
)
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Steps beside torch.")
@seed_option
@json_option
def lockstep(net: str, subject: str, rules: tuple[str, ...], steps: int, seed: int, json_file: Path | None) -> None:
    """Train NET beside torch.optim, step for step, and say where, if anywhere, the two part.

    Both start from the same parameters and see the same batches, in float64. A parting is named by step, parameter
    and term: gradient, decay, momentum, bias correction, epsilon.
    """
    with _plain_errors():
        _writable(json_file)
        import torch

        from scratchproof.exam.compare import Verdict
        from scratchproof.training import lockstep as training

        console = _console()
        console.print(
            f"{subject} beside torch.optim {torch.__version__}: {net}, float64, seed {seed}\n", highlight=False
        )
        found = training.run(subject, net, rules, steps=steps, seed=seed)
        training.show(console, found)
        _write(json_file, training.record_of(found, subject=subject, net=net, seed=seed))
    sys.exit(0 if all(r.verdict is Verdict.PASS for r in found) else 1)


def _examine(
    spec: str,
    layers: tuple[str, ...],
    dtypes: tuple[str, ...],
    device: str,
    seed: int,
    *,
    in_process: bool,
    time_limit: float,
) -> dict[str, Any]:
    """Load, examine and show; return the document."""
    import torch

    from scratchproof.exam.checks import examine
    from scratchproof.exam.compare import Verdict
    from scratchproof.progress import progress
    from scratchproof.report.document import document
    from scratchproof.report.terminal import show
    from scratchproof.sandbox.find import find
    from scratchproof.sandbox.limits import Limits
    from scratchproof.subjects import subject
    from scratchproof.table.layers import LAYERS, family

    torch.set_num_threads(1)  # the arrays are small: waking a second thread costs more than it saves
    oracle = _oracle(device)
    rows = [layer for name in layers for layer in family(name)] or LAYERS
    named = f"torch:{oracle}" if spec == "torch" else spec
    examined = find(named, in_process=in_process, limits=Limits.of(time_limit))
    precisions = dtypes or examined.precisions
    if isinstance(examined, subject.TorchSubject) and set(precisions) != set(examined.precisions):
        raise click.UsageError(f"{examined.name} has its precision in its name: leave --dtype out")
    console = _console()
    console.print(
        f"{examined.name} against torch {torch.__version__} float64 on {oracle}, seed {seed}\n", highlight=False
    )
    reports = []
    sittings = [(layer, precision) for layer in rows for precision in precisions]
    with progress("examining") as advance:
        for done, (layer, precision) in enumerate(sittings):
            advance(done, len(sittings))
            reports.append(examine(examined, layer, precision, seed=seed, device=oracle))
    if all(r.verdict is Verdict.MISSING for r in reports):
        wanted = ", ".join(layer.name for layer in rows)
        raise subject.SubjectError(f"{spec} has nothing to examine: none of {wanted}")
    found = document(reports, subject=examined.name, seed=seed, oracle=oracle, asked=layers)
    show(console, found)
    return found


def _oracle(device: str) -> str:
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


def _console() -> Any:
    from rich.console import Console

    # A pipe has no width of its own; a table cut at 80 columns would lose its last one.
    return Console() if sys.stdout.isatty() else Console(width=120)


def _writable(file: Path | None) -> None:
    """Find out before the work, not after it, that the results could not be written."""
    if file is not None:
        from scratchproof.report.files import check_target

        check_target(file)


def _write(file: Path | None, content: dict[str, Any]) -> None:
    if file is not None:
        from scratchproof.report.document import as_json
        from scratchproof.report.files import write

        write(file, as_json(content))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """State the fact and the need on one line and leave with status 2; a traceback is for bugs of ours."""
    try:
        yield
    except (InputError, OSError) as error:
        click.echo(f"scratchproof: {error}", err=True)
        sys.exit(2)
