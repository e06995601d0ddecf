"""torch's own sample inputs for its own operations, computed in one precision and judged against float64."""

import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from scratchproof.exam.compare import compare
from scratchproof.oracle.explain import as_if
from scratchproof.oracle.tolerance import Tolerance, spread
from scratchproof.vjp import PRECISIONS, Array, Precision, same_draws

LARGEST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One compared array: its largest error as a share of what is allowed, and the problem if there is one."""

    precision: str
    share: float
    problem: str | None
    message: str
    unmodelled: tuple[str, ...]
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One call of an operation; `leaves` are its arguments, flat, and `wanted` tells which are differentiated."""

    operation: Any
    sample: Any
    leaves: list[Any]
    form: Any
    wanted: tuple[int, ...]

    def rounded(self, precision: Precision) -> list[Any]:
        return [x.to(precision.dtype).to(torch.float64) if _floats(x) else x for x in self.leaves]

    def outputs(self, leaves: Sequence[Any], dtype: torch.dtype, device: str) -> tuple[list[Tensor], list[Tensor]]:
        """The floating outputs, complex ones as pairs, and the tensors to differentiate by."""
        placed = [_placed(x, dtype, device) for x in leaves]
        sources = [placed[i].requires_grad_() for i in self.wanted]
        placed = [x.clone() if i in self.wanted else x for i, x in enumerate(placed)]  # some write to their argument
        first, args, kwargs = tree_unflatten(placed, self.form)
        out = self.sample.output_process_fn_grad(self.operation(first, *args, **kwargs))
        found = [_real(x) for x in tree_leaves(out) if isinstance(x, Tensor)]
        return [x for x in found if x.is_floating_point()], sources

    def compute(
        self, leaves: Sequence[Any], pulled: Sequence[Tensor], dtype: torch.dtype, device: str
    ) -> dict[str, Array]:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False), same_draws(device):
            outs, sources = self.outputs(leaves, dtype, device)
            arrays = {f"out {i}": _array(out) for i, out in enumerate(outs)}
            pairs = [(out, _placed(dout, dtype, device)) for out, dout in zip(outs, pulled, strict=False)]
            pairs = [(out, dout.to(out.dtype)) for out, dout in pairs if out.requires_grad]
            if sources and pairs:
                roots, douts = [out for out, _ in pairs], [dout for _, dout in pairs]
                grads = torch.autograd.grad(roots, sources, douts, allow_unused=True)
                arrays |= {f"gradient {i}": _array(g) for i, g in enumerate(grads) if g is not None}
        return arrays


def names(wanted: Sequence[str] = ()) -> list[str]:
    """The operations that the census asks, or those of them that are wanted.

    Raises: ValueError if one of those is not among them.
    """
    found = sorted(_operations())
    for name in wanted:
        if name not in found:
            raise ValueError(f"{name} is not among the {len(found)} operations that torch has samples of")
    return list(wanted) or found


def compared(name: str, precision: str, samples: int, repeats: int, seed: int, device: str) -> Iterator[Found]:
    """Compare every output and gradient of an operation's first samples; what cannot be computed is passed over."""
    for sample in _samples(name, samples):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield from list(_judged(sample, PRECISIONS[precision], repeats, seed, device))


def _judged(sample: Sample, precision: Precision, repeats: int, seed: int, device: str) -> Iterator[Found]:
    leaves = sample.rounded(precision)
    with same_draws():
        outs, _ = sample.outputs(leaves, torch.float64, "cpu")
    rng = np.random.default_rng(seed)
    drawn = [torch.from_numpy(np.asarray(rng.standard_normal(out.shape))) for out in outs]
    pulled = [dout.to(precision.dtype).to(torch.float64) for dout in drawn]
    try:
        actual = sample.compute(leaves, pulled, precision.dtype, device)
    except (RuntimeError, NotImplementedError, ValueError):
        return  # torch does not have this operation, or this sample of it, in this format
    truth = sample.compute(leaves, pulled, torch.float64, "cpu")
    truth = {name: truth[name] for name in actual if name in truth}

    @cache
    def tolerances(of: Precision) -> dict[str, Tolerance]:
        return spread(
            lambda: sample.compute(leaves, pulled, torch.float64, "cpu"), truth, of, seed=seed, repeats=repeats
        )

    allowed = tolerances(precision)
    for key, expected in truth.items():
        if expected.size:
            yield _found(actual[key], expected, allowed[key], precision, key, tolerances)


def _found(
    actual: Array,
    expected: Array,
    allowed: Tolerance,
    precision: Precision,
    key: str,
    tolerances: Callable[[Precision], dict[str, Tolerance]],
) -> Found:
    comparison = compare(actual, expected, allowed, precision)
    share = comparison.error / comparison.allowed if comparison.error and comparison.allowed else 0.0
    # Only of half formats: torch on the CPU keeps to float32 where that is asked for.
    wrong = comparison.problem in ("precision", "value") and precision.accumulate < precision.unit
    return Found(
        precision=precision.name,
        share=float(share) if np.isfinite(share) else 0.0,
        problem=comparison.problem,
        message=f"{key} {comparison.message}" if comparison.message else "",
        unmodelled=allowed.unmodelled,
        cause=as_if(actual, expected, precision, lambda of: tolerances(of)[key]) if wrong else "",
    )


@cache
def _operations() -> dict[str, Any]:
    with warnings.catch_warnings(), patch("torch.backends.disable_global_flags"):  # the import forbids to set flags
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    kept = [op for op in op_db if {torch.float64, torch.float32} <= set(op.dtypes)]
    return {op.name + (f".{op.variant_test_name}" if op.variant_test_name else ""): op for op in kept}


def _samples(name: str, count: int) -> Iterator[Sample]:
    """Some of an operation's samples, spread evenly over all of them."""
    operation = _operations()[name]
    torch.manual_seed(zlib.crc32(name.encode()))
    np.random.seed(zlib.crc32(name.encode()))  # noqa: NPY002  some of torch's samples draw from it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = operation.sample_inputs("cpu", torch.float64, requires_grad=operation.supports_autograd)
        every = [_flattened(operation, sample) for sample in islice(drawn, 200)]
    fitting = [s for s in every if sum(x.numel() for x in s.leaves if isinstance(x, Tensor)) <= LARGEST]
    step = max(1, len(fitting) / max(1, count))
    yield from (fitting[int(i * step)] for i in range(min(count, len(fitting))))


def _flattened(operation: Any, sample: Any) -> Sample:
    leaves, form = tree_flatten((sample.input, sample.args, sample.kwargs))
    wanted = tuple(i for i, x in enumerate(leaves) if _floats(x) and x.requires_grad)
    leaves = [x.detach() if isinstance(x, Tensor) else x for x in leaves]
    return Sample(operation=operation, sample=sample, leaves=leaves, form=form, wanted=wanted)


def _real(value: Tensor) -> Tensor:
    """Complex numbers as pairs."""
    return torch.view_as_real(value.resolve_conj()) if value.is_complex() else value


def _floats(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _placed(value: Any, dtype: torch.dtype, device: str) -> Any:
    if value is torch.float64:
        return dtype
    if not isinstance(value, Tensor):
        return value
    copy = value.clone().to(device)
    return copy.to(dtype) if value.is_floating_point() else copy


def _array(value: Tensor) -> Array:
    if value._is_zerotensor():
        return np.zeros(value.shape)
    value = value.to_dense() if value.layout is not torch.strided else value
    array: Array = value.detach().cpu().to(torch.float64).numpy()
    return array
