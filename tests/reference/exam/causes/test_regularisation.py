"""What regularisation adds is told where it is missing, halved, doubled, or reaches the biases."""

import numpy as np
import pytest

from scratchproof import scratch
from scratchproof.exam.causes.regularisation import AT_ODDS, THE_OTHER_WAY


@pytest.mark.parametrize(
    ("spoil", "quantity", "words"),
    [
        (lambda loss, g, p, reg: (loss, {**g, "W1": g["W1"] + reg * p["W1"]}), "dW1", "dW1 is twice what is due"),
        (lambda loss, g, p, reg: (loss, {**g, "W2": g["W2"] - reg * p["W2"]}), "dW2", "dW2 is missing"),
        (lambda loss, g, p, reg: (loss, {**g, "b1": g["b1"] + reg * p["b1"]}), "db1", "b1 is regularised too"),
        (
            lambda loss, g, p, reg: (loss - 0.5 * reg * (p["W2"] ** 2).sum(), g),
            "loss",
            "W2 is left out of the regularisation of the loss",
        ),
        (
            lambda loss, g, p, reg: (loss + 0.5 * reg * (p["b1"] ** 2).sum(), g),
            "loss",
            "the loss regularises the bias too: b1",
        ),
    ],
)
def test_the_share_that_is_wrong_is_named(told, spoil, quantity, words):
    class TwoLayerNet(scratch.TwoLayerNet):
        def loss(self, X, y=None, *, rng=None):
            if y is None:
                return super().loss(X)
            loss, grads = super().loss(X, y)
            return spoil(loss, grads, self.params, self.reg)

    found = told("TwoLayerNet", TwoLayerNet=TwoLayerNet)
    assert words in found[quantity]
    assert not [other for name, other in found.items() if name != quantity and other]


def test_a_loss_without_the_half_and_gradients_with_it_are_at_odds(told):
    class LinearClassifier(scratch.LinearClassifier):
        def loss(self, X, y=None):
            if y is None:
                return super().loss(X)
            loss, grads = super().loss(X, y)
            return loss + 0.5 * self.reg * np.sum(self.params["W"] ** 2), grads

    assert told("LinearClassifier", LinearClassifier=LinearClassifier)["loss"] == AT_ODDS


def test_and_so_are_a_loss_with_the_half_and_gradients_without(told):
    def naive(W, X, y, reg):
        loss, dx = scratch.softmax_loss(X @ W, y)
        return loss + 0.5 * reg * np.sum(W * W), X.T @ dx + 2 * reg * W

    assert told("softmax_loss_naive", softmax_loss_naive=naive)["loss"] == THE_OTHER_WAY


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_a_share_that_is_averaged_too_is_told_with_the_half_and_without(told, factor):
    def naive(W, X, y, reg):
        loss, dx = scratch.softmax_loss(X @ W, y)
        return loss + factor * reg * np.sum(W * W) / len(X), X.T @ dx + 2 * factor * reg * W / len(X)

    found = told("softmax_loss_naive", softmax_loss_naive=naive)
    assert found["loss"].endswith("in the loss is divided by N")
    assert found["dW"].endswith("in dW is divided by N")


def test_a_case_without_regularisation_shows_what_a_second_mistake_hides(told):
    def naive(W, X, y, reg):
        loss, dx = scratch.softmax_loss(X @ W, y)
        return loss + 0.5 * reg * np.sum(W * W), len(X) * X.T @ dx + reg * np.sum(W * W)

    assert told("softmax_loss_naive", effort="normal", softmax_loss_naive=naive)["dW"] == (
        "in the case of reg 0 the division of dW by N is missing; here more is wrong"
    )
