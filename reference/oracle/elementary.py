"""The same functions written out in elementary operations, as kernels often are, and differentiated step by step.

One truth stands for one algorithm. Autograd through a softmax that was written out subtracts two numbers where torch's
own gradient does not, and is as right. What either may stray is allowed; see `alternatives` of `tolerances`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Table: TypeAlias = Mapping[Any, Callable[..., Any]]


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


class Elementary(TorchFunctionMode):
    """Within it functions of the table are written out. used: whether any was."""

    def __init__(self, table: Table | None = None) -> None:
        super().__init__()
        self.table = TABLE if table is None else table
        self.used = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        written = self.table.get(func)
        if written is None:
            return func(*args, **(kwargs or {}))
        try:
            out = written(*args, **(kwargs or {}))
        except (TypeError, NotImplementedError):  # an option that is not written out here
            return func(*args, **(kwargs or {}))
        self.used = True
        return out


def _softmax(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    axis = _axis(dim)
    e = (x - x.max(axis, keepdim=True).values).exp()
    return e / e.sum(axis, keepdim=True)


def _log_softmax(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    return x - _logsumexp(x, _axis(dim), keepdim=True)


def _logsumexp(x: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    axis = _axis(dim)
    most = x.max(axis, keepdim=True).values
    out = (x - most).exp().sum(axis, keepdim=True).log() + most
    return out if keepdim else out.squeeze(axis)


def _cross_entropy(x: Tensor, target: Tensor, *options: Any, **more: Any) -> Tensor:
    plain = {"weight": None, "ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}
    if options or target.is_floating_point() or any(plain.get(name) != value for name, value in more.items()):
        raise NotImplementedError
    return -_log_softmax(x, 1).gather(1, target.unsqueeze(1)).mean()


def _normalised(x: Tensor, axes: list[int], eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    deviation = ((centred * centred).mean(axes, keepdim=True) + eps).sqrt()
    return centred / deviation


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    out = _normalised(x, list(range(-len(shape), 0)), eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _group_norm(
    x: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    grouped = x.reshape(x.shape[0], groups, -1)
    return _affine(_normalised(grouped, [-1], eps).reshape(x.shape), weight, bias)


def _batch_norm(
    x: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if training:
        return _affine(_normalised(x, [0, *range(2, x.ndim)], eps), weight, bias)
    assert mean is not None
    assert variance is not None
    return _affine((x - _channels(mean, x)) / (_channels(variance, x) + eps).sqrt(), weight, bias)


def _instance_norm(
    x: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats:
        raise NotImplementedError
    return _affine(_normalised(x, list(range(2, x.ndim)), eps), weight, bias)


def _rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    out = x / ((x * x).mean(list(range(-len(shape), 0)), keepdim=True) + eps).sqrt()
    return out if weight is None else out * weight


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * _channels(weight, x)
    return x if bias is None else x + _channels(bias, x)


def _channels(value: Tensor, x: Tensor) -> Tensor:
    return value.reshape(1, -1, *[1] * (x.ndim - 2))


def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def _elu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    return torch.where(x > 0, x, alpha * torch.expm1(torch.where(x > 0, 0, x)))


def _selu(x: Tensor, inplace: bool = False) -> Tensor:
    return SELU_SCALE * _elu(x, SELU_ALPHA)


def _sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def _silu(x: Tensor, inplace: bool = False) -> Tensor:
    return x / (1 + torch.exp(-x))


def _scores(
    q: Tensor,
    k: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if dropout_p or enable_gqa or (attn_mask is not None and attn_mask.dtype == torch.bool):
        raise NotImplementedError
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        above = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(above, -math.inf)
    return scores if attn_mask is None else scores + attn_mask


def _attention(q: Tensor, k: Tensor, v: Tensor, *options: Any, **more: Any) -> Tensor:
    return _softmax(_scores(q, k, *options, **more), -1) @ v


def _axis(dim: Any) -> int:
    if isinstance(dim, tuple | list) and len(dim) == 1:
        (dim,) = dim
    if not isinstance(dim, int):
        raise NotImplementedError
    return dim


class _Recomputing(torch.autograd.Function):
    """softmax(scores) @ v, whose gradients come of probabilities computed anew from the log of each row's sum.

    exp(score - log) errs by as much as scores are large; exp(score - largest) / sum does not. And what is subtracted
    from dout @ v.T is the row's sum of dout * out, as out was stored: the same number as that of p * (dout @ v.T), but
    other roundings. coarser: by how many times those of what is stored are the larger.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(scores: Tensor, again: Tensor, v: Tensor, coarser: float) -> Tensor:
        return _softmax(scores, -1) @ v

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        *saved, ctx.coarser = inputs
        ctx.save_for_backward(*saved, output)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> Any:
        scores, again, v, out = ctx.saved_tensors
        out = out + ctx.coarser * (1.0 * out - out)  # what is disturbed in multiplying by 1, so many times
        p = (again - _logsumexp(scores, -1, keepdim=True)).exp()
        dscores = p * (dout @ v.transpose(-1, -2) - (dout * out).sum(-1, keepdim=True))
        return dscores, None, (p.transpose(-1, -2) @ dout).sum_to_size(v.shape), None


TABLE: Table = {
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), _softmax),
    **dict.fromkeys((F.log_softmax, torch.log_softmax, Tensor.log_softmax), _log_softmax),
    **dict.fromkeys((torch.logsumexp, Tensor.logsumexp), _logsumexp),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, Tensor.sigmoid), _sigmoid),
    F.cross_entropy: _cross_entropy,
    F.layer_norm: _layer_norm,
    F.group_norm: _group_norm,
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.rms_norm: _rms_norm,
    F.gelu: _gelu,
    F.silu: _silu,
    F.elu: _elu,
    **dict.fromkeys((F.selu, torch.selu), _selu),
    F.scaled_dot_product_attention: _attention,
}


def fused(coarser: float = 1.0) -> Table:
    """As fused kernels compute: they keep little of the forward pass, and all of it in their accumulator's precision.

    coarser: how many times as large a rounding of the results is when they are stored.
    """

    def attention(q: Tensor, k: Tensor, v: Tensor, *options: Any, **more: Any) -> Tensor:
        scores, again = (_scores(q, k, *options, **more) for _ in range(2))
        out: Tensor = _Recomputing.apply(scores, again.detach(), v, coarser)
        return out

    return {F.scaled_dot_product_attention: attention}
