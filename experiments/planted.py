"""Bugs to plant at a random place of a torch model: what porting and tuning get wrong, one line of code each.

A plant takes a model of its own and a generator, spoils one place and returns its path. The class of the module is
changed, not the instance: a copy of the model stays spoilt.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Plant = Callable[[nn.Module, np.random.Generator], str | None]


def _pick(model: nn.Module, rng: np.random.Generator, wanted: Callable[[Any], bool]) -> tuple[str, Any]:
    found = [(path, module) for path, module in model.named_modules() if wanted(module)]
    return found[int(rng.integers(len(found)))] if found else ("", None)


def _kind(*kinds: type[nn.Module]) -> Callable[[Any], bool]:
    return lambda module: type(module) in kinds  # a subclass may never be called: attention only reads its out_proj


def _forward(module: nn.Module, forward: Callable[..., Any]) -> None:
    """Give this module, and copies of it, another forward; it is called with the module and the right forward."""
    kind = type(module)

    def spoilt(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return forward(self, lambda *a, **k: kind.forward(self, *a, **k), *args, **kwargs)

    module.__class__ = type(kind.__name__, (kind,), {"forward": spoilt})


def attribute(
    kind: type[nn.Module], name: str, spoil: Callable[[Any], Any], wanted: Callable[[Any], bool] = lambda module: True
) -> Plant:
    """A plant that gives one module of a kind, if it is wanted, another value of one attribute."""

    def changes(module: Any) -> bool:
        return isinstance(module, kind) and wanted(module) and spoil(getattr(module, name)) != getattr(module, name)

    def plant(model: nn.Module, rng: np.random.Generator) -> str | None:
        path, module = _pick(model, rng, changes)
        if module is None:
            return None
        setattr(module, name, spoil(getattr(module, name)))
        return path

    return plant


def replaced(wanted: Callable[[Any], bool], forward: Callable[..., Any]) -> Plant:
    """A plant that gives one wanted module another forward pass."""

    def plant(model: nn.Module, rng: np.random.Generator) -> str | None:
        path, module = _pick(model, rng, wanted)
        if module is None:
            return None
        _forward(module, forward)
        return path

    return plant


def _shifted(self: nn.Conv2d, right: Any, x: torch.Tensor) -> torch.Tensor:
    vertical = int(self.padding[0])
    x = F.pad(x, (2 * vertical, 0, 2 * vertical, 0))
    return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _replicated(self: nn.Conv2d, right: Any, x: torch.Tensor) -> torch.Tensor:
    vertical, horizontal = (int(side) for side in self.padding)
    x = F.pad(x, (horizontal, horizontal, vertical, vertical), mode="replicate")
    return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _transposed(self: nn.Conv2d, right: Any, x: torch.Tensor) -> torch.Tensor:
    weight = self.weight.transpose(2, 3)
    return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def _strided(self: nn.Conv2d, right: Any, x: torch.Tensor) -> torch.Tensor:
    """Stride done by picking the wrong rows: one off."""
    out = F.conv2d(x, self.weight, self.bias, 1, self.padding, self.dilation, self.groups)
    (step, _) = self.stride
    return out[:, :, step - 1 :: step, step - 1 :: step]


def _scaled_attention(self: nn.Module, right: Any, q: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    return right(1.05 * q, *args, **kwargs)


def _causal(self: Any, right: Any, q: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    length = q.shape[1] if self.batch_first else q.shape[0]
    mask = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
    return right(q, *args, **{**kwargs, "attn_mask": mask})


def _no_bias(self: Any, right: Any, x: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = right(x)
    lost: torch.Tensor = self.bias.view(-1, 1, 1) if self.weight.ndim == 4 else self.bias
    return out - lost


def _with(module: Any, weight: torch.Tensor, right: Any, *args: Any, name: str = "weight", **kwargs: Any) -> Any:
    """The module's own forward pass with another tensor in place of one of its parameters."""
    own = module._parameters[name]
    module._parameters[name] = weight
    try:
        return right(*args, **kwargs)
    finally:
        module._parameters[name] = own


