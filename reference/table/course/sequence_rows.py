"""Rows of the table: CS231n's layers for sequences, x (N, T, D) of N sequences of T steps."""

from collections.abc import Callable
from functools import partial

from scratchproof.table.course import recurrent
from scratchproof.table.expressions import Rng, Sampler, normal
from scratchproof.table.layer import Case, Layer, Shapes
from scratchproof.table.slips import recurrent as steps
from scratchproof.vjp import Inputs


def _step(gates: int, *states: str) -> Callable[..., Sampler]:
    """One step of a recurrent layer whose weights make so many gates from x (N, D) and its states (N, H)."""

    def inputs(N: int, D: int, H: int) -> Sampler:
        before = dict.fromkeys(states, (N, H))
        return normal(x=(N, D), **before, Wx=(D, gates * H), Wh=(H, gates * H), b=(gates * H,))

    return inputs


def _sequence(gates: int) -> Callable[..., Sampler]:
    def inputs(N: int, T: int, D: int, H: int) -> Sampler:
        return normal(x=(N, T, D), h0=(N, H), Wx=(D, gates * H), Wh=(H, gates * H), b=(gates * H,))

    return inputs


def _words(N: int, T: int, V: int, D: int) -> Sampler:
    def sample(rng: Rng) -> Inputs:
        return {"x": rng.integers(V, size=(N, T)), "W": rng.standard_normal((V, D))}

    return sample


def _captions(N: int, T: int, V: int) -> Sampler:
    def sample(rng: Rng) -> Inputs:
        labels = {"y": rng.integers(V, size=(N, T)), "mask": rng.random((N, T)) < 0.7}
        return {"x": rng.standard_normal((N, T, V)), **labels}

    return sample


_T = {"T": (1, 2, 3, 9)}
_SIZES = {"D": (1, 2, 4), "H": (1, 2, 3)}
_NOTABLE: dict[str, Callable[..., bool]] = {
    "N = H": lambda N, H, **_: N == H > 1,
    "D = H": lambda D, H, **_: D == H > 1,
    "one sequence": lambda N, H, **_: N == 1 < H,
    "one step": lambda T=1, **_: T == 1,
    "nine steps": lambda T=9, **_: T == 9,
    "one unit": lambda H, **_: H == 1,
}
_recurrent = partial(Layer, kind="pair", analytic=True, corners=("one row",))


def _shapes(inputs: Callable[..., Sampler], **more: tuple[int, ...]) -> Shapes:
    return Shapes(letters={"N": (1, 2, 3, 5), **more, **_SIZES}, inputs=inputs, notable=_NOTABLE)


SEQUENCES: tuple[Layer, ...] = (
    _recurrent(
        name="rnn_step",
        torch=recurrent.rnn_step,
        slips=steps.RNN_STEP,
        cases=(Case(name="N 2, D 4, H 3", inputs=_step(1, "prev_h")(2, 4, 3)),),
        shapes=_shapes(_step(1, "prev_h")),
        batched=("x", "prev_h"),
    ),
    _recurrent(
        name="rnn",
        torch=recurrent.rnn,
        slips=steps.RNN,
        cases=(Case(name="N 2, T 5, D 4, H 3", inputs=_sequence(1)(2, 5, 4, 3)),),
        shapes=_shapes(_sequence(1), **_T),
        batched=("x", "h0"),
    ),
    _recurrent(
        name="lstm_step",
        torch=recurrent.lstm_step,
        slips=steps.LSTM_STEP,
        outputs=("next_h", "next_c"),
        cases=(Case(name="N 2, D 4, H 3", inputs=_step(4, "prev_h", "prev_c")(2, 4, 3)),),
        shapes=_shapes(_step(4, "prev_h", "prev_c")),
        batched=("x", "prev_h", "prev_c"),
    ),
    _recurrent(
        name="lstm",
        torch=recurrent.lstm,
        slips=steps.LSTM,
        cases=(Case(name="N 2, T 5, D 4, H 3", inputs=_sequence(4)(2, 5, 4, 3)),),
        shapes=_shapes(_sequence(4), **_T),
        batched=("x", "h0"),
    ),
    _recurrent(
        name="temporal_affine",
        torch=lambda x, w, b: x @ w + b,
        cases=(Case(name="N 2, T 5, D 4, M 3", inputs=normal(x=(2, 5, 4), w=(4, 3), b=(3,))),),
        shapes=Shapes(
            letters={"N": (1, 2, 3, 5), "T": (1, 2, 3, 9), "D": (1, 2, 3, 4), "M": (1, 2, 3, 5)},
            inputs=lambda N, T, D, M: normal(x=(N, T, D), w=(D, M), b=(M,)),
            notable={
                "all alike": lambda N, T, D, M: N == T == D == M > 1,
                "D = M": lambda N, T, D, M: D == M > 1 and D != T,
                "one step": lambda N, T, D, M: T == 1 < N,
                "many steps": lambda N, T, D, M: T == 9,
            },
        ),
    ),
    Layer(
        name="word_embedding",
        kind="pair",
        torch=lambda x, W: W[x],
        slips=steps.WORD_EMBEDDING,
        cases=(Case(name="N 2, T 6, V 5, D 3", inputs=_words(2, 6, 5, 3)),),
        shapes=Shapes(
            letters={"N": (1, 2, 3, 5), "T": (1, 2, 6, 9), "V": (1, 2, 5, 300), "D": (1, 2, 3, 5)},
            inputs=_words,
            notable={
                "one word over and over": lambda N, T, V, D: V == 1 < N * T,
                "many words": lambda N, T, V, D: V == 300,
                "one step": lambda N, T, V, D: T == 1 < N,
                "many steps": lambda N, T, V, D: T == 9,
                "V = D": lambda N, T, V, D: V == D > 1,
            },
        ),
    ),
    Layer(
        name="temporal_softmax_loss",
        kind="loss",
        torch=recurrent.temporal_softmax,
        slips=steps.TEMPORAL_SOFTMAX,
        batched=("x", "y", "mask"),
        cases=(Case(name="N 3, T 4, V 5", inputs=_captions(3, 4, 5)),),
        shapes=Shapes(
            letters={"N": (1, 2, 3, 30), "T": (1, 2, 4, 9), "V": (2, 3, 5, 12)},
            inputs=_captions,
            notable={
                "one caption": lambda N, T, V: N == 1,
                "one step": lambda N, T, V: T == 1,
                "many captions": lambda N, T, V: N == 30,
                "N = T": lambda N, T, V: N == T > 1,
                "T = V": lambda N, T, V: T == V,
            },
        ),
    ),
)
