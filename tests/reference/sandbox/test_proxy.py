"""Many calls asked for at once give what they give one by one, in the same order."""

import numpy as np
import pytest

from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.sandbox.failures import Died, OutOfTime, Raised
from scratchproof.sandbox.limits import Limits
from scratchproof.sandbox.observe import Question
from scratchproof.sandbox.proxy import SandboxedSubject
from scratchproof.table.layers import row
from scratchproof.vjp import PRECISIONS

SOURCE = """
import time

import numpy as np

calls = [0]


def relu_forward(x):
    calls[0] += 1
    time.sleep({sleep})
    out = np.maximum(x, 0) {late}
    return out, x


def relu_backward(dout, x):{back}
    return dout * (x > 0)
"""
INPUTS = [{"x": np.array([[1.0, -2.0]])}, {"x": np.array([[-3.0, 4.0], [5.0, 6.0]])}]
SETS = [(inputs, {"out": np.ones_like(inputs["x"])}) for inputs in INPUTS]


@pytest.fixture
def subject(tmp_path):
    made = []

    def of(late="", sleep=0.0, limit=20.0, back=""):
        path = tmp_path / "layers.py"
        path.write_text(SOURCE.format(late=late, sleep=sleep, back=back), encoding="utf-8")
        made.append(SandboxedSubject(str(path), limits=Limits.of(limit)))
        return made[-1]

    yield of
    for one in made:
        one.close()


def found(subject, order):
    layer = row("relu")
    return list(subject.function(layer, layer.cases[0], PRECISIONS["float64"]).turns(SETS, order))


def test_each_call_gives_its_own_answer_in_order(subject):
    order = [0, 1, 1, 0, 1]
    for at, answer in zip(order, found(subject(), order), strict=True):
        np.testing.assert_array_equal(answer.out, np.maximum(INPUTS[at]["x"], 0))
        np.testing.assert_array_equal(answer.grads[0]["x"], INPUTS[at]["x"] > 0)


def test_more_answers_than_one_request_may_keep_all_come(subject):
    answers = found(subject(late="+ calls[0]"), [0] * 30)
    assert [answer.out[0, 1] for answer in answers] == list(range(1, 31))


def test_slow_calls_are_asked_for_in_several_requests_none_of_which_is_late(subject):
    assert len(found(subject(sleep=0.2, limit=1.0), [0] * 9)) == 9


def test_what_is_raised_in_the_middle_arrives(subject):
    with pytest.raises(Raised, match="ZeroDivisionError"):
        found(subject(late="+ 0 // (7 - calls[0])"), [0] * 20)


def replies(subject, count):
    layer = row("relu")
    questions = [Question(layer.cases[0], inputs, [dout]) for inputs, dout in count * SETS[:1]]
    return list(subject.answers(layer, PRECISIONS["float64"], questions))


def test_questions_that_are_sent_together_are_each_answered(subject):
    answers = [reply.answer for reply in replies(subject(late="+ calls[0]"), 100)]
    assert [answer.out[0, 1] for answer in answers] == list(range(1, 101))
    assert all(answer.grads[0]["x"].tolist() == [[1.0, 0.0]] for answer in answers)


def test_a_question_is_answered_as_far_as_it_goes_and_the_next_as_ever(subject):
    forward, backward = "+ 0 // (3 - calls[0])", "\n    if calls[0] == 2:\n        return 1 / 0"
    found = replies(subject(late=forward), 4)
    assert [type(reply.failure) for reply in found] == [type(None), type(None), Raised, type(None)]
    found = replies(subject(back=backward), 3)
    assert [reply.outs is None for reply in found] == [False] * 3
    assert [type(reply.failure) for reply in found] == [type(None), Raised, type(None)]


def test_after_a_death_the_next_question_is_put_to_a_new_process(subject):
    one = subject(late="+ (__import__('os')._exit(3) if calls[0] == 3 else 0)")
    assert [type(reply.failure) for reply in replies(one, 5)] == [type(None)] * 2 + [Died] + [type(None)] * 2


def test_after_one_that_is_late_nothing_more_is_asked(subject):
    one = subject(late="+ (time.sleep(60) or 0 if calls[0] == 2 else 0)", limit=1.0)
    assert [type(reply.failure) for reply in replies(one, 9)] == [type(None)] + [OutOfTime] * 8


def test_what_is_kept_from_call_to_call_is_caught_as_it_is_in_this_process(subject):
    report = examine(subject(late="* (1 if calls[0] % 50 else 2)"), row("relu"), "float64")
    assert report.verdict is Verdict.FAIL
