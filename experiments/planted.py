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


def attribute(kind: type[nn.Module], name: str, spoil: Callable[[Any], Any]) -> Plant:
    """A plant that gives one module of a kind another value of one attribute."""

    def plant(model: nn.Module, rng: np.random.Generator) -> str | None:
        path, module = _pick(model, rng, lambda m: isinstance(m, kind) and spoil(getattr(m, name)) != getattr(m, name))
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


def _residual(factor: float) -> Callable[..., Any]:
    def forward(self: Any, right: Any, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + factor * (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]

    return forward


def _is_residual(module: Any) -> bool:
    return all(hasattr(module, name) for name in ("conv1", "bn1", "relu", "conv2", "bn2", "downsample"))


def _biased(module: Any) -> bool:
    # Not attention's out_proj, a subclass that is never called: attention takes its parameters.
    return type(module) in (nn.Linear, nn.Conv2d) and module.bias is not None and bool(module.bias.any())


# Plants and what they say of themselves; a model without a place for one is passed over.
PLANTS: dict[str, Plant] = {
    "batch norm, eps": attribute(nn.BatchNorm2d, "eps", lambda eps: 10 * eps),
    "batch norm, momentum": attribute(nn.BatchNorm2d, "momentum", lambda m: 1 - m),
    "batch norm, mode": attribute(nn.BatchNorm2d, "training", lambda mode: False),
    "layer norm, eps": attribute(nn.LayerNorm, "eps", lambda eps: 10 * eps),
    "convolution, padding at one side": replaced(
        lambda m: isinstance(m, nn.Conv2d) and m.padding[0] != 0 and m.padding[0] == m.padding[1], _shifted
    ),
    "convolution, kernel transposed": replaced(
        lambda m: isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1 and m.kernel_size[0] == m.kernel_size[1],
        _transposed,
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
    "residual left out": replaced(_is_residual, _residual(0.0)),
    "residual doubled": replaced(_is_residual, _residual(2.0)),
    "dropout in eval": attribute(nn.Dropout, "training", lambda mode: not mode),
    "gradient cut": replaced(
        _kind(nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm), lambda self, right, x: right(x.detach())
    ),
    "pooling, mean for maximum": replaced(
        _kind(nn.MaxPool2d), lambda self, right, x: F.avg_pool2d(x, self.kernel_size, self.stride, self.padding)
    ),
    "weight rounded to bfloat16": replaced(
        _kind(nn.Linear), lambda self, right, x: F.linear(x, self.weight.bfloat16().to(x.dtype), self.bias)
    ),
}
