"""Naming the cause: what simple mistake turns the truth into what was found?

Each suspicion computes what the quantity would be had that mistake been made, from the oracle; the first that
reproduces the subject's result, element by element, is reported. Nothing is guessed from a difference alone.
"""

from collections.abc import Callable, Iterator

import numpy as np

from scratchproof.exam.exam import Trial
from scratchproof.vjp import ONLY, Array, answer, floating, from_torch, named

Suspicion = Callable[[Trial, str, int, Array], Iterator[tuple[str, Array]]]


def explain(trial: Trial, quantity: str, actual: Array, cotangent: int = 0) -> str:
    """A sentence that names the mistake, or an empty one if none of the known mistakes explains the result.

    quantity: "out", "loss" or "d" and an input's name. cotangent: which of the trial's cotangents was pulled back.
    """
    if not np.isfinite(actual).all():
        return _not_finite(trial, actual)
    expected = trial.pick(trial.truth, quantity, cotangent)
    allowed = 4 * trial.tolerance(quantity, cotangent).allowed
    for suspicion in SUSPICIONS:
        for sentence, mistaken in suspicion(trial, quantity, cotangent, expected):
            if _same(actual, mistaken, allowed) and not _same(mistaken, expected, allowed):
                return sentence
    return _scaled(trial, actual, expected, allowed)


def _shapes(trial: Trial, quantity: str, cotangent: int, expected: Array) -> Iterator[tuple[str, Array]]:
    if expected.ndim == 2:
        yield "it is the transpose of the right result", expected.T
    if expected.ndim == 1:
        yield "it has an axis too many: the sum over rows kept its axis (keepdims=True)", expected[None]
        yield "it has an axis too many: a column where a vector is due", expected[:, None]
        yield "it is summed over everything instead of over rows alone", expected.sum()
    if expected.ndim == 4:
        yield "its kernel is flipped: true convolution where cross-correlation is due", expected[:, :, ::-1, ::-1]
        yield "its height and width are swapped", expected.swapaxes(2, 3)
        yield "its first two axes are swapped", expected.swapaxes(0, 1)
    if expected.ndim > 2:
        yield "it is still flat, (N, D): not given the shape of its input again", expected.reshape(len(expected), -1)


def _scales(trial: Trial, quantity: str, cotangent: int, expected: Array) -> Iterator[tuple[str, Array]]:
    rows = len(next(iter(trial.inputs.values())))
    yield "its sign is flipped", -expected
    yield f"it is {rows} times too large, N being {rows}: the division by N is missing", rows * expected
    yield f"it is {rows} times too small, N being {rows}: divided by N once too often", expected / rows
    yield "it is twice the right result: a factor 1/2 is missing", 2 * expected
    yield "it is half the right result: a factor 1/2 too many", expected / 2


def _slips(trial: Trial, quantity: str, cotangent: int, expected: Array) -> Iterator[tuple[str, Array]]:
    """What the layer's row knows that people write instead."""
    for sentence, expression in trial.layer.slips.items():
        function = from_torch(expression, constant=trial.layer.constant, options=trial.case.options)
        yield sentence, trial.pick(answer(function, trial.inputs, trial.cotangents), quantity, cotangent)


def _cotangents(trial: Trial, quantity: str, cotangent: int, expected: Array) -> Iterator[tuple[str, Array]]:
    if quantity in trial.outputs or trial.layer.kind not in ("pair", "function"):
        return
    dout = trial.cotangents[cotangent].get(ONLY)
    if dout is None:
        return
    for sentence, other in {
        "the upstream gradient dout is ignored: this is the result for dout = 1": np.ones_like(dout),
        "negative upstream gradients are dropped": np.maximum(dout, 0),
    }.items():
        yield sentence, answer(trial.oracle, trial.inputs, [named(other)]).grads[0][quantity[1:]]
    if dout.shape == expected.shape:
        yield "the mask was made from dout, not from x", np.maximum(dout, 0)
        yield "dout is passed on unchanged: the layer's own derivative is missing", dout


