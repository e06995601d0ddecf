"""The bench: right code passes, changed code is told of, an endless loop too, and trials are made once."""

import pytest

from scratchproof import scratch
from scratchproof.bank import kill
from scratchproof.bank.kill import Bench, changed, killed, source_of
from scratchproof.errors import InputError
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import row

LAYERS = source_of(scratch, "layers")


def sources(old, new):
    assert LAYERS.count(old) == 1
    return {"layers": LAYERS.replace(old, new)}


def test_what_is_not_changed_passes():
    bench = Bench(precisions=("float64",))
    assert killed(bench, scratch, {"layers": LAYERS}, [row("relu"), row("TwoLayerNet.predict")]) == ""


def test_what_is_changed_is_told_of_and_does_not_touch_the_original():
    told = killed(Bench(), scratch, sources("return dout * (x > 0)", "return dout * (x < 0)"), [row("relu")])
    assert "relu dx" in told
    assert Bench(precisions=("float64",)).kill(ModuleSubject(name="scratch", module=scratch), [row("relu")]) == ""


def test_a_change_reaches_what_is_built_on_it():
    module = changed(scratch, sources("return np.maximum(x, 0), (x,)", "return np.maximum(x, 1), (x,)"))
    told = Bench().kill(ModuleSubject(name="mutant", module=module), [row("TwoLayerNet")])
    assert "TwoLayerNet loss" in told


def test_an_endless_loop_and_what_does_not_import_are_told_of(monkeypatch):
    monkeypatch.setattr(kill, "SECONDS", 0.3)
    loop = sources("return np.maximum(x, 0), (x,)", "while True: pass")
    assert "Timeout" in (told := killed(Bench(), scratch, loop, [row("relu")])) or "still at work" in told
    assert "import: NameError" in killed(Bench(), scratch, {"layers": "no_such_name"}, [row("relu")])


def test_a_convention_counts_as_told():
    told = killed(Bench(), scratch, sources("return dout * (x > 0)", "return dout * (x >= 0)"), [row("relu")])
    assert "another valid convention" in told


def test_the_same_trials_serve_every_subject():
    bench = Bench(precisions=("float64",))
    subject = ModuleSubject(name="scratch", module=scratch)
    bench.kill(subject, [row("tanh")])
    made = dict(bench.trials)
    bench.kill(subject, [row("tanh")])
    assert made
    assert all(bench.trials[key] is trials for key, trials in made.items())


@pytest.mark.parametrize("name", ["scratch", "scratchproof.scratch"])
def test_packages_are_found_by_name(name):
    assert kill.package_called(name) is scratch


@pytest.mark.parametrize("name", ["no_such_package", "math"])
def test_what_is_no_package_is_refused(name):
    with pytest.raises(InputError, match="package"):
        kill.package_called(name)
