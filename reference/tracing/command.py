"""`scratchproof trace`: this package's nets with anybody's layers, or anybody's model."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from scratchproof.console import console
from scratchproof.errors import InputError
from scratchproof.options import (
    html_option,
    json_option,
    oracle_on,
    present,
    seed_option,
    usable,
    written,
)

NETS = ("two_layer", "xor", "convnet")
PRECISIONS = ("float64", "float32", "tf32", "float16", "bfloat16")
OF_NETS = ("subject", "data", "root", "download", "batch")
OF_MODELS = ("against", "pairs", "html")


@click.command()
@click.argument("net", metavar="NET")
@click.option(
    "--precision",
    "--dtype",
    "precision",
    type=click.Choice(PRECISIONS),
    help="What is traced computes in it: float64 (a net of this package) or float32 (a model) unless said.",
)
@click.option("--subject", help="Whose layers a net of this package has: a module or a .py file; scratch unless said.")
@click.option("--data", help="The net's images: synthetic (unless said), cifar10, or an image folder.")
@click.option("--root", type=click.Path(path_type=Path), help="Where torchvision finds or puts CIFAR-10.")
@click.option("--download", is_flag=True, default=None, help="Let torchvision download CIFAR-10 if it is not there.")
@click.option("--batch", type=click.IntRange(min=1), help="Rows in the net's minibatch; 8 unless said.")
@click.option("--against", metavar="MODEL", help="Another implementation of the model, which lends it its parameters.")
@click.option(
    "--pairs",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file: the module paths of --against by the model's own, where they differ.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where torch computes: a net's truth, or the model that is traced; auto takes the GPU if there is one.",
)
@seed_option
@json_option
@html_option
def trace(net: str, precision: str | None, device: str, seed: int, **given: Any) -> None:
    """Follow one minibatch through NET, forward and backward, layer by layer, and name the first that goes wrong.

    NET is two_layer, xor or convnet, beside its torch.nn twin; or FILE.py:NAME (or MODULE:NAME), where NAME is a
    function without arguments that returns (model, inputs) of your own: any torch.nn.Module, beside its own float64
    copy on the CPU, or beside --against. The file runs in this process.

    Each layer is judged twice: on the truth's own values (teacher-forced), which shows where an error is made, and on
    the values that reach it through the layers before (free-running), which shows what becomes of it.
    """
    files = {option: given.pop(option) for option in ("json", "html")}
    refused = OF_MODELS if net in NETS else OF_NETS
    for option, value in {**given, **files}.items():
        if option in refused and value is not None:
            need = "give FILE.py:NAME" if net in NETS else f"give one of {', '.join(NETS)}"
            raise click.UsageError(f"--{option} says nothing of {net}: {need}, or leave it out")
    usable(files)
    if net in NETS:
        passed = _net(net, precision or "float64", device, seed, files, given)
    else:
        passed = _model(net, precision or "float32", device, seed, files, given)
    sys.exit(0 if passed else 1)


def _net(net: str, precision: str, device: str, seed: int, files: Any, given: Any) -> bool:
    if precision not in ("float64", "float32"):
        raise click.UsageError(f"{net} is traced in float64 or float32, not in {precision}")
    subject = given["subject"] or "scratch"
    present(subject)
    from scratchproof.report.document import environment
    from scratchproof.tracing.nets import trace as tracing

    oracle = oracle_on(device)
    source = {"root": given["root"], "download": bool(given["download"])}
    batch = tracing.minibatch(net, given["data"] or "synthetic", given["batch"] or 8, seed=seed, **source)
    found = tracing.trace(net, subject, batch, precision=precision, device=oracle, seed=seed)
    tracing.show(console(), found)
    written(files, tracing.document(found, environment(oracle)))
    return found.passed


def _model(net: str, precision: str, device: str, seed: int, files: Any, given: Any) -> bool:
    if ":" not in net:
        raise click.UsageError(f"{net} is neither one of {', '.join(NETS)} nor FILE.py:NAME")
    pairs = _pairs(given["pairs"])
    model, inputs = built(net)
    truth = built(given["against"])[0] if given["against"] else None
    if inputs is None:
        raise InputError(f"{net} gives a model alone: let it return (model, inputs)")
    from scratchproof.report.document import environment
    from scratchproof.tracing import models
    from scratchproof.tracing.shown import tree
    from scratchproof.tracing.shown.page import trace_page

    place = oracle_on(device)
    found = models.trace(model, truth, inputs=inputs, precision=precision, device=place, pairs=pairs, seed=seed)
    tree.show_model(console(), found)
    written(files, tree.document(found, net, environment(place)), html=trace_page)
    return found.passed


def _pairs(file: Path | None) -> dict[str, str]:
    """Raises: InputError for a file that is no JSON object of names."""
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is no JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InputError(f'{file} should be an object of names, such as {{"encoder.0": "layers.0"}}')
    return found


def built(spec: str) -> tuple[Any, Any]:
    """What FILE.py:NAME or MODULE:NAME returns: a model, and its inputs (None if it gives none).

    Raises: InputError, as `called`.
    """
    made = called(spec)
    return made if isinstance(made, tuple) and len(made) == 2 else (made, None)


def called(spec: str) -> Any:
    """What FILE.py:NAME or MODULE:NAME returns, called without arguments.

    Raises: InputError where there is no such function, or it raises.
    """
    place, _, name = spec.rpartition(":")
    present(place)
    try:
        function = getattr(_imported(place), name, None)
        if not callable(function):
            raise InputError(f"{place} has no function {name!r}")
        return function()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{spec} raised {type(error).__name__}: {error}") from error


def _imported(place: str) -> Any:
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    if not place.endswith(".py"):
        return import_module(place)
    file = Path(place).resolve()
    sys.path.insert(0, str(file.parent))  # it may import what lies beside it
    found = spec_from_file_location(file.stem, file)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module