def _options(trial: Trial, quantity: str, cotangent: int, expected: Array) -> Iterator[tuple[str, Array]]:
    for name, value in trial.case.options.items():
        if name == "reg":
            yield (
                "the regularisation reg never arrives: this is the result for reg = 0",
                _with(trial, quantity, cotangent, reg=0.0),
            )
            yield "the regularisation is doubled: the 1/2 is missing", _with(trial, quantity, cotangent, reg=2 * value)
            yield "the regularisation is halved: a 1/2 too many", _with(trial, quantity, cotangent, reg=value / 2)
        elif name in ("eps", "negative_slope", "p"):
            defaults = {"eps": 1e-5, "negative_slope": 0.01, "p": 0.5}
            yield f"the option {name} is ignored", _with(trial, quantity, cotangent, **{name: defaults[name]})
    if quantity.startswith("db") and (reg := trial.case.options.get("reg")):
        yield "the bias is regularised too", expected + reg * trial.inputs[quantity[1:]]


def _inputs(trial: Trial, quantity: str, cotangent: int, expected: Array) -> Iterator[tuple[str, Array]]:
    """An input left out: what would come out were it zero (or one)."""
    cotangents = trial.cotangents
    for name in floating(trial.inputs, trial.layer.constant):
        for value in (0.0, 1.0):
            inputs = {**trial.inputs, name: np.full_like(trial.inputs[name], value)}
            mistaken = trial.pick(answer(trial.oracle, inputs, cotangents), quantity, cotangent)
            yield f"{name} does not take part: this is the result for {name} = {value:g}", mistaken


def _windows(trial: Trial, quantity: str, cotangent: int, expected: Array) -> Iterator[tuple[str, Array]]:
    """What the backward pass of a convolution gives when it slips."""
    if not trial.layer.convolution or quantity not in ("dx", "dw"):
        return
    pad, stride = trial.case.options.get("pad", 0), trial.case.options.get("stride", 1)
    slips = {
        "its kernel is flipped in backward": (stride, True),
        "the stride is missing in backward": (1, False),
    }
    if pad and quantity == "dx":
        yield "its padding is not stripped", _scattered(trial, quantity, cotangent, stride, False, strip=False)
    for sentence, (step, flip) in slips.items():
        yield sentence, _scattered(trial, quantity, cotangent, step, flip)


def _scattered(trial: Trial, quantity: str, cotangent: int, step: int, flip: bool, *, strip: bool = True) -> Array:
    """dx or dw of a convolution, window by window."""
    x, w, dout = trial.inputs["x"], trial.inputs["w"], trial.cotangents[cotangent][ONLY]
    pad, (height, width) = trial.case.options.get("pad", 0), w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(dout.shape[2:]):
        place = (..., slice(i * step, i * step + height), slice(j * step, j * step + width))
        dw += np.einsum("nf,nchw->fchw", dout[:, :, i, j], padded[place])
        dx[place] += np.einsum("nf,fchw->nchw", dout[:, :, i, j], w[:, :, ::-1, ::-1] if flip else w)
    inner = dx[:, :, pad : dx.shape[2] - pad, pad : dx.shape[3] - pad] if strip else dx
    return dw if quantity == "dw" else inner


SUSPICIONS: tuple[Suspicion, ...] = (_scales, _shapes, _slips, _options, _cotangents, _windows, _inputs)


def _with(trial: Trial, quantity: str, cotangent: int, **options: float) -> Array:
    function = from_torch(trial.layer.torch, constant=trial.layer.constant, options={**trial.case.options, **options})
    return trial.pick(answer(function, trial.inputs, trial.cotangents), quantity, cotangent)


def _same(actual: Array, mistaken: Array, allowed: Array) -> bool:
    if actual.shape != np.shape(mistaken):
        return False
    bound = allowed if allowed.shape == actual.shape else allowed.max(initial=0.0) * max(1, allowed.size)
    return bool((np.abs(actual - mistaken) <= bound * max(1, len(actual) if actual.ndim else 1)).all())


def _scaled(trial: Trial, actual: Array, expected: Array, allowed: Array) -> str:
    """The result times a constant that has no name."""
    if actual.shape != expected.shape or not expected.any():
        return ""
    factor = float((actual * expected).sum() / (expected * expected).sum())
    if expected.size > 1 and factor and _same(actual, factor * expected, allowed):
        return f"it is {factor:.6g} times the right result throughout"
    return ""


def _not_finite(trial: Trial, actual: Array) -> str:
    if trial.corner.overflows and np.isnan(actual).any():
        return "exp overflows: subtract the row's maximum before exp"
    return ""
