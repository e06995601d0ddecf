"""Operations taken apart, so that the sums and cancellations inside them are disturbed too.

Rules of our own stand first: where torch has none, where it takes the operation apart in another way than its kernels
compute it, and for the operations of the everyday layers, because importing torch's takes a second. Then come torch's
decompositions, the core table and the full one.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from scratchproof.oracle.operations import name_of

Rule = Callable[..., Any]


def rule_for(func: Any) -> Rule | None:
    """How to compute an operation from others, or None where nobody says."""
    return RULES.get(name_of(func)) or _torch_rules().get(func)


@cache
def _torch_rules() -> dict[Any, Rule]:
    # Read when first needed: the tables are large, and the operations of most layers are in our own lists.
    from torch._decomp import core_aten_decompositions, decomposition_table

    return {**decomposition_table, **core_aten_decompositions()}


def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    if x.numel() == 0:
        return x.clone()
    shifted = x - x.amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


def _softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    if x.numel() == 0:
        return x.clone()
    exponentials = (x - x.amax(dim, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim, keepdim=True)


def _mean(x: Tensor, dim: list[int] | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    total = x.sum(dim, keepdim=keepdim, dtype=dtype)
    return total / max(1, x.numel() // max(1, total.numel()))


def _variance(x: Tensor, dim: list[int] | None = None, correction: float | None = 1, keepdim: bool = False) -> Tensor:
    centred = x - x.mean(dim, keepdim=True)
    squares = (centred * centred).sum(dim, keepdim=keepdim)
    count = x.numel() // max(1, squares.numel())
    return squares / max(0, count - (1 if correction is None else correction))


def _variance_and_mean(
    x: Tensor, dim: list[int] | None = None, correction: float | None = 1, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    return _variance(x, dim, correction, keepdim), x.mean(dim, keepdim=keepdim)


def _logcumsumexp(x: Tensor, dim: int) -> Tensor:
    if x.ndim == 0 or x.shape[dim] == 0:
        return x.clone()
    columns = list(x.unbind(dim))
    for i in range(1, len(columns)):
        columns[i] = torch.logaddexp(columns[i - 1], columns[i])
    return torch.stack(columns, dim)


def _distances(a: Tensor, b: Tensor, p: float, mode: int | None = None) -> Tensor:
    apart = (a.unsqueeze(-2) - b.unsqueeze(-3)).abs()
    if p == 0:
        return (apart != 0).to(a.dtype).sum(-1)
    if p == math.inf:
        return apart.amax(-1) if a.shape[-1] else apart.sum(-1)
    return (apart * apart).sum(-1).sqrt() if p == 2 else apart.pow(p).sum(-1).pow(1 / p)


def _distances_backward(dout: Tensor, a: Tensor, b: Tensor, p: float, distances: Tensor) -> Tensor:
    difference, far, dout = a.unsqueeze(-2) - b.unsqueeze(-3), distances.unsqueeze(-1), dout.unsqueeze(-1)
    if p == math.inf:
        slope = torch.where(difference.abs() == far, difference.sign(), 0.0)
    elif p == 0:
        slope = torch.zeros_like(difference)
    else:
        slope = torch.where(far == 0, 0.0, difference.sign() * (difference.abs() / far).pow(p - 1))
    return (dout * slope).sum(-2)


def _layer_norm_backward(
    dout: Tensor, x: Tensor, shape: list[int], mean: Tensor, rstd: Tensor, w: Tensor | None, b: Tensor | None, mask: Any
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of the scale and the shift are added up in memory, row by row."""
    rule = _torch_rules()[torch.ops.aten.native_layer_norm_backward.default]
    dx, dw, db = rule(dout, x, shape, mean, rstd, w, b, [mask[0], False, False])
    mean, rstd = (v.reshape(*v.shape, *[1] * (x.ndim - v.ndim)) for v in (mean, rstd))
    if mask[1] and w is not None:
        dw = _row_by_row(dout * ((x - mean) * rstd), w)
    if mask[2] and b is not None:
        db = _row_by_row(dout, b)
    return dx, dw, db


def _row_by_row(rows: Tensor, like: Tensor) -> Tensor:
    rows = rows.reshape(-1, like.numel())
    first = torch.zeros(rows.shape[0], dtype=torch.long, device=rows.device)
    return rows.new_zeros(1, like.numel()).index_add(0, first, rows).reshape(like.shape)


def _pair_distances(x: Tensor, p: float = 2.0) -> Tensor:
    i, j = torch.triu_indices(len(x), len(x), 1, device=x.device)
    return _distances(x[i, None], x[j, None], p)[:, 0, 0]


