"""The tap: what every layer of a net computes on one minibatch, beside the torch.nn twin.

`Tracer` runs the twin in float64, gives each of the subject's layers the twin's own values (teacher-forced), then
chains the subject's layers (free-running), and last asks the subject's net class for loss and gradients.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.exam.causes.explain import explained
from scratchproof.exam.compare import Comparison, Result, Severity, Verdict, compare
from scratchproof.exam.exam import Exam, Trial
from scratchproof.exam.judge import judge, verdict_of
from scratchproof.oracle.tolerance import REPEATS, Tolerance, spread
from scratchproof.subjects.subject import Subject, SubjectError
from scratchproof.table import nets
from scratchproof.table.layers import Case, row
from scratchproof.tracing.nets.steps import Step, drawn, reshaped, steps
from scratchproof.vjp import Array, Function, Inputs, Outputs, Precision, Pullback, named

Values = dict[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """X (N, ...) float64 and integer labels y (N,), with a line that says what they are."""

    X: Array
    y: Array
    num_classes: int
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the trace says of one quantity: `conv1.out`, `relu1.dx`, `affine1.dw`."""

    path: str
    shape: tuple[int, ...]
    forced: Result
    free: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A traced net: its lines in order of computation, and the whole net's own loss and gradients if it has them."""

    net: str
    subject: str
    precision: str
    seed: int
    oracle: str
    batch: str
    lines: tuple[Line, ...]
    whole: tuple[Result, ...]

    @property
    def first_divergence(self) -> Line | None:
        return next((line for line in self.lines if line.forced.verdict is not Verdict.PASS), None)

    @property
    def passed(self) -> bool:
        results = [result for line in self.lines for result in (line.forced, line.free)]
        return all(result.verdict is Verdict.PASS for result in (*results, *self.whole))


