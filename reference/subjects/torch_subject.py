"""torch itself as a subject, in one precision on one device."""

from dataclasses import dataclass

import numpy as np
import torch

from scratchproof.subjects.protocol import PromisesNothing, SubjectError
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import PRECISIONS, Array, Function, Gradients, Precision, Pullback, from_torch


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchSubject(PromisesNothing):
    """torch in one precision on one device, examined like anybody else."""

    name: str
    device: str
    precision: Precision
    remarks: tuple[str, ...] = ()

    @property
    def precisions(self) -> tuple[str, ...]:
        return (self.precision.name,)

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        if layer.kind == "dropout":
            return None  # the row's expression is told what to drop; it draws nothing itself
        found = from_torch(layer.torch, precision, device=self.device, constant=layer.constant, options=case.options)
        coarse = self.device == "cpu" and precision.unit > 2.0**-12
        return _with_long_labels(_without_onednn(found) if coarse else found)

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        if layer.scores is None:
            return None
        return from_torch(layer.scores, precision, device=self.device, constant=layer.constant)


def _without_onednn(function: Function) -> Function:
    """The same with torch's own kernels on the CPU.

    With oneDNN, bfloat16 convolution gives nan at outputs whose windows hold neither the nan nor the infinity of the
    input (6 of 8 seeds; none without it). Why is not known: perhaps 0 * inf in a padded block.
    """

    def within(**inputs: Array) -> tuple[Array, Pullback]:
        with torch.backends.mkldnn.flags(enabled=False):
            out, pullback = function(**inputs)

        def back(dout: Array) -> Gradients:
            with torch.backends.mkldnn.flags(enabled=False):
                return pullback(dout)

        return out, back

    return within


def _with_long_labels(function: Function) -> Function:
    """The same for labels of any whole-number type: torch's losses take int64 alone."""

    def within(**inputs: Array) -> tuple[Array, Pullback]:
        return function(**{k: v.astype(np.int64) if v.dtype.kind in "iu" else v for k, v in inputs.items()})

    return within


def load_torch(spec: str) -> TorchSubject:
    parts = spec.split(":")
    device = parts[1] if len(parts) > 1 else "cpu"
    name = parts[2] if len(parts) > 2 else "float32"
    if len(parts) > 3 or name not in PRECISIONS:
        raise SubjectError(f"{spec!r} is not torch[:DEVICE[:PRECISION]] with a precision of {', '.join(PRECISIONS)}")
    check_device(device)
    if name == "tf32" and device == "cpu":
        raise SubjectError("TF32 is a CUDA format: use torch:cuda:tf32")
    return TorchSubject(name=f"torch:{device}:{name}", device=device, precision=PRECISIONS[name])


def check_device(device: str) -> None:
    """Raises: SubjectError if torch cannot compute on `device` here."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise SubjectError(f"{device!r} is not a device that torch knows: use cpu or cuda") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise SubjectError("CUDA is asked for, but torch finds no usable GPU on this machine: use --device cpu or auto")
    if kind not in ("cpu", "cuda"):
        raise SubjectError(f"device {device!r} is not supported: use cpu or cuda")