def _pair_distances_backward(dout: Tensor, x: Tensor, p: float, distances: Tensor) -> Tensor:
    i, j = torch.triu_indices(len(x), len(x), 1, device=x.device)
    dx = _distances_backward(dout[:, None, None], x[i, None], x[j, None], p, distances[:, None, None])[:, 0]
    return torch.zeros_like(x).index_add(0, i, dx).index_add(0, j, -dx)


def _trilinear(
    a: Tensor,
    b: Tensor,
    c: Tensor,
    of_a: list[int],
    of_b: list[int],
    of_c: list[int],
    summed: list[int],
    unroll: int = 1,
) -> Tensor:
    for axes in ((0, of_a), (1, of_b), (2, of_c)):
        for axis in sorted(axes[1]):
            a, b, c = (v.unsqueeze(axis) if i == axes[0] else v for i, v in enumerate((a, b, c)))
    return (a * b * c).sum(summed) if summed else a * b * c


def _recurrence(first: Rule, following: Rule, *, shifted: bool = False) -> Rule:
    """Orthogonal polynomials: p_0 = 1, p_1 = first(x), p_(k+1) = following(x, k, p_k, p_(k-1))."""

    def polynomial(x: Any, n: Any) -> Tensor:
        x, n = (v if isinstance(v, Tensor) else torch.tensor(float(v), dtype=torch.float64) for v in (x, n))
        shape = (x > n).shape
        x, n = (2 * x - 1 if shifted else x).expand(shape), n.trunc().expand(shape)
        before, now = torch.ones_like(x), first(x)
        out = torch.where(n == 0, before, torch.where(n == 1, now, 0.0))
        for k in range(1, int(n.max()) if n.numel() else 0):
            before, now = now, following(x, k, now, before)
            out = torch.where(n == k + 1, now, out)
        return out

    return polynomial


def _twice(x: Tensor, k: int, now: Tensor, before: Tensor) -> Tensor:
    return 2 * x * now - before


_FIRST: dict[str, Rule] = {
    "t": lambda x: x,
    "u": lambda x: 2 * x,
    "v": lambda x: 2 * x - 1,
    "w": lambda x: 2 * x + 1,
}


def _torchs(name: str, *args: Any) -> Any:
    """Torch's own rule, for options that are rare."""
    return _torch_rules()[getattr(torch.ops.aten, name).default](*args)


MEAN, SUM = 1, 2  # torch's numbers for reductions


def _reduced(loss: Tensor, reduction: int) -> Tensor:
    return loss.mean() if reduction == MEAN else loss.sum() if reduction == SUM else loss


def _log_softmax_backward(dout: Tensor, out: Tensor, dim: int, dtype: Any) -> Tensor:
    return dout - out.exp() * dout.sum(dim, keepdim=True)


def _log_sigmoid(x: Tensor) -> tuple[Tensor, Tensor]:
    small = (-x.abs()).exp()
    return torch.minimum(x.new_zeros(()), x) - torch.log1p(small), small


def _cross_entropy_with_logits(
    x: Tensor, y: Tensor, w: Tensor | None = None, positive: Tensor | None = None, reduction: int = MEAN
) -> Tensor:
    if w is not None or positive is not None:
        return _torchs("binary_cross_entropy_with_logits", x, y, w, positive, reduction)  # type: ignore[no-any-return]
    return _reduced((1 - y) * x - _log_sigmoid(x)[0], reduction)


def _nll_loss(x: Tensor, y: Tensor, w: Tensor | None, reduction: int, ignored: int) -> tuple[Tensor, Tensor]:
    if w is not None or x.ndim != 2 or reduction not in (MEAN, SUM):
        return _torchs("nll_loss_forward", x, y, w, reduction, ignored)  # type: ignore[no-any-return]
    there = y != ignored
    loss = torch.where(there, -x.gather(1, torch.where(there, y, 0)[:, None])[:, 0], 0.0).sum()
    count = there.sum().to(x.dtype)
    return (loss / count if reduction == MEAN else loss), count


def _nll_loss_backward(
    dout: Tensor, x: Tensor, y: Tensor, w: Tensor | None, reduction: int, ignored: int, count: Tensor
) -> Tensor:
    if w is not None or x.ndim != 2 or reduction not in (MEAN, SUM):
        return _torchs("nll_loss_backward", dout, x, y, w, reduction, ignored, count)  # type: ignore[no-any-return]
    dout, there = dout / count if reduction == MEAN else dout, (y != ignored)[:, None]
    return torch.zeros_like(x).scatter(1, torch.where(there, y[:, None], 0), -1.0) * torch.where(there, dout, 0.0)


