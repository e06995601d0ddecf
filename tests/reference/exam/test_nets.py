"""First parameters and dropout: right ones pass, each planted mistake is caught."""

import numpy as np
import pytest

import scratchproof as api
from scratchproof import scratch
from scratchproof.exam.checks import examine
from scratchproof.exam.compare import Verdict
from scratchproof.subjects.subject import ModuleSubject, load
from scratchproof.table.layers import row


def subject(**names):
    module = type(scratch)("planted")
    vars(module).update(names)
    return ModuleSubject(name="planted", module=module)


def net(start):
    """A two-layer net whose first parameters are spoilt by `start(params, rng)`."""

    class TwoLayerNet(scratch.TwoLayerNet):
        def __init__(self, *args, rng, **options):
            super().__init__(*args, rng=rng, **options)
            start(self.params, rng)

    return TwoLayerNet


def put(name, value):
    def start(params, rng):
        params[name] = value(params[name], rng)

    return start


STARTS = {
    "scaled by the root of 2": put("W1", lambda w, rng: w * 2**0.5),
    "shifted": put("W2", lambda w, rng: w + 0.01),
    "biases of a hundredth": put("b1", lambda b, rng: b + 0.01),
    "uniform of the same deviation": put("W1", lambda w, rng: rng.uniform(-1, 1, w.shape) * 0.05 * 3**0.5),
    "never negative": put("W1", lambda w, rng: abs(w)),
    "one row repeated": put("W1", lambda w, rng: w[:1] + 0 * w),
    "zero": put("W2", lambda w, rng: 0 * w),
    "drawn anew, whatever the rng": put("W1", lambda w, rng: 0.05 * np.random.default_rng().standard_normal(w.shape)),
}


@pytest.mark.parametrize("layer", ["TwoLayerNet", "LinearClassifier", "XorNet", "ConvNet"])
@pytest.mark.parametrize("ask", ["start", "defaults"])
def test_right_first_parameters_pass(layer, ask):
    for seed in range(3):
        assert examine(load("scratch"), row(f"{layer}.{ask}"), "float64", seed=seed).verdict is Verdict.PASS


def test_first_parameters_wider_than_the_dtype_asked_for_fail():
    wider = put("W1", lambda w, rng: w.astype(np.float64))
    report = examine(subject(TwoLayerNet=net(wider)), row("TwoLayerNet.start"), "float32")
    assert report.verdict is Verdict.FAIL


@pytest.mark.parametrize("start", STARTS)
def test_wrong_first_parameters_fail(start):
    report = examine(subject(TwoLayerNet=net(STARTS[start])), row("TwoLayerNet.start"), "float64")
    assert report.verdict is Verdict.FAIL


def test_another_default_size_fails():
    class TwoLayerNet(scratch.TwoLayerNet):
        def __init__(self, input_dim=3072, hidden=128, num_classes=10, *, rng, **options):
            super().__init__(input_dim, hidden, num_classes, rng=rng, **options)

    report = examine(subject(TwoLayerNet=TwoLayerNet), row("TwoLayerNet.defaults"), "float64")
    assert report.verdict.gravity >= Verdict.FAIL.gravity


def dropping(forward):
    class TwoLayerNet(scratch.TwoLayerNet):
        def _forward(self, X, rng):
            return forward(self, X, rng, super()._forward)

    return TwoLayerNet


def other_rates(self, X, rng, forward):
    told, self.dropout = self.dropout, self.dropout[::-1]
    try:
        return forward(X, rng)
    finally:
        self.dropout = told


DROPS = {
    "always the same": lambda self, X, rng, forward: forward(X, rng and np.random.default_rng(1)),
    "rates exchanged": other_rates,
    "never": lambda self, X, rng, forward: forward(X, None),
    "in test mode too": lambda self, X, rng, forward: forward(X, rng or np.random.default_rng(1)),
    "not scaled up": lambda self, X, rng, forward: forward(X if rng is None else 0.8 * X, rng),
}


def test_right_dropout_passes():
    for seed in range(3):
        assert examine(load("scratch"), row("TwoLayerNet.dropout"), "float32", seed=seed).verdict is Verdict.PASS


@pytest.mark.parametrize("drop", DROPS)
def test_wrong_dropout_is_caught(drop):
    report = examine(subject(TwoLayerNet=dropping(DROPS[drop])), row("TwoLayerNet.dropout"), "float64")
    assert report.verdict is Verdict.FAIL


SUMMED = {"truth": lambda x: (x * x).sum(1), "inputs": {"x": (6, 300)}, "precisions": ("float32",), "corners": ()}


def summed(noise=0.0, wrong=0.0):
    """Sums of squares in another order each call, as atomic additions have it; or with noise, or wrong as well."""
    rng = np.random.default_rng(0)

    def forward(x):
        total = np.zeros(len(x), x.dtype)
        for column in rng.permutation(x.shape[1]):
            total += x[:, column] ** 2
        total *= 1 + wrong
        return (total + noise * rng.standard_normal(len(x))).astype(x.dtype), x

    return forward, lambda dout, x: 2 * x * dout[:, None]


def repeated(**spoilt):
    report = api.examine(summed(**spoilt), **SUMMED)
    told = [result for sitting in report.sittings for result in sitting.results if result.check == "repeatable"]
    return report, next((result for result in told if result.quantity == "out"), None)


def test_sums_whose_order_changes_are_a_note_that_gives_their_spread():
    report, told = repeated()
    assert report.passed, str(report)
    assert 0 < told.error <= told.allowed
    assert f"8 calls with the same input differ by up to {told.error:.4g}" in str(report).replace("\n", " ")
    assert "within rounding" in told.message


def test_noise_is_told_from_a_wrong_result():
    report, told = repeated(noise=0.5)
    assert told.verdict is Verdict.FAIL
    assert told.cause == "noise around the right result: the mean of the calls is right"
    assert report.findings[0].cause
    assert told.error > told.allowed
    _, told = repeated(noise=0.5, wrong=0.1)
    assert "their mean is wrong too" in told.message
    assert "noise" not in told.cause


def test_what_is_always_the_same_has_no_spread():
    report = api.examine(lambda x: (x * x).sum(1), **SUMMED)
    assert [result.message for sitting in report.sittings for result in sitting.results if result.message] == []


def test_a_net_that_draws_from_the_global_generator_is_right_in_this_process_too():
    class TwoLayerNet:
        def __init__(self, input_size, hidden_size, output_size, std=1e-3):
            draw = np.random.randn
            self.params = {"W1": std * draw(input_size, hidden_size), "b1": np.zeros(hidden_size)}
            self.params |= {"W2": std * draw(hidden_size, output_size), "b2": np.zeros(output_size)}

        def loss(self, X, y=None, reg=0.0):
            raise NotImplementedError

    report = examine(subject(TwoLayerNet=TwoLayerNet), row("TwoLayerNet.start"), "float64")
    assert report.verdict is Verdict.PASS, [r.message for r in report.findings]
