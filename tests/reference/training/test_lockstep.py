"""Lockstep: what is right stays within the derived tolerance; every planted bug is named by its term."""

import json
import re
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from scratchproof import scratch
from scratchproof.cli import main
from scratchproof.exam.compare import Verdict
from scratchproof.training.journal import BATCH, CASES, CONFIGS, UnusableError
from scratchproof.training.lockstep import RuleReport, lockstep, sentence


def subject(**changes):
    """A module with scratch's nets and rules but no Solver, and some names replaced."""
    module = ModuleType("planted")
    for name in ("TwoLayerNet", "LinearClassifier", "XorNet", "ConvNet", *CONFIGS):
        setattr(module, name, getattr(scratch, name))
    for name, value in changes.items():
        setattr(module, name, value)
    return module


@pytest.mark.parametrize("rule", CONFIGS)
@pytest.mark.parametrize("net", CASES)
def test_the_solver_stays_within_the_derived_tolerance(net, rule):
    report = lockstep(scratch, net, rule, steps=12, seed=1)
    assert report.verdict is Verdict.PASS, report
    assert report.steps == 12
    assert report.headroom > 1
    assert report.parting is None or report.parting.convention


def test_a_hundred_steps_of_the_two_layer_net():
    """Two disturbed runs in place of three: faster, and stricter."""
    report = lockstep(scratch, "two_layer", "adam", steps=100, runs=2)
    assert report.verdict is Verdict.PASS, report
    assert report.steps == 100


def test_momentum_under_a_changing_rate_is_shown_as_a_convention():
    report = lockstep(scratch, "linear", "sgd_momentum", steps=5)
    assert report.verdict is Verdict.PASS
    assert report.parting.convention
    assert (report.parting.term, report.parting.step) == ("momentum", 11)  # ten steps an epoch
    assert any(known.difference == report.parting.cause and known.rate < 1 for known in report.known)


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("sgd", ["weight_decay on all parameters"]),
        ("sgd_momentum", ["CS231n's velocity", "decoupled decay", "weight_decay on all parameters"]),
        ("rmsprop", ["epsilon inside the root", "decoupled decay", "weight_decay on all parameters"]),
        ("adam", ["epsilon before the bias correction", "decoupled decay", "weight_decay on all parameters"]),
    ],
)
def test_known_differences_are_shown_with_the_step_where_they_would_part(rule, shown):
    known = lockstep(scratch, "two_layer", rule, steps=3).known
    assert [any(k.difference.startswith(text) for k in known) for text in shown] == [True] * len(shown)
    assert len(known) == len(shown)
    # biases start at zero: their decay cannot show before the second step
    assert all((k.step, k.quantity) == (2, "b1") for k in known if k.difference.startswith("weight_decay"))


def cs231n_adam(w, dw, config):
    """CS231n's own form: the next value is returned, nothing is written."""
    config.setdefault("m", np.zeros_like(w))
    config.setdefault("v", np.zeros_like(w))
    t = config["t"] = config.get("t", 0) + 1
    config["m"] = config["beta1"] * config["m"] + (1 - config["beta1"]) * dw
    config["v"] = config["beta2"] * config["v"] + (1 - config["beta2"]) * dw**2
    m, v = config["m"] / (1 - config["beta1"] ** t), config["v"] / (1 - config["beta2"] ** t)
    return w - config["learning_rate"] * m / (np.sqrt(v) + config["epsilon"]), config


def test_rules_that_return_the_next_value_are_understood():
    report = lockstep(subject(adam=cs231n_adam), "two_layer", "adam", steps=12)
    assert report.verdict is Verdict.PASS, report


def make_adam(*, late=False, corrected=(True, True), denominator=lambda v, c, eps: np.sqrt(v / c) + eps, decay=0.0):
    shared = {"t": 0}

    def adam(w, dw, config):
        t = config["t"] = config.get("t", 0) + (0 if late and "t" not in config else 1)
        if late == "shared":
            t = shared["t"] = shared["t"] + 1
        m = config["m"] = config["beta1"] * config.get("m", 0.0) + (1 - config["beta1"]) * dw
        v = config["v"] = config["beta2"] * config.get("v", 0.0) + (1 - config["beta2"]) * dw * dw
        c1, c2 = (
            np.float64(1 - config[beta] ** t) if wanted else 1.0
            for beta, wanted in zip(("beta1", "beta2"), corrected, strict=True)
        )
        with np.errstate(all="ignore"):
            w -= config["learning_rate"] * (m / c1 / denominator(v, c2, config["epsilon"]) + decay * w)
        return config

    return adam


