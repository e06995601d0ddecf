"""The rules that are in use: allclose on the inputs of known seeds, and twice the error of eager code.

Each runs as its users run it, the candidate beside the reference in one process: a fork, so that what a candidate does
to its process ends with it.
"""

import copy
import importlib.util
import multiprocessing
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

SEED = 42  # KernelBench's
TRIALS = 5
SECONDS = 600.0  # some compile


def passed(rule: Callable[[Path, Path], bool], reference: Path, candidate: Path) -> bool:
    """Whether a rule passes a candidate; one that raises, ends its process or takes too long does not."""
    _warmed()
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_told, args=(send, rule, reference, candidate))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forks
        process.start()
    send.close()
    try:
        return bool(receive.poll(SECONDS) and receive.recv())
    except EOFError:
        return False
    finally:
        process.kill()
        process.join()
        receive.close()


def allclose(tolerance: float) -> Callable[[Path, Path], bool]:
    """KernelBench's rule: shape and `torch.allclose(atol=, rtol=)` of the output, on the inputs of five known seeds."""

    def rule(reference: Path, candidate: Path) -> bool:
        problem, model, new = _built(reference, candidate)
        torch.manual_seed(SEED)
        for seed in torch.randint(0, 2**32 - 1, (TRIALS,)).tolist():
            torch.manual_seed(seed)
            inputs = problem.get_inputs()
            with torch.no_grad():
                expected = model(*inputs)
                actual = new(*inputs)
            if expected.shape != actual.shape or not torch.allclose(expected, actual, atol=tolerance, rtol=tolerance):
                return False
        return True

    return rule


def twice_eager(reference: Path, candidate: Path) -> bool:
    """The rule of FlashAttention's tests: of the output and each gradient, at most twice eager float32's largest error.

    Errors are against float64; added is twice the error of rounding the truth once to float32.
    """
    problem, model, new = _built(reference, candidate)
    torch.manual_seed(SEED)
    inputs = problem.get_inputs()
    truth, eager, actual = (
        _pulled(module, [x.to(dtype) if x.is_floating_point() else x for x in inputs])
        for module, dtype in (
            (copy.deepcopy(model).double(), torch.float64),
            (model, torch.float32),
            (new, torch.float32),
        )
    )
    return all(_within(*three) for three in zip(truth, eager, actual, strict=True))


def _within(truth: Tensor, eager: Tensor, actual: Tensor) -> bool:
    if truth.shape != actual.shape:
        return False
    shifted = truth.float() + 0.3 - 0.3 if truth.is_floating_point() else truth
    slack = 2 * (shifted - truth).abs().max()
    return bool((actual - truth).abs().max() <= 2 * (eager - truth).abs().max() + slack)


def _pulled(module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The output, and the gradients of what is floating, under a cotangent that depends on the shape alone."""
    inputs = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    sources = [x for x in (*inputs, *module.parameters()) if x.requires_grad]
    out = module(*inputs)
    if not sources or not out.is_floating_point():
        return [out]
    dout = torch.randn(out.shape, generator=torch.Generator().manual_seed(SEED)).to(out.dtype)
    grads = torch.autograd.grad(out, sources, dout, allow_unused=True)
    return [out.detach(), *(torch.zeros_like(x) if g is None else g for x, g in zip(sources, grads, strict=True))]


def _built(reference: Path, candidate: Path) -> tuple[ModuleType, nn.Module, nn.Module]:
    """The problem, its model and the candidate's, each built under the same seed, as KernelBench does."""
    problem, other = _module(reference, "the_reference"), _module(candidate, "the_candidate")
    models = []
    for kind in (problem.Model, other.ModelNew):
        torch.manual_seed(SEED)
        arguments = problem.get_init_inputs()
        torch.manual_seed(SEED)
        models.append(kind(*arguments))
    return problem, models[0], models[1]


def _module(path: Path, name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


@cache
def _warmed() -> None:
    """Once, before any fork: torch imports much at its first gradient."""
    x = torch.ones(1, requires_grad=True)
    torch.autograd.grad(x * x, x, torch.ones(1))


def _told(send: Connection, rule: Callable[[Path, Path], bool], reference: Path, candidate: Path) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sys.stdout = sys.stderr = _Nowhere()
    send.send(bool(rule(reference, candidate)))


class _Nowhere:
    """Where what a candidate says goes."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


RULES: Mapping[str, Callable[[Path, Path], bool]] = {
    "allclose at 1e-2": allclose(1e-2),
    "allclose at 1e-4": allclose(1e-4),
    "twice eager's error": twice_eager,
}
