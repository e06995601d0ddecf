"""Forward of the one, backward of the other."""

import torch

from scratchproof.table.slips.making import backward_only, forward_only, instead


def both(expression, x):
    x = x.clone().requires_grad_()
    out = expression(x)
    (grad,) = torch.autograd.grad(out.sum(), x)
    return out.detach(), grad


def test_the_value_of_one_and_the_gradient_of_the_other():
    x = torch.tensor([-1.0, 2.0])
    for mixed in (forward_only(torch.abs, torch.square), backward_only(torch.abs, torch.square)):
        out, grad = both(mixed, x)
        assert torch.equal(out, x.abs())
        assert torch.equal(grad, 2 * x)


def test_a_gradient_put_instead_replaces_that_input_s_alone():
    x, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 4.0], requires_grad=True)
    out = instead(lambda x, w: x * w, {1: lambda dout, x, w: 7 * dout})(x, w)
    dx, dw = torch.autograd.grad(out, (x, w), torch.tensor([1.0, -1.0]))
    assert torch.equal(out, x * w)
    assert torch.equal(dx, torch.tensor([3.0, -4.0]))
    assert torch.equal(dw, torch.tensor([7.0, -7.0]))