class Tracer:
    """The state of one trace: the twin, what it computed, what each quantity is allowed."""

    def __init__(self, net: str, examined: Subject, batch: Batch, precision: Precision, device: str, seed: int) -> None:
        self.net, self.subject, self.precision, self.device, self.seed = net, examined, precision, device, seed
        self.batch = replace(batch, X=precision.rounded({"X": batch.X})["X"])
        twin = _twin(net, batch)
        self.params = precision.rounded(drawn(nets.dump(twin), np.random.default_rng(seed)))
        self.twin = nets.load(twin, self.params).to(device)
        self.steps = tuple(steps(self.twin))
        loss = "logistic_loss" if net == "xor" else "softmax_loss"
        self.loss = Step(path="loss", layer=row(loss), options={}, params=())

    def trace(self) -> Trace:
        with np.errstate(all="ignore"):
            self.truth = self._values(self.device)
            self.shapes = {path: value.shape for path, value in self.truth.items()}
            self.allowed = self._spread(REPEATS)
            forced = {path: result for step in (*self.steps, self.loss) for path, result in self._forced(step)}
            free = self._free_running()
            if _all_pass(forced) and not _all_pass(free):
                # Every layer is right, so the whole can only have taken another side of a kink: look more often.
                self.allowed = self._spread(6 * REPEATS)
                free = self._free_running()
            self.kinked = [path for path, result in forced.items() if result.severity is Severity.CONVENTION]
            if self.kinked and _all_pass(forced):
                free = {path: self._drifted(path, result) for path, result in free.items()}
            lines = tuple(
                Line(path=path, shape=self.shapes[path], forced=result, free=free[path])
                for path, result in _in_order(forced)
            )
            whole = tuple(self._whole())
        return Trace(
            net=self.net,
            subject=self.subject.name,
            precision=self.precision.name,
            seed=self.seed,
            oracle=self.device,
            batch=f"{len(self.batch.y)} rows of {self.batch.description}",
            lines=lines,
            whole=whole,
        )

    def _spread(self, repeats: int) -> dict[str, Tolerance]:
        return spread(lambda: self._values("cpu"), self.truth, self.precision, seed=self.seed, repeats=repeats)

    def _values(self, device: str) -> Values:
        """Everything that the twin computes, by path: outputs, their gradients, the parameters' gradients."""
        twin = self.twin.to(device)
        twin.zero_grad()
        X = torch.from_numpy(self.batch.X).to(device).requires_grad_()
        y = torch.from_numpy(self.batch.y).to(device)
        tensors: dict[str, Tensor] = {"X": X}
        value = X
        for path, child in twin.named_children():
            tensors[path] = value = child(value)
            value.retain_grad()
        loss = nets.LOSSES["logistic" if self.net == "xor" else "softmax"](value, y)
        loss.backward()  # type: ignore[no-untyped-call]
        return self._by_path(tensors, loss)

    def _by_path(self, tensors: dict[str, Tensor], loss: Tensor) -> Values:
        found = {"loss.loss": loss}
        previous = "X"
        for path, child in self.twin.named_children():
            found[f"{path}.out"], found[f"{path}.dx"] = tensors[path], _grad(tensors[previous])
            for name, parameter in zip("wb", child.parameters(), strict=False):
                grad = _grad(parameter)
                found[f"{path}.d{name}"] = grad.T if isinstance(child, nn.Linear) and name == "w" else grad
            previous = path
        found["loss.dx"] = _grad(tensors[previous])
        return {path: value.detach().cpu().numpy().copy() for path, value in found.items()}

    def _forced(self, step: Step) -> Iterator[tuple[str, Result]]:
        """Judge one layer on the twin's own values."""
        exam = Exam(
            subject=self.subject, layer=step.layer, precision=self.precision, seed=self.seed, device=self.device
        )
        trial = _Forced(
            layer=step.layer,
            case=step.case(),
            name=step.path,
            precision=self.precision,
            inputs=self.precision.rounded(self._inputs(step)),
            seed=self.seed,
            device=self.device,
            dout=self._cotangent(step),
        )
        if self.subject.function(step.layer, step.case(), self.precision) is None:
            raise SubjectError(f"{self.subject.name} has no {step.layer.name}, which {self.net} needs")
        found = {result.quantity: result for result in judge(exam, [trial], "teacher-forced")}
        if step.layer.kink and any(result.verdict is not Verdict.PASS for result in found.values()):
            again = judge(replace(exam, results=[]), [trial], "teacher-forced", corner=True)
            found |= {result.quantity: result for result in again if result.severity is Severity.CONVENTION}
        exam.results = list(found.values())
        for result in explained(exam):
            yield f"{step.path}.{result.quantity}", result

    def _drifted(self, path: str, result: Result) -> Result:
        """Behind another subgradient the gradients are others, and right: every layer is, on the twin's own values."""
        if result.verdict is Verdict.PASS or not path.split(".")[1].startswith("d"):
            return result
        message = f"drifts: another subgradient in {', '.join(self.kinked)}"
        return replace(result, verdict=Verdict.PASS, severity=Severity.CONVENTION, message=message)

    def _inputs(self, step: Step, x: Array | None = None) -> Inputs:
        """A layer's inputs: torch's value before it unless `x` is given."""
        if step is self.loss:
            return {"x": self.truth[f"{self._last()}.out"] if x is None else x, "y": self.batch.y}
        value = self._before(step) if x is None else x
        return {"x": value, **{key: self.params[name] for key, name in zip("wb", step.params, strict=False)}}

    def _before(self, step: Step) -> Array:
        previous = "X"
        for path, _ in self.twin.named_children():
            if path == step.path:
                break
            previous = path
        return self.batch.X if previous == "X" else self.truth[f"{previous}.out"]

    def _last(self) -> str:
        return [path for path, _ in self.twin.named_children()][-1]

    def _cotangent(self, step: Step) -> Array:
        if step is self.loss:
            return np.ones(())
        paths = [path for path, _ in self.twin.named_children()]
        after = [*paths, "loss"][paths.index(step.path) + 1]
        return self.truth[f"{after}.dx"]

    def _free_running(self) -> dict[str, Result]:
        """Chain the subject's own layers and judge every quantity on the way; after a crash nothing is reached."""
        found: Values = {}
        try:
            for path, value in self._chain():
                found[path] = value
        except Exception as error:
            reached = f"not reached: {type(error).__name__} before it"
        else:
            reached = "not reached"
        results = {}
        for path, expected in self.truth.items():
            name, quantity = path.split(".")
            if path in found:
                comparison = compare(found[path], expected, self.allowed[path], self.precision)
            else:
                comparison = Comparison(problem="shape", message=reached)
            results[path] = self._result("free-running", name, quantity, comparison)
        self.chained = found
        return results

    def _chain(self) -> Iterator[tuple[str, Array]]:
        dtype = self.precision.array_dtype
        value = self.batch.X.astype(dtype)
        pullbacks: list[tuple[str, Callable[[Array], Values]]] = []
        by_path = {step.path: step for step in self.steps}
        for path, child in self.twin.named_children():
            if path in by_path:
                value, pullback = self._call(by_path[path], value)
            else:
                value, pullback = reshaped(child, value)
            pullbacks.append((path, pullback))
            yield f"{path}.out", value
        loss, pullback = self._call(self.loss, value)
        yield "loss.loss", loss
        dout = np.ones((), dtype=dtype)
        for path, pull in reversed([*pullbacks, ("loss", pullback)]):
            grads = pull(dout)
            dout = grads["x"]
            yield from ((f"{path}.d{name}", grad) for name, grad in grads.items())

    def _call(self, step: Step, x: Array) -> tuple[Array, Pullback]:
        function = self.subject.function(step.layer, step.case(), self.precision)
        assert function is not None
        inputs = self._inputs(step, x)
        dtype = self.precision.array_dtype
        return function(**{k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in inputs.items()})

    def _whole(self) -> Iterator[Result]:
        """The subject's own net class, if it has one: loss and gradients of the whole, beside the twin's."""
        layer = row({"two_layer": "TwoLayerNet", "xor": "XorNet", "convnet": "ConvNet"}[self.net])
        X = self.batch.X.reshape(len(self.batch.X), -1) if self.net == "two_layer" else self.batch.X
        inputs = {"X": X, "y": self.batch.y, **self.params}
        case = Case(name="whole net", inputs=lambda rng: inputs)
        function: Function | None = self.subject.function(layer, case, self.precision)
        if function is None:
            return
        dtype = self.precision.array_dtype
        try:
            loss, pullback = function(**{k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in inputs.items()})
            grads = pullback(np.ones((), dtype=dtype))
        except Exception as error:
            message = f"{layer.name}: {type(error).__name__}: {error}"
            yield Result(
                check="whole",
                case=layer.name,
                quantity="loss",
                verdict=Verdict.CRASH,
                severity=Severity.CRASH,
                message=message,
            )
            return
        comparison = compare(loss, self.truth["loss.loss"], self.allowed["loss.loss"], self.precision)
        yield self._result("whole", layer.name, "loss", comparison)
        for step in self.steps:
            for quantity, name in zip("wb", step.params, strict=False):
                path = f"{step.path}.d{quantity}"
                comparison = compare(grads[name], self.truth[path], self.allowed[path], self.precision)
                if comparison.problem and self.kinked and path in self.chained:
                    # Behind another subgradient the net is held to what its own layers make of it.
                    comparison = compare(grads[name], self.chained[path], self.allowed[path], self.precision)
                yield self._result("whole", layer.name, f"d{name}", comparison)

    def _result(self, check: str, name: str, quantity: str, comparison: Comparison) -> Result:
        step = next((s for s in self.steps if s.path == name), self.loss)
        exam = Exam(subject=self.subject, layer=step.layer, precision=self.precision)
        trial = Trial(
            layer=step.layer, case=step.case(), name=name, precision=self.precision, inputs={}, seed=self.seed
        )
        return verdict_of(exam, trial, check, quantity, comparison)


