"""Who trains a net in the benchmark: the same SGD step by everyone, from the same start, on the same minibatches."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from scratchproof import scratch
from scratchproof.table import nets as twins

Array = NDArray[Any]
Step = Callable[[Any, Any, float], float]
Maker = Callable[[Mapping[str, Array]], tuple[Step, Callable[[], list[Array]]]]
"""From starting parameters a step, and a way to read the parameters afterwards, in the same order."""
BATCHES = 8  # different minibatches that take turns
REG = 0.01
RATE = 1e-3
CHECK_RATE = 0.1  # large enough for a wrong gradient to show, too small for rounding to grow


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One row of the benchmark: rivals that compute the same thing.

    run: by name, what is timed. answer: by name, what it computes, as arrays; a limit (less than the whole
    computation, such as the products alone) has none. terms: how many numbers the longest sum adds up.
    given: the bytes of the inputs, where memory is looked at. notes: why a rival is missing.
    """

    name: str
    operations: float
    run: Mapping[str, Callable[[], object]]
    answer: Mapping[str, Callable[[], list[Array]]]
    terms: int
    given: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    baseline: str = "torch"


def disagreements(contest: Contest) -> dict[str, float]:
    """How far each rival's answer is from the baseline's, 1 being as far as rounding may take it.

    Two sums of K products may differ by 8 sqrt(K) roundings of the largest element; what was updated carries
    the rounding of its own size besides. terms = 0 asks for equality.
    """
    expected = contest.answer[contest.baseline]()
    worst = {}
    for name, answer in contest.answer.items():
        shares = [0.0]
        for a, e in zip(answer(), expected, strict=True):
            if a.shape != e.shape:
                shares.append(np.inf)
                continue
            error, allowed = np.abs(a - e).max(), 8 * np.sqrt(contest.terms) * np.finfo(e.dtype).eps * np.abs(e).max()
            shares.append(float(error / allowed) if allowed else float(error and np.inf))
        worst[name] = max(shares)
    return worst


# ---------------------------------------------------------------- the two-layer net


def two_layer(
    hidden: int, batch: int, dtype: str, *, inputs: int = 3072, compiled: bool = False, cuda: bool = False
) -> Contest:
    """A step of SGD on the two-layer net with softmax and L2."""
    rng = np.random.default_rng(hidden + batch)
    X = rng.standard_normal((BATCHES, batch, inputs)).astype(dtype)
    y = rng.integers(0, 10, (BATCHES, batch))
    start = scratch.TwoLayerNet(inputs, hidden, reg=REG, weight_scale=1e-2, dtype=dtype, rng=rng).params
    makers: dict[str, Maker] = {
        "torch": torch_eager(lambda: twins.two_layer_net(inputs, hidden, 10)),
        "torch in place": _torch_in_place,
        "scratch": _fused(lambda: scratch.TwoLayerNet(inputs, hidden, reg=REG, dtype=dtype, rng=rng)),
        "scratch, plain": _plain(lambda: scratch.TwoLayerNet(inputs, hidden, reg=REG, dtype=dtype, rng=rng)),
        "textbook NumPy": _textbook,
    }
    notes: dict[str, str] = {}
    if compiled:
        torch.compiler.reset()  # else it stops compiling after eight shapes, and the row would time eager code
        makers["torch.compile"] = _compiled
    if cuda:
        makers["torch, CUDA"] = torch_eager(lambda: twins.two_layer_net(inputs, hidden, 10).cuda())
    contest = _steps(f"two-layer step, H {hidden}, batch {batch}, {dtype}", makers, start, X, y, notes)
    products = {"the products alone": products_alone(start["W1"], X)}
    operations = 4.0 * batch * inputs * hidden
    return Contest(
        name=contest.name,
        operations=operations,
        run={**contest.run, **products},
        answer=contest.answer,
        terms=inputs,
        notes=notes,
    )


