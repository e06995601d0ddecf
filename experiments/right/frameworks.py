"""NumPy in, NumPy out, and a framework in between: torch's autograd, or JAX's where it is installed."""

from importlib.util import find_spec

import numpy as np
import torch
from torch.nn import functional as F

from .dense import pairs


def _by_autograd(function):
    """A forward and a backward function of what torch differentiates."""

    def forward(*arrays, **options):
        tensors = [torch.tensor(a.copy(), requires_grad=True) for a in arrays]
        out = function(*tensors, **options)
        return out.detach().numpy(), (tensors, out)

    def backward(dout, cache):
        tensors, out = cache
        grads = torch.autograd.grad(out, tensors, torch.tensor(dout.copy()), retain_graph=True)
        found = tuple(grad.numpy() for grad in grads)
        return found if len(found) > 1 else found[0]

    return forward, backward


def _by_vjp(made):
    """The same of what JAX differentiates, in the dtype that comes in. made: makes it of jax.numpy."""

    def forward(*arrays, **options):
        import jax

        with jax.enable_x64(True):
            out, pull = jax.vjp(lambda *a: made(jax.numpy)(*a, **options), *arrays)
        return np.array(out), pull

    def backward(dout, pull):
        import jax

        with jax.enable_x64(True):
            found = tuple(np.array(grad) for grad in pull(dout))
        return found if len(found) > 1 else found[0]

    return forward, backward


def _unfolded(x, w, b, *, stride=1, pad=0):
    """A convolution as one product of matrices."""
    col = F.unfold(x, w.shape[2:], padding=pad, stride=stride)
    out = torch.einsum("fk,nkp->nfp", w.flatten(1), col) + b[:, None]
    rows = 1 + (x.shape[2] + 2 * pad - w.shape[2]) // stride
    return out.unflatten(2, (rows, out.shape[2] // rows))


def _normal(x, axes, eps):
    centred = x - x.mean(axes, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(axes, keepdim=True) + eps)


def _torch_loss(x, y):
    scores = torch.tensor(x.copy(), requires_grad=True)
    loss = torch.logsumexp(scores, 1).mean() - scores.gather(1, torch.tensor(y.copy()).long()[:, None]).mean()
    loss.backward()
    return loss.item(), scores.grad.numpy()


class Relu(torch.autograd.Function):
    """A gradient of one's own within torch."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, dout):
        (x,) = ctx.saved_tensors
        return dout.masked_fill(x <= 0, 0)


def _jax_affine(jnp):
    return lambda x, w, b: jnp.reshape(x, (len(x), w.shape[0])) @ w + b


def _jax_batchnorm(jnp):
    return lambda x, gamma, beta, *, eps=1e-5: gamma * (x - x.mean(0)) / jnp.sqrt(x.var(0) + eps) + beta


def _jax_loss(x, y):
    import jax

    with jax.enable_x64(True):
        rows = jax.numpy.arange(len(y))
        loss, dx = jax.value_and_grad(lambda x: -jax.nn.log_softmax(x)[rows, y].mean())(jax.numpy.asarray(x))
    return float(loss), np.array(dx)


IN_JAX = {
    **pairs("affine", {"JAX": _by_vjp(_jax_affine)}),
    **pairs("tanh", {"JAX": _by_vjp(lambda jnp: jnp.tanh)}),
    **pairs("batchnorm", {"JAX": _by_vjp(_jax_batchnorm)}),
    ("softmax_loss", "JAX"): {"softmax_loss": _jax_loss},
}

STYLES = {
    **pairs("affine", {"torch": _by_autograd(lambda x, w, b: F.linear(x.flatten(1), w.T, b))}),
    **pairs("relu", {"a Function of torch": _by_autograd(Relu.apply)}),
    **pairs("sigmoid", {"torch": _by_autograd(torch.sigmoid)}),
    **pairs("conv", {"torch, unfolded": _by_autograd(_unfolded)}),
    **pairs(
        "layernorm",
        {"torch": _by_autograd(lambda x, gamma, beta, *, eps=1e-5: _normal(x, (1,), eps) * gamma + beta)},
    ),
    **pairs(
        "batchnorm",
        {"torch": _by_autograd(lambda x, gamma, beta, *, eps=1e-5: _normal(x, (0,), eps) * gamma + beta)},
    ),
    ("softmax_loss", "torch"): {"softmax_loss": _torch_loss},
    **(IN_JAX if find_spec("jax") else {}),
}
