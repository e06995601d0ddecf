"""How far above the hardware's floor are the steps? Bytes over the bandwidth, operations over the rate, both measured.

Measured here and now: how fast the device copies memory and multiplies matrices in each precision. A step of a stack of
two-layer nets (see `batched`) cannot take less than its products at that rate, nor less than two passes over the
weights at that bandwidth; beside its floor stands what a step takes, and the time of one net after another.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from .batched.stack import Member, initial
from .batched.torch_stack import TorchStack
from .batched.train import Machine
from .command import Common, command, option, resolve_device
from .record import Run

FORMATS = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """How large, and how often."""

    nets: int = option(1000, "nets in the stack", least=1)
    hidden: int = option(100, "hidden units of each", least=1)
    batch_size: int = option(100, "images in a minibatch", least=1)
    features: int = option(3072, "numbers in an image", least=1)
    steps: int = option(50, "steps that are timed together", least=1)
    size: int = option(8192, "rows and columns of the matrices multiplied; four times their bytes are copied", least=1)
    rounds: int = option(5, "how often everything is timed: the median counts", least=1)


SMOKE = {"nets": 3, "hidden": 4, "batch_size": 5, "features": 12, "steps": 2, "size": 64, "rounds": 1}


def main(config: Config) -> dict[str, object]:
    """Measure, print and return the record."""
    device = resolve_device("torch", config.device)
    run = Run.start("floors", config)
    run.begin()
    bandwidth = 2 * 4 * 4 * config.size**2 / _seconds(_copy(config.size, device), device, config.rounds)
    precisions = tuple(FORMATS) if device == "cuda" else ("float32", "bfloat16")
    rates = {
        p: 2 * config.size**3 / _seconds(_product(config.size, p, device), device, config.rounds) for p in precisions
    }
    print(f"memory {bandwidth / 1e9:.0f} GB/s; " + ", ".join(f"{p} {r / 1e12:.3g} TFLOP/s" for p, r in rates.items()))
    alone = _step(config, Machine(engine="torch", device=device), 1) * config.nets
    rows = []
    for engine in ("torch", "triton") if device == "cuda" else ("torch",):
        for precision in precisions:
            seconds = _step(config, Machine(engine=engine, precision=precision, device=device), config.nets)
            rows.append(_row(config, engine, precision, seconds, alone, bandwidth, rates[precision]))
    return run.finish({"device": device, "bandwidth": bandwidth, "rates": rates, "steps": rows})


def floor(config: Config, bandwidth: float, rate: float) -> dict[str, float]:
    """The seconds that a step takes at least: by its two wide products, and by two passes over float32 weights."""
    weights = config.features * config.hidden * config.nets
    return {"products": 4 * weights * config.batch_size / rate, "memory": 2 * 4 * weights / bandwidth}


def _row(
    config: Config, engine: str, precision: str, seconds: float, alone: float, bandwidth: float, rate: float
) -> dict[str, Any]:
    least = floor(config, bandwidth, rate)
    by = max(least, key=least.__getitem__)
    times, faster = seconds / least[by], alone / seconds
    told = f"{1e3 * seconds:.3g} ms a step, {times:.2f} of the floor ({by}), {faster:.0f} times one net after another"
    print(f"{config.nets} nets, {engine}, {precision}: {told}")
    return {"engine": engine, "precision": precision, "seconds": seconds, "floor": least, "of floor": times,
            "times one after another": faster}  # fmt: skip


def _step(config: Config, machine: Machine, nets: int) -> float:
    """Seconds of one step of a stack of so many nets."""
    rng = np.random.default_rng(config.seed)
    rows = rng.integers(0, 10 * config.batch_size, (config.steps, config.batch_size))
    X = rng.standard_normal((10 * config.batch_size, config.features)).astype(np.float32)
    members = [Member(hidden=config.hidden, learning_rate=1e-4, reg=1e-3, seed=k) for k in range(nets)]
    weights = initial(members, config.features, 10, machine.dtype)
    stack = machine.stack(weights, np.full(nets, 1e-3), X, rng.integers(0, 10, len(X)))
    assert isinstance(stack, TorchStack)
    rates = np.full(nets, 1e-4)
    return _seconds(lambda: stack.run(rows, rates), machine.device, config.rounds) / config.steps


def _copy(size: int, device: str) -> Callable[[], object]:
    source = torch.ones(4 * size * size, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _product(size: int, precision: str, device: str) -> Callable[[], object]:
    a, b = (torch.ones(size, size, dtype=FORMATS[precision], device=device) for _ in range(2))
    out = torch.empty_like(a)

    def run() -> None:
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.mm(a, b, out=out)
        torch.backends.cuda.matmul.allow_tf32 = before

    return run


def _seconds(work: Callable[[], object], device: str, rounds: int) -> float:
    """The median of some runs, after one that warms up."""
    wait: Callable[[], object] = torch.cuda.synchronize if device == "cuda" else int
    work()
    taken = []
    for _ in range(rounds):
        wait()
        start = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - start)
    return median(taken)


if __name__ == "__main__":
    command(Config, main, SMOKE)()