def conv_net(batch: int, *, size: int = 32, filters: int = 32, hidden: int = 100, cuda: bool = False) -> Contest:
    """A step of SGD on the ConvNet (7x7 kernels) in float32."""
    rng = np.random.default_rng(batch)
    X = rng.standard_normal((2, batch, 3, size, size)).astype(np.float32)
    y = rng.integers(0, 10, (2, batch))
    shape = (3, size, size)

    def net() -> Any:
        return scratch.ConvNet(shape, filters, 7, hidden, reg=REG, weight_scale=1e-2, dtype=np.float32, rng=rng)

    makers = {
        "torch": torch_eager(lambda: twins.conv_net(shape, filters, 7, hidden, 10)),
        "torch, channels last": torch_eager(lambda: twins.conv_net(shape, filters, 7, hidden, 10), last=True),
        "scratch": _fused(net),
        "scratch, plain": _plain(net),
    }
    if cuda:
        makers["torch, CUDA"] = torch_eager(lambda: twins.conv_net(shape, filters, 7, hidden, 10).cuda())
    contest = _steps(f"ConvNet step, batch {batch}, float32", makers, net().params, X, y, {})
    operations = 2.0 * 2 * batch * size * size * filters * 3 * 49 + 6.0 * batch * filters * size * size / 4 * hidden
    return Contest(
        name=contest.name, operations=operations, run=contest.run, answer=contest.answer, terms=batch * size * size
    )


def _steps(
    name: str, makers: Mapping[str, Maker], start: Mapping[str, Array], X: Array, y: Array, notes: dict[str, str]
) -> Contest:
    """Rivals that step: timed on batches in turn; their answer is what three large steps changed."""
    run: dict[str, Callable[[], object]] = {}
    answer: dict[str, Callable[[], list[Array]]] = {}
    for rival, maker in makers.items():
        batches = [_placed(rival, *batch) for batch in zip(X, y, strict=True)]
        try:
            step, _ = maker(_copy(start))
            first, labels = batches[0]
            step(first, labels, RATE)
        except Exception as error:  # a compiler that is missing or fails: the others go on
            if rival == "torch":
                raise
            notes[rival] = f"does not run here: {type(error).__name__}"
            continue
        run[rival] = _run(step, cycle(batches))
        answer[rival] = partial(_after_training, maker, start, batches)
    return Contest(name=name, operations=0, run=run, answer=answer, terms=0)


def _placed(rival: str, X: Array, y: Array) -> tuple[Any, Any]:
    """A minibatch as this rival takes it, and where it takes it."""
    if not rival.startswith("torch"):
        return X, y
    device = "cuda" if rival.endswith("CUDA") else "cpu"
    return torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)


def _run(step: Step, batches: Iterator[Any]) -> Callable[[], object]:
    def run() -> None:
        X, y = next(batches)
        step(X, y, RATE)

    return run


def _after_training(maker: Any, start: Mapping[str, Array], batches: list[Any]) -> list[Array]:
    step, params = maker(_copy(start))
    for X, y in (batches * 3)[:3]:
        step(X, y, CHECK_RATE)
    return list(params())


def _copy(start: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.copy() for name, value in start.items()}


def _fused(make: Callable[[], Any]) -> Maker:
    def maker(params: Mapping[str, Array]) -> tuple[Step, Callable[[], list[Array]]]:
        net = make()
        net.params = dict(params)
        fused: Any = scratch.fuse(net)
        return fused.step, lambda: list(fused.settle().values())

    return maker


def _plain(make: Callable[[], Any]) -> Maker:
    def maker(params: Mapping[str, Array]) -> tuple[Step, Callable[[], list[Array]]]:
        net = make()
        net.params = dict(params)

        def step(X: Any, y: Any, rate: float) -> float:
            loss, grads = net.loss(X, y)
            for name, w in net.params.items():
                scratch.sgd(w, grads[name], {"learning_rate": rate})
            return float(loss)

        return step, lambda: list(net.params.values())

    return maker


def _textbook(params: Mapping[str, Array]) -> tuple[Step, Callable[[], list[Array]]]:
    """The step as an assignment's solution has it: nothing reused, every gradient in full."""
    p = dict(params)

    def step(X: Any, y: Any, rate: float) -> float:
        N = len(X)
        z = X @ p["W1"] + p["b1"]
        h = np.maximum(0, z)
        scores = h @ p["W2"] + p["b2"]
        exps = np.exp(scores - np.max(scores, axis=1, keepdims=True))
        probs = exps / np.sum(exps, axis=1, keepdims=True)
        loss = -np.sum(np.log(probs[np.arange(N), y])) / N
        loss += 0.5 * REG * (np.sum(p["W1"] * p["W1"]) + np.sum(p["W2"] * p["W2"]))
        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores /= N
        dh = dscores @ p["W2"].T
        dh[z <= 0] = 0
        grads = {"W1": X.T @ dh + REG * p["W1"], "b1": np.sum(dh, axis=0)}
        grads |= {"W2": h.T @ dscores + REG * p["W2"], "b2": np.sum(dscores, axis=0)}
        for name in p:
            p[name] -= rate * grads[name]
        return float(loss)

    return step, lambda: list(p.values())