def make_momentum(carry=lambda v, g, mu: mu * v + g, move=lambda v, g, mu: v):
    def sgd_momentum(w, dw, config):
        mu = config["momentum"]
        config["v"] = carry(config.get("v", 0.0), dw, mu)
        w -= config["learning_rate"] * move(config["v"], dw, mu)
        return config

    return sgd_momentum


def make_rmsprop(carry=lambda c, g, rho: rho * c + (1 - rho) * g * g, root=lambda c, eps: np.sqrt(c) + eps):
    def rmsprop(w, dw, config):
        config["c"] = carry(config.get("c", 0.0), dw, config["decay_rate"])
        w -= config["learning_rate"] * dw / root(config["c"], config["epsilon"])
        return config

    return rmsprop


def make_sgd(move):
    def sgd(w, dw, config):
        w -= config["learning_rate"] * move(w, dw)
        return config

    return sgd


REG = CASES["two_layer"].reg

# name: (rule, the planted rule, step, term, words of the cause)
WRONG_RULES = {
    "eps inside the root": (
        *("adam", make_adam(denominator=lambda v, c, eps: np.sqrt(v / c + eps))),
        *(1, "epsilon", "stands inside the root"),
    ),
    "eps inside, before the correction": (
        *("adam", make_adam(denominator=lambda v, c, eps: np.sqrt(v + eps) / np.sqrt(c))),
        *(1, "epsilon", "inside the root, before the correction"),
    ),
    "no eps": ("adam", make_adam(denominator=lambda v, c, eps: np.sqrt(v / c)), 1, "epsilon", "is missing"),
    "t late": ("adam", make_adam(late=True), 1, "bias correction", "t is incremented after its use"),
    "one t for all": ("adam", make_adam(late="shared"), 1, "bias correction", "one t for all"),
    "no correction": ("adam", make_adam(corrected=(False, False)), 1, "bias correction", "neither moment"),
    "first uncorrected": ("adam", make_adam(corrected=(False, True)), 1, "bias correction", "the first moment"),
    "second uncorrected": ("adam", make_adam(corrected=(True, False)), 1, "bias correction", "the second moment"),
    "no root": ("adam", make_adam(denominator=lambda v, c, eps: v / c + eps), 1, "second moment", "root is missing"),
    "decay twice": ("sgd", make_sgd(lambda w, g: g + (w.ndim > 1) * REG * w), 1, "decay", "once more in the update"),
    "decay on biases": ("sgd", make_sgd(lambda w, g: g + (w.ndim == 1) * REG * w), 2, "decay", "biases decay too"),
    "uphill": ("sgd", make_sgd(lambda w, g: -g), 1, "learning rate", "uphill"),
    "momentum sign": ("sgd_momentum", make_momentum(lambda v, g, mu: g - mu * v), 2, "momentum", "sign is flipped"),
    "no velocity": ("sgd_momentum", make_momentum(lambda v, g, mu: g), 2, "momentum", "not kept"),
    "nesterov": ("sgd_momentum", make_momentum(move=lambda v, g, mu: g + mu * v), 1, "momentum", "Nesterov"),
    "damped": ("sgd_momentum", make_momentum(lambda v, g, mu: mu * v + (1 - mu) * g), 1, "momentum", "damped"),
    "no root in rmsprop": ("rmsprop", make_rmsprop(root=lambda c, eps: c + eps), 1, "second moment", "root is missing"),
    "swapped": (
        *("rmsprop", make_rmsprop(lambda c, g, rho: (1 - rho) * c + rho * g * g)),
        *(1, "second moment", "are swapped"),
    ),
    "adagrad": ("rmsprop", make_rmsprop(lambda c, g, rho: c + g * g), 1, "second moment", "never forgotten"),
}


@pytest.mark.parametrize("bug", WRONG_RULES)
def test_a_wrong_rule_is_named_by_its_term(bug):
    rule, planted, step, term, words = WRONG_RULES[bug]
    report = lockstep(subject(**{rule: planted}), "two_layer", rule, steps=30)
    assert report.verdict is Verdict.FAIL
    assert (report.parting.step, report.parting.term) == (step, term), report.parting
    assert words in report.parting.cause


def make_net(change, base=scratch.TwoLayerNet):
    class Planted(base):
        def loss(self, X, y=None, **options):
            found = super().loss(X, y, **options)
            return found if y is None else change(self, *found)

    return Planted


def change_gradients(change):
    """A net whose gradients are changed, name by name."""
    return make_net(
        lambda net, loss, grads: (loss, {name: change(name, dw, net.params[name]) for name, dw in grads.items()})
    )


def is_weight(name):
    return name.startswith("W")


