"""Is AdamW computed another way still AdamW?

torch's own, one parameter after another, foreach and fused, and two written by hand, of which one counts its bias
correction a step late: each trains the same small net beside torch's AdamW in float64, on the same batches, step for
step. A row says how far they went together, or at which step, in which term and parameter they parted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scratchproof.images.data import load_split
from scratchproof.training.modules import lockstep

from .command import Common, command, option
from .record import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """For how long, in what."""

    steps: int = option(1000, "steps of training", least=1)
    precisions: str = option("float64,float32", "precisions, separated by commas")
    hidden: int = option(16, "units of the hidden layer", least=1)
    batch: int = option(16, "images in a batch", least=1)


SMOKE = {"steps": 5, "precisions": "float32"}
RATE, DECAY, BETAS, EPS = 1e-3, 1e-2, (0.9, 0.999), 1e-8


class ByHand:
    """AdamW from its paper. late: the bias correction counts from 0, and takes 1 where that divides by 0."""

    def __init__(self, parameters: Iterable[Tensor], *, late: bool = False) -> None:
        self.parameters, self.late, self.steps = list(parameters), late, 0
        self.m, self.v = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        t = max(1, self.steps - 1) if self.late else self.steps
        for p, m, v in zip(self.parameters, self.m, self.v, strict=True):
            assert p.grad is not None
            m.mul_(BETAS[0]).add_(p.grad, alpha=1 - BETAS[0])
            v.mul_(BETAS[1]).add_(p.grad**2, alpha=1 - BETAS[1])
            corrected = (m / (1 - BETAS[0] ** t)) / ((v / (1 - BETAS[1] ** t)).sqrt() + EPS)
            p -= RATE * (corrected + DECAY * p)


def _torch(parameters: Iterable[Tensor], **options: Any) -> Any:
    return torch.optim.AdamW(parameters, lr=RATE, betas=BETAS, eps=EPS, weight_decay=DECAY, **options)


FORMS: dict[str, Callable[..., Any]] = {
    "torch, one by one": partial(_torch, foreach=False),
    "torch, foreach": partial(_torch, foreach=True),
    "torch, fused": partial(_torch, fused=True),
    "by hand": ByHand,
    "by hand, bias correction late": partial(ByHand, late=True),
    "torch, Adam with L2": lambda p: torch.optim.Adam(p, lr=RATE, betas=BETAS, eps=EPS, weight_decay=DECAY),
}


def main(config: Config) -> dict[str, object]:
    """Train, print a row a form and precision, and return the record."""
    torch.set_num_threads(1)
    run = Run.start("adamw", config)
    split = load_split(config.data, root=config.root, download=config.download)
    run.use(split.description)
    batches = _batches(split, config)
    rows = [_row(name, precision, batches, config) for precision in config.precisions.split(",") for name in FORMS]
    return run.finish({"rows": rows})


def _batches(split: Any, config: Config) -> list[tuple[Tensor, Tensor]]:
    rng = np.random.default_rng(config.seed)
    X = np.asarray(split.X_train, dtype=np.float64)[..., ::4, ::4]
    chosen = [rng.choice(len(X), config.batch, replace=False) for _ in range(20)]
    scaled = torch.from_numpy(X / X.std()).flatten(1)
    labels = torch.from_numpy(np.asarray(split.y_train, dtype=np.int64))
    return [(scaled[rows], labels[rows]) for rows in chosen]


def _row(name: str, precision: str, batches: list[tuple[Tensor, Tensor]], config: Config) -> dict[str, Any]:
    def made(form: Callable[..., Any]) -> Callable[[], tuple[nn.Module, Any]]:
        def make() -> tuple[nn.Module, Any]:
            torch.manual_seed(config.seed)
            width = batches[0][0].shape[1]
            net = nn.Sequential(nn.Linear(width, config.hidden), nn.Tanh(), nn.Linear(config.hidden, 10))
            return net, form(net.parameters())

        return make

    found = lockstep(
        made(FORMS[name]), made(_torch), batches, config.steps, loss=_loss, precision=precision, seed=config.seed
    )
    print(f"{name:32} {precision:8} {found}", flush=True)
    return {"form": name, "precision": precision, "step": found.step, "term": found.term, "said": str(found)}


def _loss(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(net(batch[0]), batch[1])


if __name__ == "__main__":
    command(Config, main, SMOKE)()