def products_alone(W1: Array, X: Array) -> Callable[[], object]:
    """X @ W1 and Xᵀ @ dh into waiting arrays: what no step can do without."""
    h, dW = np.empty((X.shape[1], W1.shape[1]), W1.dtype), np.empty_like(W1)
    batches = cycle(X)

    def run() -> None:
        X = next(batches)
        np.matmul(X, W1, out=h)
        np.matmul(X.T, h, out=dW)

    return run


def torch_eager(make: Callable[[], Any], *, last: bool = False) -> Maker:
    """autograd and torch.optim.SGD, as a tutorial has it; weight decay on the weights alone."""

    def maker(params: Mapping[str, Array]) -> tuple[Step, Callable[[], list[Array]]]:
        net = make().to(torch.from_numpy(params["W1"]).dtype)
        twins.load(net, params)
        if last:
            net = net.to(memory_format=torch.channels_last)
        weights: list[Any] = [p for name, p in net.named_parameters() if name.endswith("weight")]
        biases = [p for name, p in net.named_parameters() if name.endswith("bias")]
        groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": REG}, {"params": biases}]
        optimizer = torch.optim.SGD(groups, lr=RATE)

        def step(X: Any, y: Any, rate: float) -> float:
            for group in optimizer.param_groups:
                group["lr"] = rate
            X = X.to(memory_format=torch.channels_last) if last else X
            optimizer.zero_grad()
            loss = F.cross_entropy(net(X), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return loss.item()

        def dumped() -> list[Array]:
            now = twins.dump(net)
            return [now[name] for name in params]

        return step, dumped

    return maker


def _torch_in_place(
    params: Mapping[str, Array], compiler: Callable[[Any], Any] = lambda f: f
) -> tuple[Step, Callable[[], list[Array]]]:
    """The step by hand in torch: no autograd, updates in place, decay in the product's own beta."""
    W1, b1, W2, b2 = (torch.from_numpy(w) for w in params.values())
    W1 = W1.T.contiguous()  # as nn.Linear keeps it: the faster way round here

    def move(X: Any, y: Any, rate: float) -> Any:
        h = torch.addmm(b1, X, W1.T).relu_()
        logs = torch.log_softmax(torch.addmm(b2, h, W2), 1)
        loss = F.nll_loss(logs, y)
        dscores = logs.exp_().sub_(F.one_hot(y, b2.numel())).mul_(-rate / len(y))
        dh = (dscores @ W2.T).mul_(h > 0)
        W2.addmm_(h.T, dscores, beta=1 - rate * REG)
        W1.addmm_(dh.T, X, beta=1 - rate * REG)
        b2.add_(dscores.sum(0))
        b1.add_(dh.sum(0))
        return loss

    built = compiler(move)

    def step(X: Any, y: Any, rate: float) -> float:
        with torch.no_grad():
            return float(built(X, y, rate).item())

    return step, lambda: [t.numpy() for t in (W1.T, b1, W2, b2)]


def _compiled(params: Mapping[str, Array]) -> tuple[Step, Callable[[], list[Array]]]:
    return _torch_in_place(params, torch.compile)


# ---------------------------------------------------------------- softmax


def softmax(rows: int, classes: int, dtype: str = "float32") -> Contest:
    """Softmax, cross-entropy and its gradient."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((rows, classes)).astype(dtype), rng.integers(0, classes, rows)
    tx, ty = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)

    def eager() -> list[Any]:
        loss = F.cross_entropy(tx, ty)
        return [loss.detach(), *torch.autograd.grad(loss, tx)]

    def textbook() -> list[Any]:
        probs = np.exp(x - np.max(x, axis=1, keepdims=True))
        probs /= np.sum(probs, axis=1, keepdims=True)
        one_hot = np.eye(classes, dtype=x.dtype)[y]
        return [-np.sum(one_hot * np.log(probs)) / rows, (probs - one_hot) / rows]

    run: dict[str, Callable[[], Any]] = {
        "torch": eager,
        "scratch": lambda: scratch.softmax_loss(x, y),
        "textbook NumPy": textbook,
    }
    answer = {name: _arrays(rival) for name, rival in run.items()}
    return Contest(name=f"softmax, {rows} x {classes}, {dtype}", operations=0, run=run, answer=answer, terms=classes)


def _arrays(rival: Callable[[], Any]) -> Callable[[], list[Array]]:
    return lambda: [np.asarray(a) for a in rival()]