def _heads_turned(self: Any, right: Any, q: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Each head of the queries meets the keys of the next."""
    of_q, rest = self.in_proj_weight.split([self.embed_dim, 2 * self.embed_dim])
    turned = torch.cat([of_q.roll(self.head_dim, 0), rest])
    return _with(self, turned, right, q, *args, name="in_proj_weight", **kwargs)


def _queries_transposed(self: Any, right: Any, q: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    of_q, rest = self.in_proj_weight.split([self.embed_dim, 2 * self.embed_dim])
    return _with(self, torch.cat([of_q.T, rest]), right, q, *args, name="in_proj_weight", **kwargs)


def _unbiased(self: Any, right: Any, x: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(-len(self.normalized_shape), 0))
    spread = (x.var(axes, keepdim=True) + self.eps).sqrt()
    normed: torch.Tensor = (x - x.mean(axes, keepdim=True)) / spread * self.weight + self.bias
    return normed


def exchanged(model: nn.Module, rng: np.random.Generator) -> str | None:
    """Two layers of one kind and shape each compute with the other's weights; the path is the first's."""
    by_shape: dict[Any, list[tuple[str, Any]]] = {}
    for path, module in model.named_modules():
        if type(module) in (nn.Linear, nn.Conv2d):
            by_shape.setdefault((type(module), module.weight.shape), []).append((path, module))
    alike = [found for found in by_shape.values() if len(found) > 1]
    if not alike:
        return None
    found = alike[int(rng.integers(len(alike)))]
    one, other = sorted(rng.choice(len(found), 2, replace=False))
    for (_, module), (_, twin) in ((found[one], found[other]), (found[other], found[one])):
        module.twin = [twin]  # in a list: it is no child
        _forward(module, lambda self, right, x: _with(self, self.twin[0].weight, right, x))
    return str(found[one][0])


def _of_basic_block(self: Any, factor: float, x: torch.Tensor) -> Any:
    out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
    return self.relu(out + factor * (x if self.downsample is None else self.downsample(x)))


def _of_inverted(self: Any, factor: float, x: torch.Tensor) -> Any:
    out = self.block(x)
    out += factor * x
    return out


def _of_vit_block(self: Any, factor: float, x: torch.Tensor) -> Any:
    normed = self.ln_1(x)
    attended = self.dropout(self.self_attention(normed, normed, normed, need_weights=False)[0]) + factor * x
    return attended + self.mlp(self.ln_2(attended))


def _of_encoder_layer(self: Any, factor: float, x: torch.Tensor, *_: Any, **__: Any) -> Any:
    x = self.norm1(factor * x + self._sa_block(x, None, None))
    return self.norm2(x + self._ff_block(x))


# A residual block is told by what it has; each with its forward pass, the residual times a factor.
RESIDUAL: dict[tuple[str, ...], Callable[..., Any]] = {
    ("conv1", "bn1", "relu", "conv2", "bn2", "downsample"): _of_basic_block,
    ("block", "use_res_connect"): _of_inverted,
    ("ln_1", "self_attention", "ln_2", "mlp"): _of_vit_block,
    ("norm1", "norm2", "_sa_block", "_ff_block"): _of_encoder_layer,
}


def _residual_of(module: Any) -> Callable[..., Any] | None:
    if not getattr(module, "use_res_connect", True):
        return None
    return next((form for names, form in RESIDUAL.items() if all(hasattr(module, n) for n in names)), None)


def _residual(factor: float) -> Plant:
    def forward(self: Any, right: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        form = _residual_of(self)
        assert form is not None
        return form(self, factor, x, *args, **kwargs)

    return replaced(lambda module: _residual_of(module) is not None, forward)


def _biased(module: Any) -> bool:
    # Not attention's out_proj, a subclass that is never called: attention takes its parameters.
    return type(module) in (nn.Linear, nn.Conv2d) and module.bias is not None and bool(module.bias.any())


# Plants and what they say of themselves; a model without a place for one is passed over.
PLANTS: dict[str, Plant] = {
    "batch norm, eps": attribute(nn.BatchNorm2d, "eps", lambda eps: 10 * eps),
    "batch norm, momentum": attribute(nn.BatchNorm2d, "momentum", lambda m: 1 - m, lambda module: module.training),
    "batch norm, mode": attribute(nn.BatchNorm2d, "training", lambda mode: not mode),
    "layer norm, eps": attribute(nn.LayerNorm, "eps", lambda eps: 10 * eps),
    "layer norm, unbiased variance": replaced(_kind(nn.LayerNorm), _unbiased),
    "convolution, padding at one side": replaced(
        lambda m: isinstance(m, nn.Conv2d) and m.padding[0] != 0 and m.padding[0] == m.padding[1], _shifted
    ),
    "convolution, kernel transposed": replaced(
        lambda m: isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1 and m.kernel_size[0] == m.kernel_size[1],
        _transposed,
    ),
    "convolution, kernel flipped": replaced(
        lambda m: isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1,
        lambda self, right, x: _with(self, self.weight.flip(2, 3), right, x),
    ),
    "convolution, stride one off": replaced(
        lambda m: isinstance(m, nn.Conv2d) and m.stride[0] == 2 and m.kernel_size[0] > 1, _strided
    ),
    "convolution, padding mode": replaced(lambda m: isinstance(m, nn.Conv2d) and m.padding[0] != 0, _replicated),
    "bias left out": replaced(_biased, _no_bias),
    "GELU's tanh form": attribute(nn.GELU, "approximate", lambda form: "tanh"),
    "Hardswish for SiLU": replaced(_kind(nn.Hardswish), lambda self, right, x: F.silu(x)),
    "leaky ReLU": replaced(_kind(nn.ReLU), lambda self, right, x: F.leaky_relu(x, 1e-3)),
    "attention, scale": replaced(_kind(nn.MultiheadAttention), _scaled_attention),
    "attention, mask": replaced(_kind(nn.MultiheadAttention), _causal),
    "attention, heads": attribute(nn.MultiheadAttention, "num_heads", lambda n: 1),
    "attention, head order": replaced(_kind(nn.MultiheadAttention), _heads_turned),
    "attention, queries' weight transposed": replaced(_kind(nn.MultiheadAttention), _queries_transposed),
    "weights of two layers exchanged": exchanged,
    "residual left out": _residual(0.0),
    "residual doubled": _residual(2.0),
    "dropout always on": replaced(_kind(nn.Dropout), lambda self, right, x: F.dropout(x, 0.3, True)),
    "dropout, active in eval": attribute(nn.Dropout, "training", lambda mode: True, lambda module: module.p > 0),
    "convolution, channels transposed": replaced(
        lambda m: isinstance(m, nn.Conv2d) and m.weight.shape[0] == m.weight.shape[1] > 1,
        lambda self, right, x: _with(self, self.weight.transpose(0, 1), right, x),
    ),
    "gradient cut": replaced(
        _kind(nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm), lambda self, right, x: right(x.detach())
    ),
    "gradient halved": replaced(
        _kind(nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm),
        lambda self, right, x: right(0.5 * x + 0.5 * x.detach()),
    ),
    "pooling, mean for maximum": replaced(
        _kind(nn.MaxPool2d), lambda self, right, x: F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
    ),
    "weight rounded to bfloat16": replaced(
        _kind(nn.Linear), lambda self, right, x: F.linear(x, self.weight.bfloat16().to(x.dtype), self.bias)
    ),
}