@dataclass(kw_only=True)
class _Forced(Trial):
    """A trial whose cotangent is the one that the twin's backward pass brings."""

    dout: Array

    @property
    def cotangents(self) -> tuple[Outputs, ...]:
        return (self.precision.rounded(named(self.dout)),)


def _twin(net: str, batch: Batch) -> nn.Sequential:
    image = batch.X.shape[1:]
    if net == "two_layer":
        return nets.two_layer_net(int(np.prod(image)), 50, batch.num_classes)
    if net == "convnet":
        channels, height, width = image
        return nets.conv_net((channels, height, width), num_classes=batch.num_classes)
    return nets.xor_net()


def _all_pass(results: Mapping[str, Result]) -> bool:
    return all(result.verdict is Verdict.PASS for result in results.values())


def _grad(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def _in_order(forced: Mapping[str, Result]) -> list[tuple[str, Result]]:
    """In order of computation: outputs as they stand, then the loss, then gradients from the last layer back."""
    forward = [(path, result) for path, result in forced.items() if path.endswith((".out", ".loss"))]
    layers = list(dict.fromkeys(path.split(".")[0] for path in forced))
    backward = [
        (path, result) for layer in reversed(layers) for path, result in forced.items() if path.startswith(f"{layer}.d")
    ]
    return forward + backward
