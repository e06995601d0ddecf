"""The functions of the atlas that look at several numbers together: sums, products, norms, orders, windows."""

from math import inf, nan
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import torch
from torch.nn import functional as F

from .atlas_table import Entry

ROW = ([0.4, -1.3, 2.2, 0.9],)
ORDINARY = {"ordinary": ROW}


def row(name: str, ours: Any, theirs: Any, **edges: list[float]) -> Entry:
    """A function of one row; edges by name."""
    at = ORDINARY | {label.replace("_", " "): (values,) for label, values in edges.items()}
    return Entry(name=name, torch=ours, jax=theirs, at=at)


def reductions() -> list[Entry]:
    """Sums, products, means, spreads, norms."""
    norm, vector_norm = jnp.linalg.norm, torch.linalg.vector_norm
    return [
        row("sum", torch.sum, jnp.sum, with_inf=[inf, 1.0]),
        row("mean", torch.mean, jnp.mean),
        row("prod", torch.prod, jnp.prod, one_zero=[2.0, 0.0, 3.0], two_zeros=[2.0, 0.0, 0.0]),
        row("cumsum", lambda x: torch.cumsum(x, 0), jnp.cumsum),
        row("cumprod", lambda x: torch.cumprod(x, 0), jnp.cumprod, one_zero=[2.0, 0.0, 3.0], two_zeros=[2.0, 0.0, 0.0]),
        row("var", lambda x: torch.var(x, unbiased=False), jnp.var, equals=[1.0, 1.0, 1.0], one_alone=[1.0]),
        row("std", lambda x: torch.std(x, unbiased=False), jnp.std, equals=[1.0, 1.0, 1.0], one_alone=[1.0]),
        row("std, unbiased", torch.std, lambda x: jnp.std(x, ddof=1), equals=[1.0, 1.0]),
        row("2-norm", vector_norm, norm, zeros=[0.0, 0.0]),
        row("1-norm", lambda x: vector_norm(x, 1), lambda x: norm(x, 1), a_zero=[0.0, 2.0]),
        row("largest-entry norm", lambda x: vector_norm(x, inf), lambda x: norm(x, inf),
            tie=[2.0, -2.0], zeros=[0.0, 0.0]),
        row("3-norm", lambda x: vector_norm(x, 3), lambda x: norm(x, 3), a_zero=[0.0, 2.0], zeros=[0.0, 0.0]),
        row("logsumexp", lambda x: torch.logsumexp(x, 0), special.logsumexp, all_minus_inf=[-inf, -inf],
            one_minus_inf=[-inf, 1.0], one_inf=[inf, 1.0], two_inf=[inf, inf]),
        row("logcumsumexp", lambda x: torch.logcumsumexp(x, 0), jax.lax.cumlogsumexp,
            begins_at_minus_inf=[-inf, 1.0, 2.0]),
        row("softmax", lambda x: torch.softmax(x, 0), jax.nn.softmax, all_minus_inf=[-inf, -inf],
            one_minus_inf=[-inf, 1.0], one_inf=[inf, 1.0]),
        row("log_softmax", lambda x: torch.log_softmax(x, 0), jax.nn.log_softmax, all_minus_inf=[-inf, -inf],
            one_minus_inf=[-inf, 1.0], one_inf=[inf, 1.0]),
    ]  # fmt: skip


def orders() -> list[Entry]:
    """Largest, smallest, sorted, in the middle; windows."""
    ties = [2.0, 1.0, 2.0]
    return [
        row("max of all", torch.max, jnp.max, tie=ties, with_nan=[1.0, nan]),
        row("max along an axis", lambda x: torch.max(x, 0).values, lambda x: jnp.max(x, 0), tie=ties),
        row("amax", lambda x: torch.amax(x, 0), lambda x: jnp.max(x, 0), tie=ties),
        row("min of all", torch.min, jnp.min, tie=[1.0, 2.0, 1.0]),
        row("min along an axis", lambda x: torch.min(x, 0).values, lambda x: jnp.min(x, 0), tie=[1.0, 2.0, 1.0]),
        row("sort", lambda x: torch.sort(x, stable=True).values, jnp.sort, tie=ties, with_nan=[2.0, nan, 1.0]),
        row("top 2", lambda x: torch.topk(x, 2).values, lambda x: jax.lax.top_k(x, 2)[0], tie=[1.0, 2.0, 2.0, 2.0]),
        row("median", torch.median, jnp.median, odd=[3.0, 1.0, 2.0], even=[4.0, 1.0, 2.0, 3.0], tie=[1.0, 1.0, 2.0]),
        row("quantile 0.3", lambda x: torch.quantile(x, 0.3), lambda x: jnp.quantile(x, 0.3), tie=[1.0, 1.0, 1.0, 2.0]),
        row("cummax", lambda x: torch.cummax(x, 0).values, jax.lax.cummax, tie=ties),
        row(
            "max pooling, windows of 2", _torch_pool, _jax_pool, tie=[1.0, 1.0, 0.0, 0.0], with_nan=[nan, 1.0, 0.0, nan]
        ),
    ]


def _torch_pool(x: Any) -> Any:
    return F.max_pool1d(x[None, None], 2)[0, 0]


def _jax_pool(x: Any) -> Any:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (2,), "VALID")
