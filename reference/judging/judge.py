"""`judge`: a candidate kernel, its output and its gradients, against a reference, and nothing that it says believed."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scratchproof.errors import InputError
from scratchproof.judging.judgement import Judgement
from scratchproof.judging.sitting import Sitting
from scratchproof.kernels.candidate import Candidate
from scratchproof.kernels.problem import Problem, from_file, from_objects
from scratchproof.sandbox.limits import Limits
from scratchproof.vjp import PRECISIONS

ALLOWED = ("tf32", "float16", "bfloat16")
MEMORY = 8 * 2**30
GPU = ("/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/nvidia-uvm*", "/dev/nvidia-caps/*")
FORMATS = tuple(name for name in PRECISIONS if name != "tf32")


def judge(
    candidate: Any,
    reference: Any,
    *,
    inputs: Any = None,
    init: Sequence[Any] = (),
    precision: str | None = None,
    allow: str | None = None,
    seed: int | None = None,
    scale: int | str = "auto",
    grad: bool = True,
    time: bool = False,
    device: str = "cpu",
    time_limit: float = 30.0,
) -> Judgement:
    """Judge a candidate kernel against a reference in float64, forward and backward.

    candidate, reference: paths of files: in KernelBench's form (`Model`, `ModelNew`, `get_inputs`,
        `get_init_inputs`), in robust-kbench's, or of plain functions (`FILE.py:NAME`). A candidate file runs in a
        process of its own; an object, a function, module or class, runs in this one.
    inputs: for a reference that is no file: the tensors of one call, or a function that draws them.
        init: what its class is constructed with.
    precision: the dtype of all floating tensors; that of the inputs as shipped unless said.
    allow: tf32, float16 or bfloat16: what the candidate may compute in inside; less than the precision is a downgrade.
    seed: of all inputs; drawn anew each time unless said. scale: what sizes are divided by; "auto" bounds the work.
    grad: whether gradients are asked for. time: whether a candidate that passes is timed beside the reference.
    device: where the candidate runs. time_limit: seconds for one call.
    Raises: InputError for arguments that make no sense, and for a reference that does not run.

    >>> import torch
    >>> judge(torch.relu, torch.nn.functional.relu, inputs=[torch.rand(6, 7)]).passed
    True
    >>> judge(lambda x: x.clone(), torch.nn.functional.relu, inputs=[torch.rand(6, 7)]).kinds
    ('fits one distribution',)
    """
    if allow is not None and allow not in ALLOWED:
        raise InputError(f"{allow!r} cannot be allowed: choose from {', '.join(ALLOWED)}")
    if precision is not None and precision not in FORMATS:
        raise InputError(f"{precision!r} is no dtype: choose from {', '.join(FORMATS)}")
    if scale != "auto" and (type(scale) is not int or scale < 1):
        raise InputError(f"the scale is {scale!r}, but should be a whole number from 1, or auto")
    problem = _problem(reference, inputs, init)
    sitting = Sitting(
        candidate=Candidate(candidate, problem.wanted, device, _limits(time_limit, device)),
        problem=problem,
        precision=precision,
        allow=allow,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        scale=scale,
        grad=grad,
        timed=time,
    )
    return sitting.judgement()


def _problem(reference: Any, inputs: Any, init: Sequence[Any]) -> Problem:
    if isinstance(reference, str | Path):
        return from_file(str(reference))
    return from_objects(reference, inputs, init)


def _limits(seconds: float, device: str) -> Limits:
    """Room for a compiler at work, and on a GPU for all that its driver reserves."""
    cuda = device.startswith("cuda")
    own = replace(Limits.of(seconds), written=2**29, files=5000, processes=200)
    return replace(own, memory=2**46 if cuda else MEMORY, devices=GPU if cuda else ())
