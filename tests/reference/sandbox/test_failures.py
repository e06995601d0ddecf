"""Whatever a function does in this process arrives as a failure with words, and every check ends in a verdict."""

from types import ModuleType

import numpy as np
import pytest

from scratchproof.exam.checks import examine
from scratchproof.sandbox import failures
from scratchproof.sandbox.failures import Raised, guarded, plain
from scratchproof.subjects.subject import ContractError, ModuleSubject
from scratchproof.table.layers import row


class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit(3)


class Narrow(ValueError):
    pass


def raising(error):
    def call():
        raise error

    return call


RAISED = {
    "an ordinary one": (ValueError("no"), "ValueError: no (line", "ValueError"),
    "one of a kind": (Narrow("no"), "Narrow: no (line", "ValueError"),
    "an exit": (SystemExit(0), "SystemExit: 0 (line", "SystemExit"),
    "one without words": (Unspeakable(), "Unspeakable: (its message cannot be had) (line", "Exception"),
    "one of many lines": (KeyError("a\n\x1b[2Jb"), "KeyError: 'a\\n\\x1b[2Jb' (line", "KeyError"),
    "one that ends generators": (GeneratorExit(), "GeneratorExit (line", "GeneratorExit"),
}


@pytest.mark.parametrize("name", RAISED)
def test_what_is_raised_arrives_as_plain_words_and_kinds(name):
    error, words, kind = RAISED[name]
    with pytest.raises(Raised) as caught:
        guarded(raising(error))
    assert str(caught.value).startswith(words)
    assert caught.value.kinds[0] == kind
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ContractError("has no gradient")], ids=type)
def test_ctrl_c_and_what_the_adapters_say_pass(error):
    with pytest.raises(type(error)):
        guarded(raising(error))


def test_a_long_message_is_cut():
    assert len(plain("x" * 10**6)) == failures.LONGEST + 1


def leave(*_):
    raise SystemExit(0)


class Looped(list):
    """A cache that raises when it is looked at."""

    def __iter__(self):
        raise SystemExit(0)


def relu(**others):
    module = ModuleType("in_process")
    vars(module).update(relu_forward=lambda x: (np.maximum(x, 0), x), relu_backward=lambda dout, x: dout * (x > 0))
    vars(module).update(others)
    return ModuleSubject(name="in process", module=module)


def once(function):
    """Right in the first calls of an exam, then an exit: some later check meets it."""
    calls = iter(range(10**9))
    return lambda *args: function(*args) if next(calls) < 8 else leave()


IN_PROCESS = {
    "exits forward": ({"relu_forward": leave}, "CRASH"),
    "exits backward": ({"relu_backward": leave}, "CRASH"),
    "exits forward later": ({"relu_forward": once(lambda x: (np.maximum(x, 0), x))}, "FAIL"),
    "exits backward later": ({"relu_backward": once(lambda dout, x: dout * (x > 0))}, "FAIL"),
    "has a cache that exits": (
        {"relu_forward": lambda x: (np.maximum(x, 0), Looped([x])), "relu_backward": lambda dout, c: dout * (c[0] > 0)},
        "FAIL",
    ),
    "returns a billion": ({"relu_forward": lambda x: (np.broadcast_to(x.dtype.type(0), (10**5, 10**4)), x)}, "FAIL"),
    "cannot be asked": ({"__getattr__": leave}, "CRASH"),
    "cannot be called so": ({"relu_forward": leave, "relu_backward": 3}, "MISSING"),
}


@pytest.mark.parametrize("name", IN_PROCESS)
def test_whatever_a_layer_does_in_this_process_ends_in_a_verdict(name):
    functions, verdict = IN_PROCESS[name]
    subject = relu(**functions)
    layer = row("tanh" if name == "cannot be asked" else "relu")
    report = examine(subject, layer, "float64")
    assert report.verdict == verdict, [r.message for r in report.findings]
    assert report.verdict == "MISSING" or any(r.message for r in report.results)