WRONG_NETS = {
    "decay on biases": (
        change_gradients(lambda name, dw, w: dw if is_weight(name) else dw + REG * w),
        *(2, "db1", "decay", "biases decay too"),
    ),
    "reg doubled": (
        change_gradients(lambda name, dw, w: dw + REG * w if is_weight(name) else dw),
        *(1, "dW1", "decay", "2 \\* reg \\* w: the 1/2 of the penalty is missing, or reg is applied twice"),
    ),
    "reg never arrives": (
        change_gradients(lambda name, dw, w: dw - REG * w if is_weight(name) else dw),
        *(1, "dW1", "decay", "reg \\* w is missing"),
    ),
    "half the decay": (
        change_gradients(lambda name, dw, w: dw - REG / 2 * w if is_weight(name) else dw),
        *(1, "dW1", "decay", "half of reg \\* w"),
    ),
    "1/2 missing in the loss": (
        make_net(
            lambda net, loss, grads: (loss + net._regularise({n: w.copy() for n, w in net.params.items()}), grads)
        ),
        *(1, "loss", "decay", "the 1/2 is missing from the penalty in the loss"),
    ),
    "not divided by N": (
        change_gradients(lambda name, dw, w: BATCH * (dw - is_weight(name) * REG * w) + is_weight(name) * REG * w),
        *(1, "dW1", "gradient", "the division by N is missing"),
    ),
    "sign of a bias": (
        change_gradients(lambda name, dw, w: -dw if name == "b2" else dw),
        *(1, "db2", "gradient", "its sign is flipped"),
    ),
    "one element": (
        change_gradients(lambda name, dw, w: dw + 1e-9 * (np.arange(dw.size) == 3).reshape(dw.shape)),
        *(1, "dW1", "gradient", "^$"),
    ),
    "dead gradient": (
        change_gradients(lambda name, dw, w: 0 * dw if name == "b1" else dw),
        *(1, "db1", "gradient", "it is zero"),
    ),
}


@pytest.mark.parametrize("bug", WRONG_NETS)
def test_a_wrong_gradient_is_told_from_a_wrong_decay(bug):
    net, step, quantity, term, words = WRONG_NETS[bug]
    report = lockstep(subject(TwoLayerNet=net), "two_layer", "sgd", steps=12)
    assert report.verdict is Verdict.FAIL
    assert (report.parting.step, report.parting.quantity, report.parting.term) == (step, quantity, term)
    assert re.search(words, report.parting.cause), report.parting


@pytest.mark.parametrize(
    ("rule", "planted", "words"),
    [
        ("adam", make_adam(denominator=lambda v, c, eps: (np.sqrt(v) + eps) / np.sqrt(c)), "epsilon hat"),
        ("rmsprop", make_rmsprop(root=lambda c, eps: np.sqrt(c + eps)), "as in TensorFlow"),
    ],
)
def test_another_convention_passes_with_a_note(rule, planted, words):
    report = lockstep(subject(**{rule: planted}), "two_layer", rule, steps=30)
    assert report.verdict is Verdict.PASS
    assert report.parting.convention
    assert words in report.parting.cause
    assert report.headroom is None


def test_decoupled_decay_is_named():
    """AdamW leaves reg * w out of the gradient that goes through the rule; here the net has put it in."""

    def adamw(w, dw, config):
        decay = (w.ndim > 1) * REG * w
        right(w, dw - decay, config)
        w -= config["learning_rate"] * decay
        return config

    right = scratch.adam
    report = lockstep(subject(adam=adamw), "two_layer", "adam", steps=12)
    assert report.verdict is Verdict.FAIL
    assert (report.parting.term, report.parting.step) == ("decay", 1)
    assert "decoupled" in report.parting.cause


