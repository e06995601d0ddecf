"""The functions of the atlas that work element by element: torch's, JAX's, and where both are asked.

A function is asked at ordinary points and at named edges. Where the two part, `atlas_words` says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, nan, pi
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import torch
from torch.nn import functional as F

Inputs = tuple[Any, ...]
"""One nested list (or number) of floats for each argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A function in both frameworks, f(*arrays) -> array, and the points to ask at, by label.

    apart: whether it works element by element, so that all points can be asked about at once.
    """

    name: str
    torch: Callable[..., Any]
    jax: Callable[..., Any]
    at: Mapping[str, Inputs]
    apart: bool = False


REAL = ([-0.7, 0.3, 1.9],)
UNIT = ([-0.6, 0.2, 0.7],)
POSITIVE = ([0.3, 1.2, 2.5],)
PAIR = ([-0.7, 0.3, 1.9], [0.4, -1.1, 2.2])


def one(name: str, ours: Any, theirs: Any, *edges: float, ordinary: Inputs = REAL) -> Entry:
    """A function of one number."""
    at = {"ordinary": ordinary} | {f"x = {edge:.4g}": ([edge],) for edge in edges}
    return Entry(name=name, torch=ours, jax=theirs, at=at, apart=True)


def two(name: str, ours: Any, theirs: Any, *edges: tuple[float, float], ordinary: Inputs = PAIR) -> Entry:
    """A function of two numbers."""
    at = {"ordinary": ordinary} | {f"({a:g}, {b:g})": ([a], [b]) for a, b in edges}
    return Entry(name=name, torch=ours, jax=theirs, at=at, apart=True)


def _where_sqrt(where: Any, sqrt: Any) -> Callable[[Any], Any]:
    return lambda x: where(x > 0, sqrt(x), 0 * x)


def activations() -> list[Entry]:
    """What nets apply to every hidden unit."""
    nn = jax.nn
    return [
        one("relu", torch.relu, nn.relu, 0.0, inf),
        one("leaky_relu(0.1)", lambda x: F.leaky_relu(x, 0.1), lambda x: nn.leaky_relu(x, 0.1), 0.0),
        one("relu6", F.relu6, nn.relu6, 0.0, 6.0),
        one("hardtanh", F.hardtanh, nn.hard_tanh, -1.0, 1.0),
        one("hardsigmoid", F.hardsigmoid, nn.hard_sigmoid, -3.0, 3.0),
        one("hardswish", F.hardswish, nn.hard_silu, -3.0, 3.0),
        one("elu", F.elu, nn.elu, 0.0, -inf),
        one("celu(2)", lambda x: F.celu(x, 2.0), lambda x: nn.celu(x, 2.0), 0.0),
        one("selu", F.selu, nn.selu, 0.0),
        one("gelu", F.gelu, lambda x: nn.gelu(x, approximate=False), 0.0, inf, -inf),
        one("gelu, tanh form", lambda x: F.gelu(x, approximate="tanh"), nn.gelu, 0.0, inf, -inf),
        one("silu", F.silu, nn.silu, 0.0, -inf, inf),
        one("mish", F.mish, nn.mish, 0.0, -inf, 40.0),
        one("softplus", F.softplus, nn.softplus, 0.0, 30.0, -800.0, inf),
        one("softsign", F.softsign, nn.soft_sign, 0.0, inf),
        one("sigmoid", torch.sigmoid, nn.sigmoid, 0.0, -800.0, inf),
        one("logsigmoid", F.logsigmoid, nn.log_sigmoid, 0.0, -800.0, -inf),
        one("tanh", torch.tanh, jnp.tanh, 0.0, 400.0, inf),
        one("threshold at 0 by maximum(x, 0)", lambda x: torch.maximum(x, 0 * x), lambda x: jnp.maximum(x, 0), 0.0),
        one("clip to [-1, 1]", lambda x: torch.clamp(x, -1, 1), lambda x: jnp.clip(x, -1, 1), -1.0, 1.0, nan),
        one("clip from below at 0", lambda x: torch.clamp(x, min=0), lambda x: jnp.clip(x, 0), 0.0),
        one("logit", torch.logit, special.logit, 0.0, 1.0, ordinary=([0.2, 0.5, 0.9],)),
    ]


def elementary() -> list[Entry]:
    """Roots, logarithms, trigonometry and steps."""
    return [
        one("abs", torch.abs, jnp.abs, 0.0),
        one("sign", torch.sign, jnp.sign, 0.0),
        one("square", torch.square, jnp.square, 0.0, inf),
        one("sqrt", torch.sqrt, jnp.sqrt, 0.0, -1.0, ordinary=POSITIVE),
        one("sqrt(x²)", lambda x: torch.sqrt(x * x), lambda x: jnp.sqrt(x * x), 0.0),
        one("rsqrt", torch.rsqrt, jax.lax.rsqrt, 0.0, inf, ordinary=POSITIVE),
        one("reciprocal", torch.reciprocal, jnp.reciprocal, 0.0, inf),
        one("exp", torch.exp, jnp.exp, -inf, 800.0),
        one("exp2", torch.exp2, jnp.exp2, -inf),
        one("expm1", torch.expm1, jnp.expm1, 0.0, -inf),
        one("log", torch.log, jnp.log, 0.0, -1.0, ordinary=POSITIVE),
        one("log2", torch.log2, jnp.log2, 0.0, ordinary=POSITIVE),
        one("log10", torch.log10, jnp.log10, 0.0, ordinary=POSITIVE),
        one("log1p", torch.log1p, jnp.log1p, -1.0, 0.0, ordinary=POSITIVE),
        one("x log x", lambda x: x * torch.log(x), lambda x: x * jnp.log(x), 0.0, ordinary=POSITIVE),
        one("sin", torch.sin, jnp.sin, 0.0, inf),
        one("cos", torch.cos, jnp.cos, 0.0, inf),
        one("tan", torch.tan, jnp.tan, pi / 2),
        one("asin", torch.asin, jnp.arcsin, 1.0, -1.0, 2.0, ordinary=UNIT),
        one("acos", torch.acos, jnp.arccos, 1.0, -1.0, ordinary=UNIT),
        one("atan", torch.atan, jnp.arctan, 0.0, inf),
        one("sinh", torch.sinh, jnp.sinh, 0.0),
        one("cosh", torch.cosh, jnp.cosh, 0.0),
        one("asinh", torch.asinh, jnp.arcsinh, 0.0, inf),
        one("acosh", torch.acosh, jnp.arccosh, 1.0, ordinary=([1.2, 2.0, 5.0],)),
        one("atanh", torch.atanh, jnp.arctanh, 1.0, ordinary=UNIT),
        one("sinc", torch.sinc, jnp.sinc, 0.0, 1.0),
        one("floor", torch.floor, jnp.floor, 1.0),
        one("ceil", torch.ceil, jnp.ceil, 1.0),
        one("round", torch.round, jnp.round, 0.5),
        one("trunc", torch.trunc, jnp.trunc, 0.0, 1.0),
        one("frac", torch.frac, lambda x: jnp.modf(x)[0], 0.0, 1.0),
        one("x ** 2", lambda x: x**2, lambda x: x**2, 0.0),
        one("x ** 0.5", lambda x: x**0.5, lambda x: x**0.5, 0.0, ordinary=POSITIVE),
        one("x ** 0", lambda x: x**0, lambda x: x**0, 0.0),
        one("2 ** x", lambda x: 2**x, lambda x: 2**x, 0.0, -inf),
        one("0 ** x", lambda x: torch.pow(0.0, x), lambda x: jnp.power(0.0, x), 0.0, ordinary=POSITIVE),
        one("where(x > 0, sqrt(x), 0)", _where_sqrt(torch.where, torch.sqrt), _where_sqrt(jnp.where, jnp.sqrt),
            -1.0, 0.0),
        one("nan_to_num", torch.nan_to_num, jnp.nan_to_num, nan, inf),
    ]  # fmt: skip


def special_functions() -> list[Entry]:
    """Gamma, error and Bessel functions."""
    above = ([0.3, 1.2, 4.5],)
    return [
        one("erf", torch.erf, special.erf, 0.0, inf),
        one("erfc", torch.erfc, special.erfc, 0.0, 30.0),
        one("erfinv", torch.erfinv, special.erfinv, 0.0, 1.0, ordinary=UNIT),
        one("lgamma", torch.lgamma, special.gammaln, 0.0, -1.0, inf, ordinary=above),
        one("digamma", torch.digamma, special.digamma, 0.0, -1.0, ordinary=above),
        one("polygamma(1)", lambda x: torch.polygamma(1, x), lambda x: special.polygamma(1, x), ordinary=above),
        one("i0", torch.special.i0, special.i0, 0.0),
        one("i0e", torch.special.i0e, special.i0e, 0.0),
        one("i1", torch.special.i1, special.i1, 0.0),
        one("ndtr", torch.special.ndtr, special.ndtr, 0.0, -40.0),
        one("log_ndtr", torch.special.log_ndtr, special.log_ndtr, 0.0, -40.0),
        one("ndtri", torch.special.ndtri, special.ndtri, 0.0, 0.5, ordinary=([0.2, 0.4, 0.9],)),
        one("entr", torch.special.entr, special.entr, 0.0, -1.0, ordinary=POSITIVE),
    ]


def pairs() -> list[Entry]:
    """Functions of two numbers."""
    positive = ([0.3, 1.2, 2.5], [0.4, 1.1, 2.2])
    return [
        two("maximum", torch.maximum, jnp.maximum, (1, 1), (0, nan)),
        two("minimum", torch.minimum, jnp.minimum, (1, 1), (inf, inf)),
        two("fmax", torch.fmax, jnp.fmax, (1, 1), (1, nan), (nan, 1)),
        two("fmin", torch.fmin, jnp.fmin, (1, 1), (1, nan)),
        two("divide", torch.divide, jnp.divide, (0, 0), (1, 0), (1, inf)),
        two("pow", torch.pow, jnp.power, (0, 0), (0, 1), (0, 2), (0, 0.5), (-1, 2), (0, -1), ordinary=positive),
        two("atan2", torch.atan2, jnp.arctan2, (0, 0), (0, -1), (inf, inf)),
        two("hypot", torch.hypot, jnp.hypot, (0, 0), (inf, 1)),
        two("remainder", torch.remainder, jnp.remainder, (2, 1), (-2, 1), (1, 0), (1, inf)),
        two("fmod", torch.fmod, jnp.fmod, (2, 1), (-2, 1)),
        two("xlogy", torch.special.xlogy, special.xlogy, (0, 0), (0, 1), (1, 0), ordinary=positive),
        two("xlog1py", torch.special.xlog1py, special.xlog1py, (0, -1), ordinary=positive),
        two("logaddexp", torch.logaddexp, jnp.logaddexp, (0, 0), (-inf, -inf), (inf, inf), (-inf, 0)),
        two("logaddexp2", torch.logaddexp2, jnp.logaddexp2, (0, 0), (-inf, -inf)),
        two("copysign", torch.copysign, jnp.copysign, (0, 1), (1, 0)),
        two("kl_div", lambda x, y: F.kl_div(y.log(), x, reduction="none"), special.rel_entr,
            (0, 0.5), (0.5, 0), ordinary=positive),
        two("huber(1)", lambda x, y: F.huber_loss(x, y, reduction="none"), _huber, (1, 0), (-1, 0), (0, 0)),
        two("smooth_l1(1)", lambda x, y: F.smooth_l1_loss(x, y, reduction="none"), _huber, (1, 0)),
        two("l1_loss", lambda x, y: F.l1_loss(x, y, reduction="none"), lambda x, y: jnp.abs(x - y), (1, 1)),
        two("binary_cross_entropy", lambda x, y: F.binary_cross_entropy(x, y, reduction="none"), _cross_entropy,
            (0, 0), (0, 1), (1, 1), ordinary=([0.2, 0.5, 0.9], [0.3, 0.6, 0.8])),
    ]  # fmt: skip


def _huber(x: Any, y: Any) -> Any:
    distance = jnp.abs(x - y)
    return jnp.where(distance < 1, distance**2 / 2, distance - 0.5)


def _cross_entropy(p: Any, y: Any) -> Any:
    return -special.xlogy(y, p) - special.xlog1py(1 - y, -p)
