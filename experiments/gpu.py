"""What does a GPU say? Everything that only a GPU can show, in order of worth, resumable, in one record.

Every part is a command of this project, run as a process of its own for at most --limit seconds; what it printed is
kept beside the record, and a part that is done is not run again with the same --out. Where torch sees no CUDA device,
or with --device cpu, each part runs in its CPU form instead, and the record says what remains unconfirmed.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .command import Common, command, option, resolve_device
from .record import Run, write_json

SMOKE = {"parts": 2, "small": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """How much, and how long."""

    parts: int = option(99, "only so many parts, from the first", least=1, free=True)
    limit: int = option(600, "seconds that a part may take", least=1, free=True)
    small: bool = option(False, "every part at a small size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is asked; the module and its arguments on CUDA, and on a CPU; what the small form adds."""

    asks: str
    module: str
    cuda: tuple[str, ...]
    cpu: tuple[str, ...]
    small: tuple[str, ...] = ()

    def arguments(self, device: str, small: bool) -> list[str]:
        return [*(self.cuda if device == "cuda" else self.cpu), *(self.small if small else ())]


def parts() -> tuple[Part, ...]:
    """In order of worth."""
    few = ("--layer", "relu", "--effort", "quick")
    exams = tuple(
        Part(
            asks=f"does torch in {precision} pass the exam?",
            module="scratchproof",
            cuda=("check", f"torch:cuda:{precision}", "--device", "cpu"),
            cpu=("check", f"torch:cpu:{substitute}", "--device", "cpu"),
            small=few,
        )
        for precision, substitute in (
            ("float32", "float32"),
            ("tf32", "float32"),
            ("bfloat16", "bfloat16"),
            ("float16", "float16"),
        )
    )
    thousand = tuple(
        Part(
            asks=f"a thousand nets, {engine}, {precision}",
            module=f"{__package__}.thousand",
            cuda=("--engine", engine, "--precision", precision, "--device", "cuda"),
            cpu=("--engine", "torch", "--device", "cpu", "--smoke"),
        )
        for engine, precision in (("torch", "tf32"), ("triton", "tf32"), ("triton", "bfloat16"), ("torch", "float32"))
    )
    return (
        *exams,
        _experiment(
            "attribution", "do its answers differ by rounding, TF32, an order that changes, or a bug?", backend=False
        ),
        *thousand,
        _experiment("floors", "how far are the steps from what memory and arithmetic allow?", backend=False),
        _experiment("two_layer", "does a two-layer net learn there what it learns here?"),
        _experiment("convnet", "does the convolutional net?", more=("--seeds", "1")),
        Part(
            asks="how fast are the steps?",
            module=f"{__package__}.speed",
            cuda=("--quick", "--threads", "1", "--device", "cuda"),
            cpu=("--smoke", "--device", "cpu", "--only", "two-layer step, H 50"),
        ),
        *(
            _experiment(
                "census",
                f"does the derived tolerance hold for torch's own operations in {precision}?",
                backend=False,
                more=("--precisions", precision),
            )
            for precision in ("float32", "bfloat16", "float16")
        ),
    )


def _experiment(name: str, asks: str, *, backend: bool = True, more: tuple[str, ...] = ()) -> Part:
    asked = ("--backend", "torch") if backend else ()
    cuda, cpu = ((*asked, "--device", device, *more) for device in ("cuda", "cpu"))
    return Part(asks=asks, module=f"{__package__}.{name}", cuda=cuda, cpu=(*cpu, "--smoke"))


def main(config: Config) -> dict[str, object]:
    """Run the parts that are missing, print and return the record."""
    run, device = Run.start("gpu", config), resolve_device("torch", config.device)
    run.begin()
    results = []
    for number, part in enumerate(parts()[: config.parts], start=1):
        folder = run.path(f"{number:02d}-{device}")
        folder.mkdir(exist_ok=True)
        results.append(_done(folder) or _run(part, folder, device, config))
        result = results[-1]
        ended = "ran out of time, goes on when started again" if result["exit"] is None else f"exit {result['exit']}"
        print(f"{number}. {part.asks} {ended}, {result['seconds']:.0f} s: {folder}", flush=True)
    unconfirmed = [result["asks"] for result in results if device != "cuda" or result["exit"] is None]
    unconfirmed += [part.asks for part in parts()[config.parts :]]
    for asks in unconfirmed:
        print(f"no GPU has confirmed: {asks}")
    return run.finish({"device": device, "parts": results, "unconfirmed": unconfirmed})


def _done(folder: Path) -> dict[str, Any] | None:
    """What came of a part that ended within its time, however it ended."""
    record = folder / "part.json"
    found = json.loads(record.read_text(encoding="utf-8")) if record.exists() else None
    return found if found and found["exit"] is not None else None


def _run(part: Part, folder: Path, device: str, config: Config) -> dict[str, Any]:
    """exit is None where the time ran out: such a part is run again."""
    arguments = [sys.executable, "-m", part.module, *part.arguments(device, config.small)]
    if part.module != "scratchproof":
        arguments += ["--out", str(folder / "run")]
    start, code = time.perf_counter(), None
    with (folder / "printed.txt").open("w", encoding="utf-8") as printed:
        try:
            done = subprocess.run(
                arguments, stdout=printed, stderr=subprocess.STDOUT, timeout=config.limit, check=False
            )
            code = done.returncode
        except subprocess.TimeoutExpired:
            printed.write(f"\nended after {config.limit} s\n")
    seconds = round(time.perf_counter() - start, 1)
    result = {"asks": part.asks, "arguments": arguments[2:], "exit": code, "seconds": seconds}
    write_json(folder / "part.json", result)
    return result


if __name__ == "__main__":
    command(Config, main, SMOKE)()
