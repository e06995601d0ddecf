"""What is asked of a candidate beside fresh inputs: memory written over in part, parameters as after a step, zeros."""

import pytest
import torch
from torch import nn

from scratchproof import judge


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(9, 9))

    def forward(self, x):
        return torch.tanh(x @ self.weight)


class ByItsFirstNumber(Layer):
    kept = None

    def forward(self, x):
        out = super().forward(x)
        key = x[0, 0].item()
        if self.kept is None or self.kept[0] != key or self.kept[1].shape != out.shape:
            self.__dict__["kept"] = key, out.detach().clone()
        return out + (self.kept[1] - out).detach()


class OldWeights(Layer):
    def forward(self, x):
        first = self.__dict__.setdefault("first", self.weight.detach().clone())
        return torch.tanh(x @ (self.weight + (first - self.weight).detach()))


class AnotherShape(Layer):
    def forward(self, x):
        return super().forward(x)[None]


@pytest.mark.parametrize(
    ("candidate", "kind"),
    [(ByItsFirstNumber, "stale output"), (OldWeights, "stale output"), (AnotherShape, "wrong shape")],
)
def test_it_is_called_by_its_name(candidate, kind):
    found = judge(candidate, Layer, inputs=lambda: [torch.randn(6, 9)], seed=0)
    assert kind in found.kinds
    assert judge(Layer, Layer, inputs=lambda: [torch.randn(6, 9)], seed=0).passed


class Yesterdays(nn.Module):
    last = None

    def forward(self, x):
        out = x.square().mean()
        found = out if self.last is None else self.last
        self.__dict__["last"] = out.detach()
        return out + (found - out).detach()


def test_a_single_number_of_yesterday_is_stale_too():
    found = judge(Yesterdays, lambda x: x.square().mean(), inputs=lambda: [torch.randn(6, 9)], seed=0)
    assert "stale output" in found.kinds


def test_old_weights_are_nobodys_mistake_where_no_gradients_are_asked_for():
    assert judge(OldWeights, Layer, inputs=lambda: [torch.randn(6, 9)], seed=0, grad=False).passed


def triangular():
    return [torch.tril(torch.randn(7, 7)), torch.randn(7, 5)]


def row_by_row(a, b):
    return torch.stack([a[i, : i + 1] @ b[: i + 1] for i in range(len(a))])


def without_the_diagonal(a, b):
    return torch.tril(a, -1) @ b


def test_the_gradient_of_what_is_always_zero_is_nobodys():
    assert judge(row_by_row, torch.matmul, inputs=triangular, seed=0).passed
    assert not judge(row_by_row, torch.matmul, inputs=lambda: [torch.randn(7, 7), torch.randn(7, 5)], seed=0).passed
    assert not judge(without_the_diagonal, torch.matmul, inputs=triangular, seed=0).passed


@pytest.mark.parametrize(
    ("candidate", "kind"),
    [(lambda x: 1.001 * torch.tanh(x), "wrong factor"), (lambda x: torch.tanh(x) + 1e-3, "wrong term")],
)
def test_one_number_that_explains_everything_is_told(candidate, kind):
    assert kind in judge(candidate, torch.tanh, inputs=lambda: [torch.randn(6, 9)], seed=0).kinds


@pytest.mark.parametrize("least", [0.0, -1.0])
def test_a_largest_that_is_never_small_is_seen(least):
    def largest(x):
        return x.max(1).values

    found = judge(lambda x: largest(x).clamp_min(least), largest, inputs=lambda: [torch.randn(5, 41)], seed=0)
    assert not found.passed


def kept(key):
    """A layer that gives the answer of the first call of this key again."""

    class Kept(Layer):
        def forward(self, x):
            out = super().forward(x)
            found = self.__dict__.setdefault("kept", {}).setdefault(key(x), out.detach().clone())
            return out + (found - out).detach()

    return Kept


class NearEnough(Layer):
    def forward(self, x):
        out = super().forward(x)
        last = self.__dict__.get("last")
        if last is not None and last[0].shape == x.shape and torch.allclose(last[0], x, rtol=1e-2):
            return out + (last[1] - out).detach()
        self.__dict__["last"] = x.detach().clone(), out.detach()
        return out


class Pruned(Layer):
    def forward(self, x):
        small = self.weight.detach().abs().max() < 0.1
        return torch.tanh(x @ self.weight) * (0 if small else 1)


class Pulled(torch.autograd.Function):
    """The identity, with what `change` makes of the cotangent."""

    @staticmethod
    def forward(ctx, x, change):
        ctx.change = change
        return x.clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx, dout):
        return ctx.change(dout), None


def pulled(change):
    class New(Layer):
        def forward(self, x):
            return Pulled.apply(super().forward(x), change)

    return New


def as_it_lies(dout):
    """Its memory read from the start, as if nothing lay between the elements."""
    memory = torch.empty(0, dtype=dout.dtype).set_(dout.untyped_storage())
    return memory[: dout.numel()].view(dout.shape).clone()


@pytest.mark.parametrize(
    ("candidate", "kind"),
    [
        (kept(lambda x: (x.data_ptr(), x._version, x.shape)), "changes with calls"),
        (NearEnough, "stale output"),
        (Pruned, "fits one distribution"),
        (pulled(lambda dout: dout.clamp(-8, 8)), "wrong gradient"),
        (pulled(as_it_lies), "assumes contiguous inputs"),
    ],
)
def test_what_is_right_on_most_calls_only_is_seen(candidate, kind):
    found = judge(candidate, Layer, inputs=lambda: [torch.randn(6, 9)], seed=0)
    assert kind in found.kinds, found


class Normal(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(9)

    def forward(self, x):
        return self.norm(x)


def by_hand(update):
    class New(Normal):
        def forward(self, x):
            with torch.no_grad():
                update(self.norm.running_mean, x.mean(0))
                update(self.norm.running_var, x.var(0))
            centred = x - x.mean(0)
            return centred * torch.rsqrt(centred.square().mean(0) + 1e-5) * self.norm.weight + self.norm.bias

    return New


def test_running_statistics_are_compared_where_they_are_kept():
    found = judge(by_hand(lambda old, new: old.lerp_(new, 0.9)), Normal, inputs=lambda: [torch.randn(6, 9)], seed=0)
    assert found.kinds == ("running statistics",)
    assert found.score == 0.0
