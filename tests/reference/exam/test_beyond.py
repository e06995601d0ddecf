"""Other shapes, orders of calls and of memory: right code passes, what is wrong only sometimes is caught and named."""

from itertools import combinations

import numpy as np
import pytest

from scratchproof import scratch
from scratchproof.exam.beyond import LABELLED, LYING, drawn
from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.subjects.subject import ModuleSubject
from scratchproof.table.layers import LAYERS, row

SHAPED = [layer for layer in LAYERS if layer.shapes]


def report(layer, **names):
    module = type(scratch)("planted")
    vars(module).update({name: getattr(scratch, name) for name in scratch.__all__} | names)
    return examine(ModuleSubject(name="planted", module=module), row(layer), "float64")


def told(layer, check, **names):
    found = report(layer, **names)
    assert found.verdict is Verdict.FAIL
    assert {r.check for r in found.findings} == {check}
    return found.findings[0]


@pytest.mark.parametrize("layer", SHAPED, ids=lambda layer: layer.name)
def test_all_that_is_notable_occurs_among_the_shapes_drawn(layer):
    for seed in range(3):
        chosen = drawn(layer.shapes, seed, 16)
        assert len(chosen) == 16 or len(chosen) == len({tuple(sizes.values()) for sizes in chosen})
        unmet = [n for n, told in layer.shapes.notable.items() if not any(told(**sizes) for sizes in chosen)]
        assert len(unmet) <= len(layer.shapes.notable) // 8, unmet


def test_shapes_are_the_same_for_the_same_seed_and_others_for_another():
    shapes = row("conv").shapes
    assert drawn(shapes, 1, 8) == drawn(shapes, 1, 8) != drawn(shapes, 2, 8)


def wrong_where(condition):
    """A convolution that is wrong for some shapes only."""

    def conv_forward(x, w, b, *, stride=1, pad=0):
        out, cache = scratch.conv_forward(x, w, b, stride=stride, pad=pad)
        return out * (1.01 if condition(x.shape, w.shape, stride, pad) else 1), cache

    return conv_forward


@pytest.mark.parametrize(
    ("condition", "smallest"),
    [
        (lambda x, w, stride, pad: pad >= w[2] and pad >= w[3], "KH 1"),
        (lambda x, w, stride, pad: x[2] == x[3] and x[2] > 1, "H 2, W 2"),
        (lambda x, w, stride, pad: stride == 4, "stride 4"),
        (lambda x, w, stride, pad: x[0] > 16, "N 20"),
    ],
)
def test_what_is_wrong_for_some_shapes_is_caught_and_shrunk(condition, smallest):
    finding = told("conv", "shapes", conv_forward=wrong_where(condition))
    assert smallest in finding.case


def test_every_two_letters_meet_in_many_sizes():
    shapes = row("conv").shapes
    met = {frozenset(pair) for sizes in drawn(shapes, 0, 24) for pair in combinations(sizes.items(), 2)}
    drawn_blindly = set()
    for seed in range(24):
        drawn_blindly |= {frozenset(pair) for pair in combinations(drawn(shapes, seed, 1)[0].items(), 2)}
    assert len(met) > len(drawn_blindly)


def test_labels_of_a_narrow_type_are_asked_of_many_rows():
    def softmax_loss(x, y):
        loss, dx = scratch.softmax_loss(x, y)
        if y.dtype.itemsize == 1 and x.size > 255:  # as where y + C * n is reckoned in the labels' own type
            dx = dx[:, ::-1]
        return loss, dx

    assert " of " in told("softmax_loss", "shapes", softmax_loss=softmax_loss).case


def test_a_keep_probability_of_one_is_asked():
    def dropout_forward(x, mask, *, p=0.5):
        out, cache = scratch.dropout_forward(x, mask, p=p)
        return (x if p == 1 else out), cache

    assert "p 1.0" in told("dropout", "shapes", dropout_forward=dropout_forward).case


def test_what_goes_wrong_after_a_hundred_steps_is_caught():
    def adam(w, dw, config):
        config = scratch.adam(w, dw, config)
        config["m"] *= 1.001 if config["t"] == 100 else 1
        return config

    assert "T 110" in told("adam", "shapes", adam=adam).case