class LateSolver(scratch.Solver):
    @property
    def learning_rate(self):
        return self.optim_config["learning_rate"] * self.lr_decay ** (max(self.iteration - 1, 0) // self._per_epoch)


class ConstantSolver(scratch.Solver):
    @property
    def learning_rate(self):
        return self.optim_config["learning_rate"]


@pytest.mark.parametrize(("solver", "words"), [(LateSolver, "one step late"), (ConstantSolver, "never decays")])
def test_a_solver_with_another_rate_is_named(solver, words):
    report = lockstep(subject(Solver=solver), "two_layer", "sgd", steps=5)
    assert report.verdict is Verdict.FAIL
    assert (report.parting.step, report.parting.term) == (11, "learning rate")
    assert words in report.parting.cause


def test_an_update_that_no_slip_explains_is_still_found():
    def odd(w, dw, config):
        w -= config["learning_rate"] * dw * (1 + 1e-9 * np.sin(np.arange(w.size)).reshape(w.shape))
        return config

    report = lockstep(subject(sgd=odd), "two_layer", "sgd", steps=5)
    assert report.verdict is Verdict.FAIL
    assert (report.parting.term, report.parting.cause) == ("update", "")
    assert "error" in report.parting.message
    assert "allowed" in report.parting.message


def test_single_precision_inside_is_found():
    def single(w, dw, config):
        w -= (np.float32(config["learning_rate"]) * dw.astype(np.float32)).astype(np.float64)
        return config

    assert lockstep(subject(sgd=single), "two_layer", "sgd", steps=5).verdict is Verdict.FAIL


def test_a_missing_rule_and_a_crash_are_told_apart():
    module = subject()
    del module.adam
    assert lockstep(module, "two_layer", "adam", steps=3).verdict is Verdict.MISSING

    def crash(w, dw, config):
        raise RuntimeError("no such thing")

    report = lockstep(subject(sgd=crash), "two_layer", "sgd", steps=3)
    assert (report.verdict, report.message) == (Verdict.CRASH, "RuntimeError: no such thing")


def test_a_crash_in_the_middle_is_not_a_pass():
    calls = []

    def tired(w, dw, config):
        calls.append(1)
        if len(calls) > 20:
            raise RuntimeError("enough")
        return scratch.sgd(w, dw, config)

    report = lockstep(subject(sgd=tired), "two_layer", "sgd", steps=30)
    assert report.verdict is Verdict.CRASH
    assert "enough" in report.message


def test_a_net_that_is_not_there_is_unusable():
    module = subject()
    del module.XorNet
    with pytest.raises(UnusableError, match="planted has no XorNet, which lockstep on xor needs"):
        lockstep(module, "xor", "sgd", steps=3)


PLANTED_FILE = """
from scratchproof.scratch import LinearClassifier, sgd_momentum, rmsprop, adam

def sgd(w, dw, config):
    w += config["learning_rate"] * dw
    return config
"""


def test_the_command_passes_scratch_and_writes_the_record(tmp_path):
    out = tmp_path / "record.json"
    result = CliRunner().invoke(
        main,
        ["lockstep", "linear", "--rule", "sgd", "--rule", "adam", "--steps", "4", "--seed", "3", "--json", str(out)],
    )
    assert result.exit_code == 0, result.output
    assert "PASS" in result.output
    record = json.loads(out.read_text())
    assert (record["format"], record["version"], record["passed"]) == ("scratchproof-lockstep", 1, True)
    assert (record["subject"], record["net"], record["seed"]) == ("scratch", "linear", 3)
    assert [entry["rule"] for entry in record["results"]] == ["sgd", "adam"]
    assert set(record["results"][0]) == set(RuleReport.__slots__)
    assert {"python", "numpy", "torch"} <= set(record["environment"])


def test_the_command_fails_a_planted_file_and_says_where(tmp_path):
    path = tmp_path / "planted.py"
    path.write_text(PLANTED_FILE)
    result = CliRunner().invoke(main, ["lockstep", "linear", "--subject", str(path), "--rule", "sgd", "--steps", "4"])
    assert result.exit_code == 1
    assert "sgd parts at step 1, W, learning rate: the step goes uphill" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["linear", "--subject", "no_such_module"], "does not import"),
        (["linear", "--subject", "torch"], "lockstep needs a module with nets and update rules"),
        (["linear", "--subject", "json"], "json has no sgd"),
        (["no_such_net"], "no_such_net"),
        (["linear", "--rule", "adamw"], "adamw"),
        (["linear", "--steps", "0"], "0"),
        (["linear", "--rule", "sgd", "--steps", "1", "--json", "/no/such/folder/x.json"], "there is no folder"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_is_unusable_exits_with_two(arguments, message):
    result = CliRunner().invoke(main, ["lockstep", *arguments])
    assert result.exit_code == (1 if message == "json has no sgd" else 2), result.output
    assert message in result.output


def test_the_table_explains_its_columns_and_ends_with_a_sentence():
    result = CliRunner().invoke(
        main, ["lockstep", "linear", "--rule", "sgd", "--rule", "sgd_momentum", "--steps", "20"]
    )
    assert result.exit_code == 0
    for column in ("error", "allowed", "headroom", "growth"):
        assert re.search(rf"^(?:.*; )?(?:\w+, )?{column}[:,]", result.output, re.MULTILINE), column
    last = result.output.splitlines()[-1]
    assert last.startswith("sgd: beside torch.optim to the last step; sgd_momentum: another convention than torch's")


def test_the_sentence_names_what_is_not_as_torch():
    right, wrong = RuleReport(rule="sgd", verdict=Verdict.PASS), RuleReport(rule="adam", verdict=Verdict.FAIL)
    assert sentence([right, wrong]) == "sgd: beside torch.optim to the last step; adam: not as torch.optim."
