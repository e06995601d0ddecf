"""Any module and optimizer in lockstep: like ones stay together, each planted slip is named by step and term."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scratchproof import assert_passes, lockstep
from scratchproof.errors import InputError

STEPS = 12


def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def batches():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(8, 4, generator=generator), torch.arange(8) % 3) for _ in range(3)]


def loss(module, batch):
    x, y = batch
    return F.cross_entropy(module(x), y)


def made(kind=torch.optim.AdamW, **options):
    def make():
        module = net()
        return module, kind(module.parameters(), lr=0.05, **options)

    return make


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
def test_the_same_rule_computed_otherwise_stays_together(options, precision):
    assert_passes(lockstep(made(**options), made(), batches(), STEPS, loss=loss, precision=precision))


def test_a_rule_of_ones_own_is_followed_and_its_slip_is_named():
    truth = made(weight_decay=0.0)
    hand = lockstep(made(HandWritten), truth, batches(), STEPS, loss=loss)
    assert (hand.passed, hand.steps) == (True, STEPS)
    late = lockstep(made(HandWritten, late=True), truth, batches(), STEPS, loss=loss)
    assert (late.step, late.term, late.parameter) == (2, "bias correction", "0.weight")
    with pytest.raises(AssertionError, match=r"step 2: the bias correction of 0\.weight parts from the truth's: error"):
        assert_passes(late)


def test_a_wrong_gradient_is_told_from_a_wrong_update():
    def halved(module, batch):
        return loss(module, batch) * (0.5 if module.training and isinstance(module[1], nn.Softsign) else 1)

    def other():
        module = net()
        module[1] = nn.Softsign()
        return module, torch.optim.SGD(module.parameters(), lr=0.05)

    found = lockstep(other, made(torch.optim.SGD), batches(), STEPS, loss=halved)
    assert (found.step, found.term) == (1, "gradient")


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="there is no batch"):
        lockstep(made(), made(), [], STEPS, loss=loss)
    with pytest.raises(InputError, match="'float8' is no precision"):
        lockstep(made(), made(), batches(), STEPS, loss=loss, precision="float8")
