"""Any callable as a subject: a torch function or module, a JAX function, or NumPy code that brings its own gradient.

Its arguments may nest; the parameters of a module are found by their names and examined like inputs (`Signature`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof import trees
from scratchproof.signature import Signature
from scratchproof.subjects.arrays import from_arrays
from scratchproof.subjects.jax import from_jax
from scratchproof.subjects.protocol import PromisesNothing, Spelling
from scratchproof.subjects.subject import Subject
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import Function, Gradients, Precision, from_torch


@dataclass(frozen=True, slots=True, kw_only=True)
class CallableSubject(PromisesNothing):
    """One callable, or a pair (forward, backward), that sits the exam of any row of its signature.

    framework: "torch", "jax" or "numpy"; found out by calling it where it is not given (see `framework_of`).
    device: where its tensors are.
    """

    name: str
    subject: Any
    signature: Signature
    framework: str = ""
    device: str = "cpu"
    precisions: tuple[str, ...] = ("float64", "float32")
    remarks: tuple[str, ...] = ()

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function:
        framework = self.framework or framework_of(self.subject, self.signature, case, self.device)
        if framework == "jax":
            return from_jax(self.subject, self.signature.fill, precision, layer.constant)
        if framework == "numpy":
            return from_arrays(self.subject, self.signature.fill, layer.constant)
        expression = self.signature.expression(self.subject)
        return _reusable(from_torch(expression, precision, device=self.device, constant=layer.constant))

    def scores(self, layer: Layer, case: Case, precision: Precision) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSubject:
    """The callables of a module, by the names of the rows: `gelu`, or the pair `gelu_forward`, `gelu_backward`.

    others: who sits the exam of rows that are not about callables.
    """

    name: str
    module: ModuleType
    others: Subject
    device: str = "cpu"

    @property
    def remarks(self) -> tuple[str, ...]:
        return ()

    @property
    def precisions(self) -> tuple[str, ...]:
        return self.others.precisions

    def function(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        if layer.signature is None:
            return self.others.function(layer, case, precision)
        found = self._find(layer.name)
        if found is None:
            return None
        subject = CallableSubject(name=self.name, subject=found, signature=layer.signature, device=self.device)
        return subject.function(layer, case, precision)

    def scores(self, layer: Layer, case: Case, precision: Precision) -> Function | None:
        return self.others.scores(layer, case, precision)

    def documents_errors(self, layer: Layer) -> bool:
        return layer.signature is None and self.others.documents_errors(layer)

    def refuses_all(self, layer: Layer) -> bool:
        return layer.signature is None and self.others.refuses_all(layer)

    def spelled(self, layer: Layer, case: Case, precision: Precision) -> Spelling | None:
        return None if layer.signature else self.others.spelled(layer, case, precision)

    def _find(self, name: str) -> Any:
        pair = tuple(getattr(self.module, f"{name}_{way}", None) for way in ("forward", "backward"))
        return getattr(self.module, name, None) or (pair if all(map(callable, pair)) else None)


def framework_of(subject: Any, signature: Signature, case: Case, device: str = "cpu") -> str:
    """What the subject is written in, by what it gives for inputs of the case: "torch", "jax" or "numpy".

    A pair, or a function that returns a pullback beside its output, is NumPy code; what returns JAX arrays is JAX.
    What cannot be called either way is taken for torch, so that the exam tells how it fails.
    """
    if isinstance(subject, tuple):
        return "numpy"
    if isinstance(subject, nn.Module):
        return "torch"
    for convert in (lambda value: _tensor(value, device), np.array):
        try:
            out = subject(*signature.fill({k: convert(v) for k, v in case.inputs(np.random.default_rng(0)).items()}))
        except Exception:
            continue
        if isinstance(out, tuple) and len(out) == 2 and callable(out[1]):
            return "numpy"
        leaves = list(trees.flat(out).values())
        if any(type(leaf).__module__.startswith("jax") for leaf in leaves):
            return "jax"
        if leaves and all(isinstance(leaf, Tensor) for leaf in leaves):
            return "torch"
    return "torch"


def _tensor(value: Any, device: str) -> Tensor:
    tensor = torch.from_numpy(np.array(value))
    return (tensor.float() if tensor.is_floating_point() else tensor).to(device)


def _reusable(function: Function) -> Function:
    """The same, with compiled code told that its buffers are needed again: every cotangent is pulled back twice."""

    def within(**inputs: Any) -> Any:
        with _buffers_kept():
            out, pullback = function(**inputs)

        def back(dout: Any) -> Gradients:
            with _buffers_kept():
                return pullback(dout)

        return out, back

    return within


@contextmanager
def _buffers_kept() -> Iterator[None]:
    if "torch._dynamo" not in sys.modules:  # nothing is compiled
        yield
        return
    with sys.modules["torch._functorch.config"].patch(donated_buffer=False):
        yield
