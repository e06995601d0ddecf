"""What a verdict is owed: what a reasonable author may choose is a note, and SUSPECT only where all must be strict."""

from types import ModuleType

import numpy as np
import pytest

from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.exam.judge import strictly
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row


def subject(**functions):
    module = ModuleType("subject")
    vars(module).update(functions)
    return ModuleSubject(name="subject", module=module)


def backward(dout, x):
    return dout * (x > 0)


def refuses_nan(x):
    if np.isnan(x).any():
        raise ValueError("nan")
    return np.maximum(x, 0), x


def refuses_none(x):
    return np.maximum(x, 0).reshape(len(x), -1).reshape(x.shape), x


NOTED = {
    "float64 out of float32": lambda x: (np.maximum(x, 0.0).astype(float), x),
    "nan swallowed": lambda x: (np.fmax(x, 0), x),
    "nan refused": refuses_nan,
    "no rows refused": refuses_none,
}


@pytest.mark.parametrize("style", NOTED)
def test_what_an_author_may_choose_is_a_note_and_suspect_where_all_must_be_strict(style):
    report = examine(subject(relu_forward=NOTED[style], relu_backward=backward), row("relu"), "float32")
    assert report.verdict is Verdict.PASS, [f.message for f in report.findings]
    assert report.findings
    assert strictly(report).verdict is Verdict.SUSPECT


def test_a_narrower_dtype_is_suspect():
    def narrow(dout, x):
        return (dout * (x > 0)).astype(np.float16)

    report = examine(
        subject(relu_forward=lambda x: (np.maximum(x, 0), x), relu_backward=narrow), row("relu"), "float32"
    )
    assert report.verdict in (Verdict.SUSPECT, Verdict.FAIL)


@pytest.mark.parametrize("biased", [True, False])
def test_either_variance_may_be_kept(biased):
    def running(x, mean, var, momentum=0.9):
        return momentum * mean + (1 - momentum) * x.mean(0), momentum * var + (1 - momentum) * x.var(0, ddof=not biased)

    report = examine(subject(batchnorm_running=running), row("batchnorm_running"), "float64")
    assert report.verdict is Verdict.PASS
    assert bool(report.findings) is biased


@pytest.mark.parametrize(("in_loss", "in_gradient", "verdict"), [(0.5, 1, "PASS"), (1, 2, "PASS"), (0.5, 2, "FAIL")])
def test_the_half_of_the_regularisation_is_free_but_the_same_in_loss_and_gradient(in_loss, in_gradient, verdict):
    def softmax_loss_vectorized(W, X, y, reg):
        scores = X @ W
        scores = scores - scores.max(1, keepdims=True)
        log_probs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        dscores = np.exp(log_probs)
        dscores[np.arange(len(y)), y] -= 1
        loss = -log_probs[np.arange(len(y)), y].mean() + in_loss * reg * (W * W).sum()
        return loss, X.T @ dscores / len(y) + in_gradient * reg * W

    report = examine(
        subject(softmax_loss_vectorized=softmax_loss_vectorized), row("softmax_loss_vectorized"), "float64"
    )
    assert report.verdict == verdict


@pytest.mark.parametrize("error", [NotImplementedError(), Exception("TODO: implement this")], ids=str)
def test_what_is_not_written_is_unimplemented(error):
    def stub(x):
        raise error

    report = examine(subject(relu_forward=stub, relu_backward=backward), row("relu"), "float64")
    assert report.verdict is Verdict.UNIMPLEMENTED


def softmax_of(shift):
    def softmax_loss(x, y):
        powers = np.exp(x - shift(x))
        p = powers / powers.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        p[np.arange(len(y)), y] -= 1
        return loss, p / len(y)

    return softmax_loss


def test_a_formula_that_is_right_on_paper_is_suspect_a_wrong_one_is_not():
    due = {np.max: Verdict.SUSPECT, np.zeros_like: Verdict.FAIL, (lambda x: x.max(1, keepdims=True)): Verdict.PASS}
    for shift, verdict in due.items():
        report = examine(subject(softmax_loss=softmax_of(shift)), row("softmax_loss"), "float64")
        assert report.verdict is verdict, [f.message for f in report.findings]
    doubled = subject(softmax_loss=lambda x, y: tuple(2 * part for part in softmax_of(np.max)(x, y)))
    assert examine(doubled, row("softmax_loss"), "float64").verdict is Verdict.FAIL


def test_only_what_the_formula_itself_loses_is_forgiven():
    def forward(x):
        out = 0.5 * (1 + np.tanh(0.5 * x))
        return out, out

    due = {1.0: Verdict.SUSPECT, 1.01: Verdict.FAIL}
    for factor, verdict in due.items():
        back = lambda dout, out, factor=factor: factor * dout * out * (1 - out)  # noqa: E731
        report = examine(subject(sigmoid_forward=forward, sigmoid_backward=back), row("sigmoid"), "float32")
        assert report.verdict is verdict


def test_a_wider_dtype_is_a_note_where_there_are_careless_formulas_too():
    def softmax_loss(x, y):
        loss, dx = softmax_of(lambda x: x.max(1, keepdims=True))(x.astype(np.float64), y)
        return loss, dx

    report = examine(subject(softmax_loss=softmax_loss), row("softmax_loss"), "float32", effort="quick")
    assert report.verdict is Verdict.PASS, [f.message for f in report.findings]
