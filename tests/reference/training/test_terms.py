"""Each slip of an optimizer, planted in torch's own, is named by its term; what nothing explains is an update."""

import pytest
import torch
from torch import nn

from scratchproof import lockstep
from scratchproof.training.terms import common_factor, factor_term

STEPS = 6


def made(kind, wrapper=lambda module, optimizer: optimizer, grouped=None, **options):
    """Of a function that makes a net, the function that makes one and its optimizer."""

    def make(net):
        module = net()
        params = module.parameters() if grouped is None else grouped(module)
        return module, wrapper(module, kind(params, **options))

    return lambda net: lambda: make(net)


@pytest.fixture
def beside(net, batches, loss):
    return lambda candidate, truth: lockstep(candidate(net), truth(net), batches, STEPS, loss=loss)


class Wrapper:
    """An optimizer with something about it."""

    def __init__(self, module, optimizer):
        self.module, self.optimizer, self.count = module, optimizer, 0

    def zero_grad(self):
        self.optimizer.zero_grad()

    def step(self):
        self.optimizer.step()


class Clipping(Wrapper):
    def step(self):
        nn.utils.clip_grad_norm_(self.module.parameters(), 0.1)
        self.optimizer.step()


class Halving(Wrapper):
    """The rate is halved after every second step. late: after every second but one."""

    late = 0

    def step(self):
        self.optimizer.step()
        self.count += 1
        if self.count > self.late and (self.count - self.late) % 2 == 0:
            self.optimizer.param_groups[0]["lr"] /= 2


class Late(Halving):
    late = 1


class Scaled(Wrapper):
    """A loss times 65,536, and gradients divided again."""

    back = 2.0**-16

    def backward(self, module, batch, loss):
        (loss(module, batch) * 2.0**16).backward()

    def step(self):
        for p in self.module.parameters():
            p.grad *= self.back
        self.optimizer.step()


class NotUnscaled(Scaled):
    back = 1.0


class InHalves(Wrapper):
    """Two micro-batches; their gradients are added up."""

    share = 0.5

    def backward(self, module, batch, loss):
        for part in zip(*(t.chunk(2) for t in batch), strict=True):
            (self.share * loss(module, part)).backward()


class Summed(InHalves):
    share = 1.0


class LateCorrection(torch.optim.Adam):
    """Adam that counts its second step as the first."""

    counted = 0

    def step(self):
        super().step()
        self.counted += 1
        for state in self.state.values() if self.counted == 1 else ():
            state["step"] -= 1


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW


def weights_alone(module):
    of = {True: [p for p in module.parameters() if p.ndim > 1], False: [p for p in module.parameters() if p.ndim < 2]}
    return [{"params": of[True], "weight_decay": 0.3}, {"params": of[False], "weight_decay": 0.0}]


MOMENTUM = {"lr": 0.05, "momentum": 0.9}
SLIPS = {
    "decay": (made(ADAMW, lr=0.01, weight_decay=0.0), made(ADAMW, lr=0.01, weight_decay=0.3), "there is none"),
    "decay: biases": (
        made(SGD, grouped=weights_alone, lr=0.05),
        made(SGD, lr=0.05, weight_decay=0.3),
        "biases do not decay",
    ),
    "decay: form": (made(ADAM, lr=0.01, weight_decay=0.3), made(ADAMW, lr=0.01, weight_decay=0.3), "decoupled"),
    "momentum": (made(SGD, lr=0.05), made(SGD, **MOMENTUM), "there is none"),
    "momentum: look-ahead": (made(SGD, **MOMENTUM, nesterov=True), made(SGD, **MOMENTUM), "Nesterov"),
    "bias correction": (made(LateCorrection, lr=0.01), made(ADAM, lr=0.01), "one step late"),
    "clipping": (made(SGD, lr=0.05), made(SGD, Clipping, lr=0.05), "scaled by 1 before the step"),
    "clipping: not due": (made(ADAM, Clipping, lr=0.01), made(ADAM, lr=0.01), "the truth's by 1"),
    "learning rate": (made(SGD, lr=0.1), made(SGD, lr=0.05), "2 times"),
    "schedule": (made(SGD, Late, lr=0.05), made(SGD, Halving, lr=0.05), "one step late"),
    "schedule: never": (made(SGD, Wrapper, lr=0.05), made(SGD, Halving, lr=0.05), "one step late"),
    "loss scaling": (made(SGD, NotUnscaled, lr=0.05), made(SGD, lr=0.05), "not divided by 6.554e+04 again"),
    "accumulation": (made(SGD, Summed, lr=0.05), made(SGD, lr=0.05), "summed where their mean is due"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_named_by_its_term(slip, beside):
    candidate, truth, words = SLIPS[slip]
    found = beside(candidate, truth)
    assert found.term == slip.partition(":")[0], found
    assert words in found.cause


@pytest.mark.parametrize(
    ("wrapper", "other"), [(Clipping, Clipping), (Halving, Halving), (Scaled, Wrapper), (InHalves, Wrapper)]
)
def test_what_is_right_stays_together(wrapper, other, beside):
    assert beside(made(SGD, wrapper, **MOMENTUM), made(SGD, other, **MOMENTUM)).passed


class Averaged(nn.Module):
    """A net and the running average of its weights."""

    def __init__(self, net, share):
        super().__init__()
        self.net, self.average, self.share = net(), net().requires_grad_(False), share

    def forward(self, x):
        return self.net(x)


class Averaging(Wrapper):
    def step(self):
        self.optimizer.step()
        for kept, now in zip(self.module.average.parameters(), self.module.net.parameters(), strict=True):
            kept.data.lerp_(now.data, self.module.share)


def averaged(share):
    def make(net):
        module = Averaged(net, share)
        return module, Averaging(module, SGD(module.net.parameters(), lr=0.05))

    return lambda net: lambda: make(net)


def test_weights_that_are_averaged_otherwise(beside):
    assert beside(averaged(0.1), averaged(0.1)).passed
    found = beside(averaged(0.2), averaged(0.1))
    assert (found.term, found.step, found.parameter) == ("weight averaging", 1, "average.0.weight")


def test_what_nothing_explains_is_an_update(beside):
    class Odd(SGD):
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data -= 0.05 * p.grad.sign()

    found = beside(made(Odd, lr=0.05), made(SGD, lr=0.05))
    assert (found.term, found.cause) == ("update", "")


def test_a_common_factor_is_found_and_nothing_else_is_one():
    due = {"w": torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)}
    assert common_factor({"w": 3 * due["w"]}, due, 0.0) == pytest.approx(3)
    assert common_factor({"w": due["w"].flip(0)}, due, 0.0) == 1.0
    assert factor_term(4.0)[0] == factor_term(0.25)[0] == "accumulation"
    assert factor_term(2.0**16)[0] == "loss scaling"
    assert factor_term(1.37)[0] == "gradient"
