"""The torch.nn twins of the nets, and their parameters carried both ways.

A twin is an `nn.Sequential` whose children have names, so that a trace can say where it is (`affine1`,
`relu1`, ...). The from-scratch nets keep CS231n names and layout: `W1` (D, M) and `b1` (M,) belong to the first
child with parameters, `W2`, `b2` to the second; a net with a single one says `W`, `b`. `nn.Linear` stores its
weight as (M, D), so it is transposed on the way; convolution weights are (F, C, KH, KW) on both sides.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

Array = NDArray[Any]


def two_layer_net(input_dim: int = 3072, hidden: int = 100, num_classes: int = 10) -> nn.Sequential:
    """affine - relu - affine on inputs of any shape (N, ...) that flatten to `input_dim` features."""
    return _named(
        flatten=nn.Flatten(),
        affine1=nn.Linear(input_dim, hidden),
        relu1=nn.ReLU(),
        affine2=nn.Linear(hidden, num_classes),
    )


def linear_classifier(input_dim: int = 3072, num_classes: int = 10) -> nn.Sequential:
    """One affine layer: class scores (N, C) straight from the pixels."""
    return _named(flatten=nn.Flatten(), affine1=nn.Linear(input_dim, num_classes))


def xor_net(hidden: int = 8) -> nn.Sequential:
    """affine - tanh - affine from two inputs to one logit, shape (N,)."""
    return _named(affine1=nn.Linear(2, hidden), tanh1=nn.Tanh(), affine2=nn.Linear(hidden, 1), flatten=nn.Flatten(0))


def conv_net(
    input_dim: tuple[int, int, int] = (3, 32, 32),
    num_filters: int = 32,
    filter_size: int = 7,
    hidden: int = 100,
    num_classes: int = 10,
) -> nn.Sequential:
    """conv - relu - 2x2 max pool - affine - relu - affine; the convolution keeps the image's size."""
    channels, height, width = input_dim
    return _named(
        conv1=nn.Conv2d(channels, num_filters, filter_size, padding=(filter_size - 1) // 2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        affine1=nn.Linear(num_filters * (height // 2) * (width // 2), hidden),
        relu2=nn.ReLU(),
        affine2=nn.Linear(hidden, num_classes),
    )


def build(name: str, shapes: Mapping[str, tuple[int, ...]], input_dim: tuple[int, ...] = ()) -> nn.Sequential:
    """A fresh twin whose sizes are those of CS231n-style parameters.

    name: two_layer | linear | xor | convnet. shapes: of each parameter. input_dim: (C, H, W), for convnet only.
    Raises: ValueError for an unknown name.
    """
    if name == "two_layer":
        return two_layer_net(shapes["W1"][0], *shapes["W2"])
    if name == "linear":
        return linear_classifier(*shapes["W"])
    if name == "xor":
        return xor_net(shapes["W1"][1])
    if name == "convnet":
        filters, _, _, size = shapes["W1"]
        channels, height, width = input_dim
        return conv_net((channels, height, width), filters, size, *shapes["W3"])
    raise ValueError(f"no net is called {name!r}: choose two_layer, linear, xor or convnet")


def from_params(name: str, params: Mapping[str, Array], input_dim: tuple[int, ...] = ()) -> nn.Sequential:
    """The twin called `name` with the sizes and the values of `params`; see `build` and `load`."""
    return load(build(name, {key: value.shape for key, value in params.items()}, input_dim), params)


def load(module: nn.Sequential, params: Mapping[str, Array]) -> nn.Sequential:
    """Copy CS231n-style parameters into the twin, in their own dtype; return the twin.

    Raises: ValueError where names or shapes do not fit.
    """
    wanted = dict(_parameters(module))
    if set(wanted) != set(params):
        raise ValueError(f"the net needs parameters {sorted(wanted)} but got {sorted(params)}")
    for name, (child, attribute) in wanted.items():
        value = torch.from_numpy(np.array(params[name]))
        if _transposed(child, attribute):
            value = value.T
        old = getattr(child, attribute)
        if old.shape != value.shape:
            needed = tuple(old.T.shape if _transposed(child, attribute) else old.shape)
            raise ValueError(f"{name} has shape {params[name].shape} but the net needs {needed}")
        setattr(child, attribute, nn.Parameter(value.to(old.device).contiguous()))
    return module


def dump(module: nn.Sequential) -> dict[str, Array]:
    """The twin's parameters as NumPy copies in CS231n names and layout."""
    return {
        name: _layout(child, attribute).detach().cpu().numpy().copy()
        for name, (child, attribute) in _parameters(module)
    }


def dump_grad(module: nn.Sequential) -> dict[str, Array]:
    """The gradients that the last `.backward()` left in the twin, in CS231n names and layout."""
    return {
        name: _layout(child, attribute, grad=True).cpu().numpy().copy()
        for name, (child, attribute) in _parameters(module)
    }


def objective(module: nn.Module, X: Tensor, y: Tensor, *, loss: str = "softmax", reg: float = 0.0) -> Tensor:
    """Data loss + 0.5 * reg * (sum of squared weights, biases left out): a scalar tensor.

    loss: softmax | svm | logistic. X (N, ...), y (N,) of integer labels.
    """
    return regularised(LOSSES[loss](module(X), y), module.parameters(), reg)


def regularised(data_loss: Tensor, params: Iterable[Tensor], reg: float) -> Tensor:
    """Data loss + 0.5 * reg * (sum of squared weights); biases, being one-dimensional, are left out."""
    for weight in params:
        if weight.ndim > 1:
            data_loss = data_loss + 0.5 * reg * (weight * weight).sum()
    return data_loss


def scores(module: nn.Sequential, X: Tensor, *params: Tensor) -> Tensor:
    """The twin's forward pass with CS231n-style parameters put in place of its own, in the order W1, b1, W2, ..."""
    paths = {id(child): path for path, child in module.named_children()}
    places = [(child, attribute) for _, (child, attribute) in _parameters(module)]
    values = {
        f"{paths[id(child)]}.{attribute}": value.T if _transposed(child, attribute) else value
        for (child, attribute), value in zip(places, params, strict=True)
    }
    out: Tensor = functional_call(module, values, (X,))
    return out


def svm(scores: Tensor, y: Tensor) -> Tensor:
    """Multiclass hinge with margin 1, divided by N; `multi_margin_loss` would divide by C as well."""
    margins = F.relu(scores - scores.gather(1, y[:, None]) + 1)
    right = y[:, None] == torch.arange(scores.shape[1], device=y.device)
    return margins.masked_fill(right, 0.0).sum() / len(y)


def logistic(logits: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy on logits (N,) with labels in {0, 1}, mean over N."""
    return F.binary_cross_entropy_with_logits(logits, y.to(logits.dtype))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": F.cross_entropy,
    "svm": svm,
    "logistic": logistic,
}


def _named(**children: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(children))


def _parameters(module: nn.Sequential) -> Iterator[tuple[str, tuple[nn.Module, str]]]:
    layers = [child for child in module if next(child.parameters(), None) is not None]
    for number, child in enumerate(layers, start=1):
        suffix = str(number) if len(layers) > 1 else ""
        yield f"W{suffix}", (child, "weight")
        yield f"b{suffix}", (child, "bias")


def _transposed(child: nn.Module, attribute: str) -> bool:
    return isinstance(child, nn.Linear) and attribute == "weight"


def _layout(child: nn.Module, attribute: str, *, grad: bool = False) -> Tensor:
    tensor: Tensor = getattr(child, attribute)
    if grad:
        assert tensor.grad is not None, "backward() has not run"
        tensor = tensor.grad
    return tensor.T if _transposed(child, attribute) else tensor
