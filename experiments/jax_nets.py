"""Two nets ported to JAX by hand, layer by layer beside torch: which layer is wrong, and who sees it?

A net of two convolutions and a small residual net, written as JAX functions whose images lie as (N, H, W, C) and whose
weights as (height, width, in, out), each beside its torch.nn twin, right and with one bug of porting. The trace names
the layer; the fixed thresholds that people use, on every layer's free-running output, say what they say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scratchproof.extras import needed
from scratchproof.images.data import load_split
from scratchproof.tracing.in_jax import HWIO, IN_OUT, NHWC, Pair, flattened, in_jax
from scratchproof.tracing.models import trace

from .command import Common, command, option
from .record import Run

Params = Mapping[str, Any]
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """On what."""

    rows: int = option(8, "images in the minibatch", least=2)
    precision: str = option("float32", "what JAX computes in", choices=("float64", "float32", "bfloat16"))


SMOKE = {"rows": 2}
NEEDS = ("jax",)


class ConvNet(nn.Module):
    """conv, ReLU, 2 x 2 max-pool, twice; then two affine layers."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 16, 3, padding=1)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.fc1, self.fc2 = nn.Linear(16 * 8 * 8, 32), nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Any:
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return self.fc2(self.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    """Two convolutions of stride 2 and 1 with batch norm, and a residual through one of 1 x 1."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, 2, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels), nn.ReLU()
        self.downsample = nn.Conv2d(before, channels, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Any:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.downsample(x))


class Residual(nn.Module):
    """Two residual blocks, the mean over places, an affine layer."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.block1, self.block2, self.fc = Block(3, 8), Block(8, 12), nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.block2(self.block1(x)).mean((2, 3)))


def conv(p: Params, x: Any, *, stride: int = 1, padding: Any = "SAME") -> Any:
    """A convolution as JAX users write it, its padding in words."""
    lax = needed("jax").lax
    names = ("NHWC", "HWIO", "NHWC")
    out = lax.conv_general_dilated(x, p["kernel"], (stride, stride), padding, dimension_numbers=names)
    return out + p["bias"] if "bias" in p else out


def dense(p: Params, x: Any) -> Any:
    return x @ p["kernel"] + p["bias"]


def relu(x: Any) -> Any:
    return needed("jax").nn.relu(x)


def max_pool(x: Any) -> Any:
    lax = needed("jax").lax
    return lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def batch_norm(p: Params, x: Any, *, eps: float = 1e-5, momentum: float = 0.1) -> Any:
    """Of the batch's own mean and variance; beside its output what becomes of torch's running statistics."""
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    count = x.size // x.shape[-1]
    updates = {
        "running_mean": (1 - momentum) * p["mean"] + momentum * mean,
        "running_var": (1 - momentum) * p["var"] + momentum * var * count / (count - 1),
    }
    return (x - mean) / needed("jax").numpy.sqrt(var + eps) * p["scale"] + p["bias"], updates


def conv_net(p: Params, x: Any) -> Any:
    x = max_pool(relu(conv(p["conv1"], x)))
    x = max_pool(relu(conv(p["conv2"], x)))
    return dense(p["fc2"], relu(dense(p["fc1"], x.reshape(len(x), -1))))


# With stride 2 "SAME" pads (0, 1) where torch's padding=1 pads (1, 1): the classic slip of a port.
EXPLICIT = ((1, 1), (1, 1))


def of_conv(path: str, **bias: str) -> dict[str, Any]:
    return {"kernel": HWIO(f"{path}.weight".lstrip(".")), **bias}


def of_norm(path: str) -> dict[str, Any]:
    dot = f"{path}." if path else ""
    return {
        "scale": f"{dot}weight",
        "bias": f"{dot}bias",
        "mean": f"{dot}running_mean",
        "var": f"{dot}running_var",
    }


def block(p: Params, x: Any, *, padding: Any = EXPLICIT) -> Any:
    """A residual block of the JAX net; beside its output the running statistics."""
    out, first = batch_norm(p["bn1"], conv(p["conv1"], x, stride=2, padding=padding))
    out, second = batch_norm(p["bn2"], conv(p["conv2"], relu(out)))
    updates = {f"bn{i}.{name}": value for i, of in ((1, first), (2, second)) for name, value in of.items()}
    return relu(out + conv(p["downsample"], x, stride=2, padding="VALID")), updates


def of_conv_net(*, swapped: bool = False) -> list[Pair]:
    """The ConvNet's pairs. swapped: the rows behind the flattened image are left as torch has them."""
    behind = IN_OUT("fc1.weight") if swapped else flattened("fc1.weight", 16, 8, 8)
    affine = {"kernel": IN_OUT("weight"), "bias": "bias"}
    whole = {
        "conv1": of_conv("conv1", bias="conv1.bias"),
        "conv2": of_conv("conv2", bias="conv2.bias"),
        "fc1": {"kernel": behind, "bias": "fc1.bias"},
        "fc2": {"kernel": IN_OUT("fc2.weight"), "bias": "fc2.bias"},
    }
    convs: list[Pair] = [(name, conv, of_conv("", bias="bias")) for name in ("conv1", "conv2")]
    others: list[Pair] = [("pool", lambda p, x: max_pool(x), {}), ("fc1", dense, affine), ("fc2", dense, affine)]
    return [("", conv_net, whole), *convs, *others]


def of_residual(*, wrong: str = "") -> list[Pair]:
    """The residual net's pairs. wrong: the block whose first convolution pads "SAME"."""
    pairs: list[Pair] = []
    for name in ("block1", "block2"):
        padding = "SAME" if name == wrong else EXPLICIT
        inner = {part: of_conv(part) for part in ("conv1", "conv2", "downsample")}
        pairs.append((name, partial(block, padding=padding), inner | {n: of_norm(n) for n in ("bn1", "bn2")}))
        pairs.append((f"{name}.conv1", partial(conv, stride=2, padding=padding), of_conv("")))
        pairs.append((f"{name}.conv2", conv, of_conv("")))
        pairs += [(f"{name}.{norm}", batch_norm, of_norm("")) for norm in ("bn1", "bn2")]
        pairs.append((f"{name}.downsample", partial(conv, stride=2, padding="VALID"), of_conv("")))
    return [*pairs, ("fc", dense, {"kernel": IN_OUT("weight"), "bias": "bias"})]


PORTS: dict[str, tuple[Callable[[], nn.Module], Callable[[], list[Pair]], str]] = {
    "ConvNet": (ConvNet, of_conv_net, ""),
    "ConvNet, rows behind flatten as torch's": (ConvNet, partial(of_conv_net, swapped=True), "(model)"),
    "residual net": (Residual, of_residual, ""),
    'residual net, padding "SAME" at stride 2': (Residual, partial(of_residual, wrong="block2"), "block2.conv1"),
}
"""Each port: its torch twin, its pairs, and the path that is wrong."""


def main(config: Config) -> dict[str, object]:
    """Trace every port and print a line each; return the record."""
    torch.set_num_threads(1)
    run = Run.start("jax_nets", config)
    split = load_split(config.data, root=config.root, download=config.download)
    run.use(split.description)
    X = np.asarray(split.X_train[: config.rows], dtype=np.float64)
    images = torch.from_numpy(X / X.std())
    found = [_judged(name, images, config) for name in PORTS]
    for one in found:
        print(f"{one['port']:42} trace: {one['culprit'] or 'agrees'}")
        print(f"{'':42} allclose: {one['allclose']}; means at 1e-4: {one['means']}")
        print(f"    {one['verdict']}")
    return run.finish({"found": found})


def _judged(name: str, images: Tensor, config: Config) -> dict[str, Any]:
    make, pairs, due = PORTS[name]
    torch.manual_seed(config.seed)
    model = make()
    port = in_jax(model, pairs(), layout=NHWC)
    told = trace(port, model, inputs=images, precision=config.precision, seed=config.seed)
    return {
        "port": name,
        "wrong": due,
        "culprit": told.culprit,
        "verdict": told.verdict,
        **_by_thresholds(port, model, pairs(), images),
    }


def _by_thresholds(port: nn.Module, model: nn.Module, pairs: list[Pair], images: Tensor) -> dict[str, str]:
    """What fixed thresholds say of each pair's output on the way, in order, in float32: the first that is off."""
    outs = [_outputs(one, [path for path, *_ in pairs], images.float()) for one in (port.float(), model.float())]
    rules: dict[str, Callable[[Tensor, Tensor], bool]] = {
        "allclose": torch.allclose,
        "means": lambda a, b: bool((a.mean() - b.mean()).abs() <= 1e-4),
    }
    told = {}
    for rule, same in rules.items():
        off = [path or "(model)" for path in outs[0] if not same(outs[0][path], outs[1][path])]
        told[rule] = f"first off at {off[0]}" if off else "agrees"
    return told


def _outputs(model: nn.Module, paths: list[str], images: Tensor) -> dict[str, Tensor]:
    outs: dict[str, Tensor] = {}
    for path in paths:
        model.get_submodule(path).register_forward_hook(lambda m, i, out, path=path: outs.update({path: out}))
    with torch.no_grad():
        model(images)
    return outs


if __name__ == "__main__":
    command(Config, main, SMOKE, NEEDS)()
