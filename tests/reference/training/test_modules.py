"""Any module and optimizer in lockstep: like ones stay together, each planted slip is named by step and term."""

import pytest
import torch
from torch import nn

from scratchproof import assert_passes, lockstep
from scratchproof.errors import InputError

STEPS = 12


def adamw(module, **options):
    return torch.optim.AdamW(module.parameters(), lr=0.05, **options)


@pytest.fixture
def beside(net, batches, loss):
    """Two optimizers, each made for its module, on the same net."""

    def run(candidate, truth, **options):
        def made(optimizer):
            module = net()
            return module, optimizer(module)

        how = {"batches": batches, "steps": STEPS, "loss": loss, **options}
        return lockstep(lambda: made(candidate), lambda: made(truth), **how)

    return run


class HandWritten:
    """AdamW without decay. late: the bias correction counts from 0, and so is one step late."""

    def __init__(self, parameters, lr, late=False):
        self.parameters, self.lr, self.t, self.late = list(parameters), lr, 0, late
        self.m, self.v = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        t = max(1, self.t - 1) if self.late else self.t
        for p, m, v in zip(self.parameters, self.m, self.v, strict=True):
            m.mul_(0.9).add_(0.1 * p.grad.to(m))
            v.mul_(0.999).add_(0.001 * p.grad.to(v) ** 2)
            p -= (self.lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)).to(p)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}], ids=str)
def test_the_same_rule_computed_otherwise_stays_together(options, precision, beside):
    assert_passes(beside(lambda module: adamw(module, **options), adamw, precision=precision))


def test_a_rule_of_ones_own_is_followed_and_its_slip_is_named(beside):
    def hand(module, **options):
        return HandWritten(module.parameters(), 0.05, **options)

    def truth(module):
        return adamw(module, weight_decay=0.0)

    right = beside(hand, truth)
    assert (right.passed, right.steps) == (True, STEPS)
    late = beside(lambda module: hand(module, late=True), truth)
    assert (late.step, late.term, late.parameter) == (2, "bias correction", "0.weight")
    with pytest.raises(AssertionError, match=r"step 2: the bias correction of 0\.weight parts from the truth's: error"):
        assert_passes(late)


def test_a_wrong_gradient_is_told_from_a_wrong_update(beside, loss):
    def halved(module, batch):
        return loss(module, batch) * (0.5 if module.training and isinstance(module[1], nn.Softsign) else 1)

    def other(module):
        module[1] = nn.Softsign()
        return adamw(module)

    found = beside(other, adamw, loss=halved)
    assert (found.step, found.term) == (1, "gradient")


def test_what_makes_no_sense_is_refused(beside):
    with pytest.raises(InputError, match="there is no batch"):
        beside(adamw, adamw, batches=[])
    with pytest.raises(InputError, match="'float8' is no precision"):
        beside(adamw, adamw, precision="float8")
