"""What is told where no mistake fits is true of the arrays."""

import numpy as np
import pytest

from scratchproof.exam.causes.evidence import Item
from scratchproof.exam.causes.facts import KNOWN, facts
from scratchproof.exam.exam import Exam
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS

(TRIAL,) = Exam(subject=None, layer=row("affine"), precision=PRECISIONS["float64"]).trials[:1]


def fact(change):
    """What is said of a truth of (6, 7) after a change."""
    expected = TRIAL.truth.grads[0]["w"]
    actual = expected.copy()
    actual = change(actual) if callable(change) else actual
    item = Item(trial=TRIAL, place=("dw", 0), actual=actual, expected=expected, allowed=TRIAL.tolerance("dw").allowed)
    return facts([item], []).removeprefix(KNOWN)


def put(place, value=99.0):
    def change(a):
        a[place] = value
        return a

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a, ""),
        (lambda a: 0 * a, "it is zero throughout"),
        (lambda a: 1 + 0 * a, "every element is 1"),
        (lambda a: 1.25 * a, "it is 1.25 times the right result throughout"),
        (lambda a: a + 0.5, "0.5 is added to 42 of 42 elements"),
        (lambda a: a * (1 + 1e-9), "it is 1 + 1e-09 times the right result throughout"),
        (
            lambda a: a + 1e-9 * np.cos(np.arange(42)).reshape(6, 7),
            "it is right to about 10 digits of its largest element",
        ),
        (lambda a: a[::-1].copy(), "its numbers are right, but 42 of 42 elements are in another place"),
        (lambda a: a.ravel(), "its numbers are right, in order, but not its shape"),
        (lambda a: a.T.copy(), "its numbers are right, but neither their order nor its shape"),
        (put(2, np.nan), "nan where numbers are due, 7 of 42 elements: all at index 2 of axis 0"),
        (put((0, 0), 0), "1 of 42 elements are zero: all of them at index 0 of axis 0"),
        (put((slice(None), 3), -7), "6 of 42 elements are wrong: all at index 3 of axis 1"),
    ],
)
def test_the_fact_is_the_one_that_was_planted(change, said):
    assert fact(change) == said


def test_a_border_is_called_one():
    def border(a):
        a[[0, -1]] += np.arange(7)
        a[:, [0, -1]] += np.arange(6)[:, None] + 1
        return a

    assert fact(border).endswith("all at the border of the last two axes")


def test_a_sign_is_told_where_only_some_are_turned():
    def turned(a):
        a[1:3] *= -1
        return a

    assert fact(turned) == "14 of 42 elements are of the opposite sign: all at indices 1, 2 of axis 0"


@pytest.fixture
def patient(monkeypatch):
    """However busy the machine is, all the shapes are tried."""
    monkeypatch.setattr("scratchproof.exam.causes.facts.PATIENCE", np.inf)


def pooled(x, pool_param):
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    out = np.zeros((*x.shape[:2], 1 + (x.shape[2] - height) // stride, 1 + (x.shape[3] - width) // stride))
    for i, j in np.ndindex(*out.shape[2:]):
        out[:, :, i, j] = x[:, :, i * stride : i * stride + height, j * stride : j * stride + width].max(axis=(2, 3))
    return out, (x, height, width, stride)


def pool_backward(dout, cache):
    x, height, width, stride = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*dout.shape):
        window = x[n, c, i * stride : i * stride + height, j * stride : j * stride + width]
        row, column = np.unravel_index(window.argmax(), (height, width))
        dx[n, c, i * stride + row, j * stride + column] += dout[n, c, i, j]
    return dx


@pytest.mark.usefixtures("patient")
def test_for_which_sizes_it_is_wrong_is_told_where_nothing_else_is_known(told):
    def tall(x, pool_param):
        out, cache = pooled(x, pool_param)
        return (out + np.arange(1, 1 + out.shape[3]) if x.shape[3] > x.shape[2] else out), cache

    (said,) = told("max_pool", max_pool_forward=tall, max_pool_backward=pool_backward).values()
    assert "shapes tried where H < W, and in no other" in said


@pytest.mark.usefixtures("patient")
def test_for_which_sizes_it_raises_is_told_alone(told):
    def square(dout, cache):
        size = cache[1:3]
        if len(set(size)) > 1:
            raise IndexError("too far")
        return pool_backward(dout, cache)

    found = told("max_pool", "normal", max_pool_forward=pooled, max_pool_backward=square)
    assert "shapes tried where KH = KW, and in no other" in found["dx"]
    assert KNOWN not in found["dx"]


def test_what_hangs_on_no_size_is_not_said_to(told):
    def shifted(x, pool_param):
        out, cache = pooled(x, pool_param)
        return out + 0.1 * np.tanh(out), cache

    found = told("max_pool", max_pool_forward=shifted, max_pool_backward=pool_backward)
    assert "shapes" not in found["out"]


def test_a_gradient_that_is_the_same_for_every_dout_is_told(told):
    found = told("relu", relu_forward=lambda x: (np.maximum(0, x), x), relu_backward=lambda dout, x: np.cos(x))
    assert found["dx"] == f"{KNOWN}it is the same whatever dout is: dout takes no part"