def test_a_label_of_a_late_row_is_caught():
    class Net(scratch.TwoLayerNet):
        def predict(self, X):
            found = super().predict(X)
            found[256:] = 0
            return found

    assert "N 300" in told("TwoLayerNet.predict", "shapes", TwoLayerNet=Net).case


def test_an_assert_that_refuses_sizes_is_a_note():
    def max_pool_forward(x, *, pool_height=2, pool_width=2, stride=2):
        assert stride < 4, "no such stride"
        return scratch.max_pool_forward(x, pool_height=pool_height, pool_width=pool_width, stride=stride)

    found = report("max_pool", max_pool_forward=max_pool_forward)
    assert found.verdict is Verdict.PASS
    assert any("no such stride" in r.message for r in found.findings)


def test_a_cache_in_a_global_is_caught():
    kept = []

    def relu_forward(x):
        kept.append(x)
        return np.maximum(x, 0), None

    finding = told("relu", "orders", relu_forward=relu_forward, relu_backward=lambda dout, _: dout * (kept[-1] > 0))
    assert "after forward, forward, backward" in finding.message


def test_every_fiftieth_call_is_caught():
    calls = []

    def tanh_forward(x):
        calls.append(None)
        out, cache = scratch.tanh_forward(x)
        return out + (len(calls) % 50 == 49), cache

    assert "at call" in told("tanh", "orders", tanh_forward=tanh_forward).message


def test_results_remembered_by_the_place_of_the_array_are_caught():
    known = {}

    def sigmoid_forward(x):
        return known.setdefault((id(x), x.ctypes.data), scratch.sigmoid_forward(x))

    found = report("sigmoid", sigmoid_forward=sigmoid_forward)
    assert found.verdict is Verdict.FAIL


def test_reading_memory_in_its_own_order_is_caught_by_name():
    def affine_forward(x, w, b):
        return x.reshape(len(x), -1) @ w.ravel(order="K").reshape(w.shape) + b, (x, w)

    assert "w in Fortran order" in {r.case for r in report("affine", affine_forward=affine_forward).findings}


def test_labels_of_few_bits_are_asked():
    def svm_loss(x, y):
        assert y.dtype != np.uint8
        return scratch.svm_loss(x, y)

    assert {r.case for r in report("svm_loss", svm_loss=svm_loss).findings} == {"y of uint8"}


def test_parameters_bound_anew_and_a_second_loss_are_asked():
    class TwoLayerNet(scratch.TwoLayerNet):
        def loss(self, X, y=None, *, rng=None):
            first = self.__dict__.setdefault("first", dict(self.params))
            self.params, bound = first, self.params
            try:
                return super().loss(X, y, rng=rng)
            finally:
                self.params = bound

    assert report("TwoLayerNet", TwoLayerNet=TwoLayerNet).verdict is Verdict.FAIL


@pytest.mark.parametrize("effort", ["quick", "thorough"])
def test_effort_changes_how_much_is_asked(effort):
    module = ModuleSubject(name="scratch", module=scratch)
    usual, other = (examine(module, row("relu"), "float64", effort=e) for e in ("normal", effort))
    assert other.verdict is Verdict.PASS
    assert (len(other.results) > len(usual.results)) is (effort == "thorough")


def of_labels(wrong):
    def softmax_loss(x, y):
        return scratch.softmax_loss(x, wrong(y) % x.shape[1])

    return softmax_loss


def test_labels_that_numpy_itself_takes_for_no_indices_may_be_refused_but_not_mistaken():
    def refuses(y):
        if not np.can_cast(y.dtype, np.intp):
            raise TypeError("labels must be whole numbers that index")
        return y

    found = report("softmax_loss", softmax_loss=of_labels(refuses))
    assert found.verdict is Verdict.PASS, [r.message for r in found.findings]
    assert any("uint64" in r.message for r in found.findings)
    mistaken = told("softmax_loss", "memory", softmax_loss=of_labels(lambda y: y if y.dtype.kind == "i" else y - 1))
    assert mistaken.cause == LABELLED


def test_what_hangs_on_the_memory_order_is_told_as_such():
    def relu_forward(x):
        return np.maximum(x.ravel(order="K").reshape(x.shape), 0), x

    found = report("relu", relu_forward=relu_forward, relu_backward=lambda dout, x: dout * (x > 0))
    assert {r.cause for r in found.findings if r.check == "memory"} == {LYING}
