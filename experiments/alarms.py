"""Does a right formula that is not torch's own raise an alarm, and is the same with one bug still caught?

Layer normalisation in two passes and in one, attention by an online softmax, a logistic loss by logaddexp, and a
convolution through the Fourier transform: each is examined in every precision under many seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scratchproof import Report, examine
from scratchproof.progress import progress

from .command import Basic, command, option
from .record import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Basic):
    """How often each is examined."""

    seeds: int = option(50, "how often each is examined in each precision", least=1)
    precisions: str = option("float64,float32,bfloat16,float16", "precisions, separated by commas")
    stories: str = option("", "only these, separated by commas")


SMOKE = {"seeds": 1, "precisions": "float32", "stories": "one-pass LayerNorm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A function with its truth; wrong: the same with one bug."""

    right: Callable[..., Any]
    wrong: Callable[..., Any]
    truth: Any
    inputs: dict[str, Any]

    def examined(self, precision: str, seed: int, *, right: bool = True) -> Report:
        """The exam of the right one, or of the wrong one, on random inputs of the seed."""
        subject = self.right if right else self.wrong
        told: dict[str, Any] = {"truth": self.truth, "inputs": self.inputs, "precisions": (precision,), "seed": seed}
        return examine(subject, name="story", effort="quick", framework="torch", **told)


def main(config: Config) -> dict[str, object]:
    """Examine, count and print; return the record."""
    torch.set_num_threads(1)
    run = Run.start("alarms", config)
    chosen, precisions = _chosen(config.stories), config.precisions.split(",")
    rows = []
    with progress("stories") as advance:
        for i, name in enumerate(chosen):
            for j, precision in enumerate(precisions):
                advance(i * len(precisions) + j, len(chosen) * len(precisions))
                rows.append(_row(name, precision, config.run_seeds()))
                _tell(rows[-1])
    print(f"{sum(row['alarms'] for row in rows)} alarms in {sum(row['examined'] for row in rows)} examinations")
    return run.finish({"stories": rows})


def _chosen(names: str) -> list[str]:
    """Raises: ValueError for a story that is not told here."""
    wanted = names.split(",") if names else list(STORIES)
    if unknown := [name for name in wanted if name not in STORIES]:
        raise ValueError(f"no story is called {unknown[0]!r}: choose from {', '.join(STORIES)}")
    return wanted


def _row(name: str, precision: str, seeds: Sequence[int]) -> dict[str, Any]:
    story = STORIES[name]
    reports = [story.examined(precision, seed) for seed in seeds]
    headrooms = [r.headroom for report in reports for s in report.sittings for r in s.results if r.headroom]
    alarmed = [report for report in reports if not report.passed]
    return {
        "story": name,
        "precision": precision,
        "examined": len(reports),
        "alarms": len(alarmed),
        "nearest": 1 / min(headrooms),
        "caught": sum(not story.examined(precision, seed, right=False).passed for seed in seeds),
        "messages": [report.findings[0].message for report in alarmed],
    }


def _tell(row: dict[str, Any]) -> None:
    print(
        f"{row['story']:24} {row['precision']:9} {row['alarms']:3} alarms in {row['examined']}, worst error/allowed "
        f"{row['nearest']:.2f}; with one bug {row['caught']} of {row['examined']} caught"
    )
    for message in row["messages"][:3]:
        print(f"    {message}")


def two_pass(x: Tensor, w: Tensor, b: Tensor, count: int = 0) -> Tensor:
    """The mean first, then the mean square of what is left."""
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).sum(-1, keepdim=True) / (count or x.shape[-1])
    return centred / torch.sqrt(variance + 1e-5) * w + b


def one_pass(x: Tensor, w: Tensor, b: Tensor, eps: float = 1e-5) -> Tensor:
    """Both sums at once, kept in the wider of the input's format and float32."""
    wide = x if x.dtype == torch.float64 else x.float()
    mean, square = wide.mean(-1, keepdim=True), (wide * wide).mean(-1, keepdim=True)
    normal = (wide - mean) * torch.rsqrt(square - mean * mean + eps)
    return normal.to(x.dtype) * w + b


def online(q: Tensor, k: Tensor, v: Tensor, block: int = 4, *, rescaled: bool = True) -> Tensor:
    """Attention over blocks of keys, with a running maximum and a running sum, in the wider format."""
    dtype = q.dtype
    q, k, v = (t if dtype == torch.float64 else t.float() for t in (q, k, v))
    most = q.new_full((*q.shape[:-1], 1), -torch.inf)
    total, out = torch.zeros_like(most), q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, k.shape[-2], block):
        scores = q @ k[..., start : start + block, :].mT * q.shape[-1] ** -0.5
        highest = torch.maximum(most, scores.detach().amax(-1, keepdim=True))
        weights, shrunk = (scores - highest).exp(), (most - highest).exp()
        out = out * (shrunk if rescaled else 1) + weights @ v[..., start : start + block, :]
        total = total * shrunk + weights.sum(-1, keepdim=True)
        most = highest
    return (out / total).to(dtype)


def fourier(x: Tensor, w: Tensor, shift: int = 0) -> Tensor:
    """A valid cross-correlation as a product of transforms, in the wider format."""
    wide = x.dtype if x.dtype == torch.float64 else torch.float32
    length = x.shape[-1] + w.shape[-1] - 1
    spectra = torch.fft.rfft(x.to(wide), length), torch.fft.rfft(w.to(wide).flip(-1), length)
    whole = torch.fft.irfft(torch.einsum("ncl,fcl->nfl", *spectra), length)
    first = w.shape[-1] - 1 + shift
    valid: Tensor = whole[..., first : first + x.shape[-1] - w.shape[-1] + 1]
    return valid.to(x.dtype)


def logistic(x: Tensor, t: Tensor) -> Tensor:
    """The logistic loss of each element, as people write it who know that exp overflows."""
    return torch.logaddexp(torch.zeros_like(x), x) - t * x


def _targets(rng: Any) -> Any:
    return rng.integers(2, size=(9, 7)).astype("float64")


_NORMED = {"x": (6, 37), "w": (37,), "b": (37,)}


def _layer_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.layer_norm(x, (37,), w, b)


STORIES = {
    "two-pass LayerNorm": Story(
        right=two_pass, wrong=lambda x, w, b: two_pass(x, w, b, 32), truth=_layer_norm, inputs=_NORMED
    ),
    "one-pass LayerNorm": Story(
        right=one_pass, wrong=lambda x, w, b: one_pass(x, w, b, 0.1), truth=_layer_norm, inputs=_NORMED
    ),
    "online softmax": Story(
        right=online,
        wrong=lambda q, k, v: online(q, k, v, rescaled=False),
        truth=F.scaled_dot_product_attention,
        inputs={"q": (2, 5, 8), "k": (2, 13, 8), "v": (2, 13, 6)},
    ),
    "logistic loss by logaddexp": Story(
        right=logistic,
        wrong=lambda x, t: logistic(x, 1 - t),
        truth=(lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none"), logistic),
        inputs={"x": lambda rng: 3 * rng.standard_normal((9, 7)), "t": _targets},
    ),
    "FFT convolution": Story(
        right=fourier,
        wrong=lambda x, w: fourier(x, w, 1),
        truth=(F.conv1d, fourier),
        inputs={"x": (2, 3, 21), "w": (4, 3, 5)},
    ),
}


if __name__ == "__main__":
    command(Config, main, SMOKE)()