def _mse_loss_backward(dout: Tensor, x: Tensor, y: Tensor, reduction: int) -> Tensor:
    return (2.0 / x.numel() if reduction == MEAN else 2.0) * (x - y) * dout


def _of_channels(value: Tensor, like: Tensor) -> Tensor:
    return value.reshape(-1, *[1] * (like.ndim - 2))


def _averaged(running: Tensor, value: Tensor, momentum: float) -> None:
    """Torch rounds both shares to the format of the running value, which errs by them as a whole."""
    one = running.new_ones(())
    running.copy_((one * momentum) * value + (one * (1 - momentum)) * running)


def _batch_norm(
    x: Tensor, w: Tensor | None, b: Tensor | None, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    if not training and mean is None:
        return _torchs("native_batch_norm", x, w, b, mean, var, training, momentum, eps)  # type: ignore[no-any-return]
    if training:
        axes = [0, *range(2, x.ndim)]
        of_mean, of_var = x.mean(axes), x.var(axes, correction=0)
        if mean is not None:
            count = x.numel() // max(1, len(of_mean))
            _averaged(mean, of_mean, momentum)
            _averaged(var, of_var * (count / max(1, count - 1)), momentum)
        mean, rstd = of_mean, torch.rsqrt(of_var + eps)
    else:
        rstd = torch.rsqrt(var + eps)
    out = (x - _of_channels(mean, x)) * _of_channels(rstd, x)
    out = out if w is None else out * _of_channels(w, x)
    out = out if b is None else out + _of_channels(b, x)
    none = x.new_zeros(0)
    return (out, mean, rstd) if training else (out, none, none)


def _batch_norm_backward(
    dout: Tensor, x: Tensor, w: Any, of_mean: Any, of_var: Any, mean: Any, rstd: Any, training: bool, eps: float, _: Any
) -> tuple[Tensor, Tensor, Tensor]:
    if not training:
        mean, rstd = of_mean, torch.rsqrt(of_var + eps)
    axes, share = [0, *range(2, x.ndim)], x.shape[1] / x.numel()
    centred = x - _of_channels(mean, x)
    db, along = dout.sum(axes), (dout * centred).sum(axes)
    if training:
        dout = dout - centred * _of_channels(along * share * (rstd * rstd), x) - _of_channels(db * share, x)
    return dout * _of_channels(rstd if w is None else rstd * w, x), along * rstd, db


POLYNOMIALS: dict[str, Rule] = {
    **{f"special_chebyshev_polynomial_{kind}": _recurrence(first, _twice) for kind, first in _FIRST.items()},
    **{
        f"special_shifted_chebyshev_polynomial_{kind}": _recurrence(first, _twice, shifted=True)
        for kind, first in _FIRST.items()
    },
    "special_hermite_polynomial_h": _recurrence(lambda x: 2 * x, lambda x, k, p, q: 2 * x * p - 2 * k * q),
    "special_hermite_polynomial_he": _recurrence(lambda x: x, lambda x, k, p, q: x * p - k * q),
    "special_laguerre_polynomial_l": _recurrence(
        lambda x: 1 - x, lambda x, k, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1)
    ),
    "special_legendre_polynomial_p": _recurrence(
        lambda x: x, lambda x, k, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1)
    ),
}

RULES: dict[str, Rule] = {
    **POLYNOMIALS,
    "_log_softmax_backward_data": _log_softmax_backward,
    "binary_cross_entropy_with_logits": _cross_entropy_with_logits,
    "log_sigmoid": lambda x: _log_sigmoid(x)[0],
    "log_sigmoid_forward": _log_sigmoid,
    "mse_loss": lambda x, y, reduction=MEAN: _reduced((x - y) ** 2, reduction),
    "mse_loss_backward": _mse_loss_backward,
    "native_batch_norm": _batch_norm,
    "native_batch_norm_backward": _batch_norm_backward,
    "nll_loss_backward": _nll_loss_backward,
    "nll_loss_forward": _nll_loss,
    "sigmoid_backward": lambda dout, out: dout * (out * (1 - out)).conj_physical(),
    "tanh_backward": lambda dout, out: dout * (1 - out * out).conj_physical(),
    "_pdist_backward": _pair_distances_backward,
    "_pdist_forward": _pair_distances,
    "_trilinear": _trilinear,
    "_cdist_backward": _distances_backward,
    "_cdist_forward": _distances,
    "_log_softmax": _log_softmax,
    "_softmax": _softmax,
    "mean": _mean,
    "native_layer_norm_backward": _layer_norm_backward,
    "var": _variance,
    "var_mean": _variance_and_mean,  # torch's own goes through prims, which import the compiler: a second and a half
    "logcumsumexp": _logcumsumexp,
    "_logcumsumexp": _logcumsumexp,
}
