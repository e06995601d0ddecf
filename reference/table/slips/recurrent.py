"""Slips in recurrent layers: in one step, and in what is handed from step to step."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from scratchproof.table.expressions import with_slope
from scratchproof.table.slips.making import Slips, instead
from scratchproof.vjp import Expression

Step = Callable[..., Tensor]


def _plain(activation: Callable[[Tensor], Tensor], h: Callable[[Tensor], Tensor] = lambda h: h) -> Step:
    def step(x: Tensor, prev_h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
        return activation(x @ Wx + h(prev_h) @ Wh + b)

    return step


def _tanh_with(slope: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda a: with_slope(torch.tanh(a), slope(torch.tanh(a)), a)


def _untransposed(x: Tensor, prev_h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    there = prev_h.detach() @ Wh
    back = prev_h @ Wh.T.detach()
    return torch.tanh(x @ Wx + there + back - back.detach() + b)


_STEPS: dict[str, Step] = {
    "there is no tanh": _plain(lambda a: a),
    "a sigmoid stands where tanh is due": _plain(torch.sigmoid),
    "a ReLU stands where tanh is due": _plain(torch.relu),
    "the derivative of tanh, 1 - h^2, is missing in backward": _plain(_tanh_with(torch.ones_like)),
    "1 - h stands where 1 - h^2 is due: tanh' lacks the square": _plain(_tanh_with(lambda h: 1 - h)),
    "h * (1 - h), the derivative of the sigmoid, stands where 1 - h^2 is due": _plain(
        _tanh_with(lambda h: h * (1 - h))
    ),
    "the previous h takes no part": _plain(torch.tanh, torch.zeros_like),
    "Wh is not transposed on the way back to the previous h": _untransposed,
    "no gradient flows back to the previous h": _plain(torch.tanh, torch.Tensor.detach),
}
RNN_STEP: Slips = {
    **_STEPS,
    "dWh is made with the next h, where the previous one is due": instead(
        _plain(torch.tanh),
        {3: lambda dout, x, h, Wx, Wh, b: (n := torch.tanh(x @ Wx + h @ Wh + b)).T @ (dout * (1 - n * n))},
    ),
}


def _unrolled(step: Step, hand_on: Callable[[Tensor], Tensor] = lambda h: h, turned: bool = False) -> Expression:
    def expression(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
        h, found = h0, []
        for now in reversed(x.unbind(1)) if turned else x.unbind(1):
            found.append(h := step(now, hand_on(h), Wx, Wh, b))
        return torch.stack(found, 1)

    return expression


def _always_from_the_start(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    return torch.stack([_plain(torch.tanh)(now, h0, Wx, Wh, b) for now in x.unbind(1)], 1)


def _of_one_step(at: int, alone: slice) -> Expression:
    """As if the gradients of some of Wx, Wh and b came from the one step `at`."""

    def expression(x: Tensor, h0: Tensor, *shared: Tensor) -> Tensor:
        h, found = h0, []
        for t, now in enumerate(x.unbind(1)):
            weights = list(shared)
            if t != at % x.shape[1]:
                weights[alone] = [value.detach() for value in weights[alone]]
            found.append(h := _plain(torch.tanh)(now, h, *weights))
        return torch.stack(found, 1)

    return expression


_ONE_STEP: dict[str, Expression] = {
    f"= stands where += is due over the steps: the {told} step alone counts in {whose}": _of_one_step(at, alone)
    for told, at in {"first": 0, "last": -1}.items()
    for whose, alone in {
        "dWx, dWh and db": slice(0, 3),
        "dWx": slice(0, 1),
        "dWh": slice(1, 2),
        "db": slice(2, 3),
    }.items()
}
_THROUGH = "the gradient is not handed on from step to step"
RNN: Slips = {
    **{sentence: _unrolled(step) for sentence, step in _STEPS.items()},
    f"{_THROUGH}: each step's dout alone counts": _unrolled(_plain(torch.tanh), torch.Tensor.detach),
    **_ONE_STEP,
    "every step starts from h0, not from the step before": _always_from_the_start,
    "the steps are taken from the last to the first": _unrolled(_plain(torch.tanh), turned=True),
}


def _lstm_step(
    order: str = "ifog",
    *,
    cell: Callable[[Tensor], Tensor] = torch.tanh,
    gate: Callable[[Tensor], Tensor] = torch.sigmoid,
    new: Callable[[Tensor], Tensor] = torch.tanh,
    to_h: Callable[[Tensor], Tensor] = lambda c: c,
    forget: Callable[[Tensor], Tensor] = lambda f: f,
    forgot: str = "prev_c",
    cut: str = "",
) -> Callable[..., Mapping[str, Tensor]]:
    """A step with one thing otherwise. order: of the four gates in Wx, Wh and b. cut: what passes no gradient back."""

    def step(x: Tensor, prev_h: Tensor, prev_c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Mapping[str, Tensor]:
        a = dict(zip(order, (x @ Wx + prev_h @ Wh + b).chunk(4, 1), strict=True))
        f, i, g = forget(gate(a["f"])), gate(a["i"]), new(a["g"])
        c = f * prev_c + i * g
        other = {"prev_c": prev_c, "next_c": c, "nothing": torch.zeros_like(c)}[forgot].detach()
        c = c + (f - f.detach()) * (other - prev_c.detach())  # what the forget gate's gradient is multiplied with
        found = {"next_h": gate(a["o"]) * cell(to_h(c)), "next_c": c}
        return {name: value.detach() if name == cut else value for name, value in found.items()}

    return step


_PERMUTED = ("fiog", "iofg", "oifg", "foig", "ofig", "ifgo", "igof", "giof", "gifo", "igfo", "iogf", "fogi")
_LSTM: dict[str, Callable[..., Mapping[str, Tensor]]] = {
    **{
        f"the gates are taken in the order {', '.join(order)}: i, f, o, g is due": _lstm_step(order)
        for order in _PERMUTED
    },
    "there is no tanh around the cell state: next_h = o * next_c": _lstm_step(cell=lambda c: c),
    "a sigmoid stands where tanh is due, for g": _lstm_step(new=torch.sigmoid),
    "the gates have no sigmoid": _lstm_step(gate=lambda a: a),
    "the next cell state stands where prev_c is due in the forget gate's gradient": _lstm_step(forgot="next_c"),
    "the forget gate gets no gradient": _lstm_step(forgot="nothing"),
    "the forget gate is missing: the old cell state is kept whole": _lstm_step(forget=torch.ones_like),
    "the gradient's way from next_h to the cell state is missing": _lstm_step(to_h=torch.Tensor.detach),
    "the derivative of tanh is missing on the way from next_h to the cell state": _lstm_step(
        cell=_tanh_with(torch.ones_like)
    ),
    "1 - tanh stands where 1 - tanh^2 is due, on the way from next_h to the cell state: the square is forgotten": (
        _lstm_step(cell=_tanh_with(lambda t: 1 - t))
    ),
    "1 - g stands where 1 - g^2 is due: the square is forgotten": _lstm_step(new=_tanh_with(lambda g: 1 - g)),
    "g * (1 - g), the derivative of the sigmoid, stands where 1 - g^2 is due": _lstm_step(
        new=_tanh_with(lambda g: g * (1 - g))
    ),
    "1 - s^2, the derivative of tanh, stands where s * (1 - s) is due in the gates": _lstm_step(
        gate=lambda a: with_slope(torch.sigmoid(a), 1 - torch.sigmoid(a) ** 2, a)
    ),
    "the derivative of tanh, 1 - g^2, is missing for g": _lstm_step(new=_tanh_with(torch.ones_like)),
    "the derivative of the sigmoid is missing in the gates": _lstm_step(
        gate=lambda a: with_slope(torch.sigmoid(a), torch.ones_like(a), a)
    ),
    "s stands where s * (1 - s) is due in the gates": _lstm_step(
        gate=lambda a: with_slope(torch.sigmoid(a), torch.sigmoid(a), a)
    ),
    "1 - s stands where s * (1 - s) is due in the gates": _lstm_step(
        gate=lambda a: with_slope(torch.sigmoid(a), 1 - torch.sigmoid(a), a)
    ),
}
LSTM_STEP: Slips = {
    **_LSTM,
    "dnext_c takes no part in backward: the gradient of next_c is lost": _lstm_step(cut="next_c"),
    "dnext_h takes no part in backward: the gradient of next_h is lost": _lstm_step(cut="next_h"),
}


def _lstm(
    step: Callable[..., Mapping[str, Tensor]],
    h_on: Callable[[Tensor], Tensor] = lambda h: h,
    c_on: Callable[[Tensor], Tensor] = lambda c: c,
) -> Expression:
    def expression(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
        h, c, found = h0, torch.zeros_like(h0), []
        for now in x.unbind(1):
            h, c = step(now, h_on(h), c_on(c), Wx, Wh, b).values()
            found.append(h)
        return torch.stack(found, 1)

    return expression


LSTM: Slips = {
    **{sentence: _lstm(step) for sentence, step in _LSTM.items()},
    f"{_THROUGH} by h": _lstm(_lstm_step(), torch.Tensor.detach),
    f"{_THROUGH} by the cell state": _lstm(_lstm_step(), c_on=torch.Tensor.detach),
    f"{_THROUGH}, neither by h nor by the cell state": _lstm(_lstm_step(), torch.Tensor.detach, torch.Tensor.detach),
    "the cell state is not kept from step to step": _lstm(_lstm_step(), c_on=torch.zeros_like),
}


def temporal_affine(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return x @ w + b


def _last_word(x: Tensor, W: Tensor) -> Tensor:
    """dW[x] += dout counts, of words that occur twice, the last alone."""
    flat, last = x.flatten(), {}
    for at, word in enumerate(flat.tolist()):
        last[word] = at
    kept = torch.zeros(len(flat), 1, dtype=W.dtype)
    kept[list(last.values())] = 1
    out = W[flat]
    return (out.detach() + kept * (out - out.detach())).reshape(*x.shape, -1)


def _temporal(made: Callable[[Tensor, Tensor], Any]) -> Expression:
    """A captioning loss from the losses of all words and the mask (N, T)."""

    def expression(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
        losses = torch.nn.functional.cross_entropy(x.flatten(0, 1), y.flatten(), reduction="none").reshape(y.shape)
        found: Tensor = made(losses, mask.to(losses.dtype))
        return found

    return expression


WORD_EMBEDDING: Slips = {
    "of a word that occurs twice only the last counts: dW[x] += dout adds once; np.add.at is due": _last_word
}
TEMPORAL_SOFTMAX: Slips = {
    "the mask is ignored: padding counts": _temporal(lambda losses, mask: losses.sum() / len(losses)),
    "divided by all words, where N is due": _temporal(lambda losses, mask: (losses * mask).mean()),
    "divided by the number of words that count, where N is due": _temporal(
        lambda losses, mask: (losses * mask).sum() / mask.sum()
    ),
    "not divided by N": _temporal(lambda losses, mask: (losses * mask).sum()),
    "the mask is turned around": _temporal(lambda losses, mask: (losses * (1 - mask)).sum() / len(losses)),
}
