"""The gradient checkers people use, each put to code that keeps the exam's contract: is it told of as wrong?

Each is used as its documentation or its users use it, on the named cases of a row. What raises is told of.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scratchproof.bank.kill import Bench
from scratchproof.extras import needed
from scratchproof.subjects.subject import Subject
from scratchproof.table.layers import Case, Layer
from scratchproof.vjp import PRECISIONS, Answer, Function, by_name, floating, from_torch

Array = NDArray[Any]
Checker = Callable[["Question"], bool]
"""Whether it tells of the subject as wrong."""

DIFFERENTIABLE = ("pair", "loss", "net")
RANDOM = ("start", "dropout")  # no two answers are alike


@dataclass(frozen=True, kw_only=True)
class Question:
    """A subject's layer, on random inputs of a seed. held: what several checkers compute alike."""

    subject: Subject
    layer: Layer
    seed: int = 0
    bench: Bench = field(default_factory=Bench)
    held: dict[str, float] = field(default_factory=dict)

    @property
    def cases(self) -> tuple[Case, ...]:
        return self.layer.cases if self.layer.kind not in RANDOM else ()

    @property
    def differentiable(self) -> tuple[Case, ...]:
        return self.cases if self.layer.kind in DIFFERENTIABLE else ()

    def inputs(self, case: Case, precision: str = "float64") -> dict[str, Array]:
        drawn = PRECISIONS[precision].rounded(case.inputs(np.random.default_rng([self.seed, 1])))
        dtype = PRECISIONS[precision].array_dtype
        return {name: value.astype(dtype) if value.dtype.kind == "f" else value for name, value in drawn.items()}

    def function(self, case: Case, precision: str = "float64") -> Function:
        found = self.subject.function(self.layer, case, PRECISIONS[precision])
        assert found is not None
        return found

    def torchs(self, case: Case, precision: str = "float64") -> Function:
        of_precision = PRECISIONS[precision]
        return from_torch(self.layer.torch, of_precision, constant=self.layer.constant, options=case.options)

    def smooth(self, case: Case) -> list[str]:
        return floating(self.inputs(case), self.layer.constant)


def gradcheck(question: Question, *, fast: bool) -> bool:
    """torch.autograd.gradcheck at its defaults, the code wrapped in an autograd function."""
    for case in question.differentiable:
        inputs, names = question.inputs(case), question.smooth(case)
        tensors = [torch.from_numpy(inputs[name]).requires_grad_() for name in names]
        torch.autograd.gradcheck(_in_torch(question.function(case), inputs, names), tensors, fast_mode=fast)
    return False


def _in_torch(function: Function, inputs: Mapping[str, Array], names: list[str]) -> Callable[..., Tensor]:
    class InTorch(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *values: Tensor) -> Tensor:
            given = {name: value.detach().numpy().copy() for name, value in zip(names, values, strict=True)}
            out, ctx.pullback = function(**{**inputs, **given})
            return torch.from_numpy(np.array(out))

        @staticmethod
        def backward(ctx: Any, *douts: Tensor) -> Any:
            grads = ctx.pullback(douts[0].numpy().copy())
            return tuple(torch.from_numpy(np.array(grads[name])) for name in names)

    applied: Callable[..., Tensor] = InTorch.apply
    return applied


def jax_check_grads(question: Question) -> bool:
    """jax.test_util.check_grads in reverse mode at its defaults, the code called back from a custom VJP."""
    jax, test_util = needed("jax"), needed("jax.test_util")
    with jax.enable_x64(True):
        for case in question.differentiable:
            inputs, names = question.inputs(case), question.smooth(case)
            called = _in_jax(jax, question.function(case), inputs, names)
            test_util.check_grads(called, tuple(inputs[name] for name in names), order=1, modes=["rev"])
    return False


def _in_jax(jax: Any, function: Function, inputs: Mapping[str, Array], names: list[str]) -> Callable[..., Any]:
    def given(values: tuple[Any, ...]) -> dict[str, Array]:
        return {**inputs, **{name: np.array(value) for name, value in zip(names, values, strict=True)}}

    def gradients(dout: Any, *values: Any) -> tuple[Array, ...]:
        grads = function(**given(values))[1](np.array(dout))
        return tuple(grads[name] for name in names)

    like = jax.ShapeDtypeStruct(np.shape(function(**inputs)[0]), np.float64)
    of_inputs = tuple(jax.ShapeDtypeStruct(inputs[name].shape, np.float64) for name in names)

    def forward(*values: Any) -> Any:
        return jax.pure_callback(lambda *v: np.asarray(function(**given(v))[0], np.float64), like, *values)

    called = jax.custom_vjp(forward)
    called.defvjp(
        lambda *values: (forward(*values), values),
        lambda values, dout: jax.pure_callback(gradients, of_inputs, dout, *values),
    )
    return called  # type: ignore[no-any-return]


def cs231n(question: Question, *, threshold: float) -> bool:
    """CS231n's eval_numerical_gradient_array with h = 1e-5, its relative error held to a threshold."""
    if "cs231n" not in question.held:
        errors = [error for case in question.differentiable for error in _numerical_errors(question, case)]
        question.held["cs231n"] = max(errors, default=0.0)
    return not question.held["cs231n"] <= threshold


def _numerical_errors(question: Question, case: Case) -> Iterator[float]:
    function, inputs = question.function(case), question.inputs(case)
    out, pullback = function(**_copied(inputs))
    dout = np.asarray(np.random.default_rng(question.seed).standard_normal(np.shape(out)))
    grads = pullback(dout.copy())
    for name in question.smooth(case):
        numerical = np.zeros_like(inputs[name])
        for i in range(numerical.size):
            ends = []
            for step in (1e-5, -1e-5):
                moved = _copied(inputs)
                moved[name].flat[i] += step
                ends.append(np.array(function(**moved)[0]))
            numerical.flat[i] = ((ends[0] - ends[1]) * dout).sum() / 2e-5
        sizes = np.maximum(1e-8, np.abs(numerical) + np.abs(grads[name]))
        yield float((np.abs(numerical - grads[name]) / sizes).max(initial=0.0))


def _copied(inputs: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.copy() for name, value in inputs.items()}


def assert_close(question: Question) -> bool:
    """torch.testing.assert_close at its defaults, against torch in the same precision, for a random cotangent."""
    for case in question.cases:
        for precision in ("float64", "float32"):
            found, due = _both(question, case, precision)
            for ours, theirs in _pairs(found, due):
                torch.testing.assert_close(torch.from_numpy(ours), torch.from_numpy(theirs))
    return False


def summed_allclose(question: Question) -> bool:
    """out.sum().backward() beside torch's, np.allclose at its defaults, float64."""
    for case in question.cases:
        found, due = _both(question, case, "float64", ones=True)
        if not all(a.shape == b.shape and np.allclose(a, b) for a, b in _pairs(found, due)):
            return True
    return False


def twice_eager(question: Question) -> bool:
    """The largest error in float32 is at most twice that of torch in float32, as tests of kernels have it."""
    for case in question.cases:
        found, eager = _both(question, case, "float32")
        exact = _asked(question.torchs(case), question.inputs(case, "float32"), question.seed)
        for (ours, theirs), (_, truth) in zip(_pairs(found, eager), _pairs(found, exact), strict=True):
            if ours.shape != truth.shape or not _worst(ours, truth) <= 2 * _worst(theirs, truth):
                return True
    return False


def _worst(found: Array, truth: Array) -> float:
    return float(np.abs(found.astype(np.float64) - truth).max(initial=0.0))


def _both(question: Question, case: Case, precision: str, *, ones: bool = False) -> tuple[Answer, Answer]:
    inputs = question.inputs(case, precision)
    functions = question.function(case, precision), question.torchs(case, precision)
    found, due = (_asked(function, _copied(inputs), question.seed, ones=ones) for function in functions)
    return found, due


def _asked(function: Function, inputs: Mapping[str, Array], seed: int, *, ones: bool = False) -> Answer:
    outs, pullback = by_name(function)(**inputs)
    rng = np.random.default_rng(seed)
    smooth = {name: value for name, value in outs.items() if value.dtype.kind == "f"}
    douts = {k: np.ones_like(v) if ones else rng.standard_normal(v.shape).astype(v.dtype) for k, v in smooth.items()}
    grads = pullback({name: np.asarray(dout) for name, dout in douts.items()}) if douts else {}
    return Answer(outs=outs, grads=(grads,))


def _pairs(found: Answer, due: Answer) -> Iterator[tuple[Array, Array]]:
    for name, value in due.outs.items():
        yield np.asarray(found.outs[name]), np.asarray(value)
    for name in found.grads[0] and due.grads[0]:
        yield np.asarray(found.grads[0][name]), np.asarray(due.grads[0][name])


def exam(question: Question) -> bool:
    """This project's exam, normal effort, float64 and float32."""
    return bool(question.bench.kill(question.subject, [question.layer]))


CHECKERS: dict[str, Checker] = {
    "torch.autograd.gradcheck, slow": lambda question: gradcheck(question, fast=False),
    "torch.autograd.gradcheck, fast": lambda question: gradcheck(question, fast=True),
    "jax check_grads": jax_check_grads,
    "CS231n's numerical gradient, 1e-4": lambda question: cs231n(question, threshold=1e-4),
    "CS231n's numerical gradient, 1e-7": lambda question: cs231n(question, threshold=1e-7),
    "sum().backward(), np.allclose": summed_allclose,
    "torch.testing.assert_close": assert_close,
    "twice eager's error": twice_eager,
    "scratchproof": exam,
}
