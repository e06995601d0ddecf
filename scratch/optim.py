"""Update rules: how a parameter moves, given its gradient.

`rule(w, dw, config) -> config` writes the new values into `w` itself: the one exception to never writing an
argument, since a second copy of every weight would cost more than the step. `config` holds a rule's options
and, from the first call on, its state (one dict for each parameter); it is filled in and returned, so that
`config = sgd(w, dw)` starts from the defaults. `dw` is only read.

w, dw: any shape, the same for both, of one floating dtype, which every intermediate keeps. Every rule raises
ValueError for an option that is unknown or out of range and for arrays that do not fit.
Weight decay is the net's (`reg`), the decay of the learning rate the Solver's.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from ._types import Array

__all__ = ["adam", "rmsprop", "sgd", "sgd_momentum"]

Config: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Array, Array, Config | None], Config]

OPTIONS: dict[str, dict[str, float]] = {
    "sgd": {"learning_rate": 1e-2},
    "sgd_momentum": {"learning_rate": 1e-2, "momentum": 0.9},
    "rmsprop": {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
    "adam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}
STATE: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "sgd_momentum": ("velocity",),
    "rmsprop": ("cache",),
    "adam": ("m", "v"),
}
POSITIVE = ("learning_rate", "epsilon")

BLOCK = 32768  # elements: a block of w, dw and the state stays in the cache from one operation to the next


@np.errstate(over="ignore", invalid="ignore")  # NaN and inf pass through in silence; the Solver looks at the loss
def sgd(w: Array, dw: Array, config: Config | None = None) -> Config:
    """Plain stochastic gradient descent, in place: w -= learning_rate * dw.

    config: learning_rate (default 1e-2).
    Source: CS231n, neural networks part 3.
    """
    config = _ready("sgd", w, dw, config)
    rate = float(config["learning_rate"])
    for w_rows, dw_rows in _blocks(w, dw):
        w_rows -= rate * dw_rows
    return config


@np.errstate(over="ignore", invalid="ignore")
def sgd_momentum(w: Array, dw: Array, config: Config | None = None) -> Config:
    """Descent with momentum, in place: v = momentum * v - learning_rate * dw, then w += v.

    CS231n's form: the velocity carries the learning rate it was made with. torch keeps v = momentum * v + dw
    and multiplies by the present rate: the same as long as the rate is constant.

    config: learning_rate (1e-2), momentum (0.9, a share in [0, 1)); state: velocity, of w's shape, from zero.
    Source: CS231n, neural networks part 3.
    """
    config = _ready("sgd_momentum", w, dw, config)
    rate, momentum = float(config["learning_rate"]), float(config["momentum"])
    for w_rows, dw_rows, v_rows in _blocks(w, dw, config["velocity"]):
        v_rows *= momentum
        v_rows -= rate * dw_rows
        w_rows += v_rows
    return config


@np.errstate(over="ignore", invalid="ignore")
def rmsprop(w: Array, dw: Array, config: Config | None = None) -> Config:
    """Scale every element's step by a running mean of its squared gradient, in place.

    cache = decay_rate * cache + (1 - decay_rate) * dw², then w -= learning_rate * dw / (sqrt(cache) + epsilon)

    config: learning_rate (1e-2), decay_rate (0.99, in [0, 1)), epsilon (1e-8); state: cache, from zero.
    Source: CS231n, neural networks part 3; Hinton, lecture 6 of Neural Networks for Machine Learning.
    """
    config = _ready("rmsprop", w, dw, config)
    rate, decay, epsilon = (float(config[key]) for key in OPTIONS["rmsprop"])
    for w_rows, dw_rows, cache_rows in _blocks(w, dw, config["cache"]):
        cache_rows *= decay
        cache_rows += (1 - decay) * dw_rows * dw_rows
        w_rows -= rate * dw_rows / (np.sqrt(cache_rows) + epsilon)
    return config


@np.errstate(over="ignore", invalid="ignore")
def adam(w: Array, dw: Array, config: Config | None = None) -> Config:
    """Momentum and rmsprop together, both corrected for their start at zero, in place.

    t = t + 1 (before its first use); m = beta1 m + (1 - beta1) dw; v = beta2 v + (1 - beta2) dw²;
    w -= learning_rate * m' / (sqrt(v') + epsilon) with m' = m / (1 - beta1^t), v' = v / (1 - beta2^t):
    epsilon stands outside the root and after the correction.

    config: learning_rate (1e-3), beta1 (0.9), beta2 (0.999), both in [0, 1), epsilon (1e-8);
    state: m and v, from zero, and the count t.
    Source: Kingma and Ba, Adam, algorithm 1; CS231n, neural networks part 3.
    """
    config = _ready("adam", w, dw, config)
    rate, beta1, beta2, epsilon = (float(config[key]) for key in OPTIONS["adam"])
    config["t"] = t = config.get("t", 0) + 1
    root = math.sqrt(1 - beta2**t)  # m' / (sqrt(v') + epsilon) = root m' / (sqrt(v) + root epsilon): a pass less
    rate = rate * root / (1 - beta1**t)
    for w_rows, dw_rows, m_rows, v_rows in _blocks(w, dw, config["m"], config["v"]):
        m_rows *= beta1
        m_rows += (1 - beta1) * dw_rows
        v_rows *= beta2
        v_rows += (1 - beta2) * dw_rows * dw_rows
        w_rows -= rate * m_rows / (np.sqrt(v_rows) + root * epsilon)
    return config


RULES: dict[str, Rule] = {rule.__name__: rule for rule in (sgd, sgd_momentum, rmsprop, adam)}


def checked_options(rule: str, config: Config | None) -> Config:
    """A copy of the options in `config`, filled up with the defaults of `rule`.

    Raises: ValueError for an unknown rule or option, or an option out of its range.
    """
    if rule not in OPTIONS:
        raise ValueError(f"no update rule is called {rule!r}: choose {', '.join(OPTIONS)}")
    options = OPTIONS[rule] | (config or {})
    for key, value in options.items():
        if key not in OPTIONS[rule]:
            raise ValueError(f"{rule} has no option {key!r}: it takes {', '.join(OPTIONS[rule])}")
        _require_range(key, value)
    return options


def _require_range(key: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ValueError(f"{key} is {value!r} but must be a number")
    if key in POSITIVE and not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{key} is {value} but must be positive and finite")
    if key not in POSITIVE and not 0 <= value < 1:
        raise ValueError(f"{key} is {value} but must be a share: at least 0 and less than 1")


def _ready(rule: str, w: Array, dw: Array, config: Config | None) -> Config:
    """`config` itself, checked, with the defaults and the state it lacks."""
    config = {} if config is None else config
    if w.dtype.kind != "f" or w.dtype != dw.dtype or w.shape != dw.shape:
        raise ValueError(
            f"w is {w.dtype} of shape {w.shape} and dw {dw.dtype} of shape {dw.shape}: "
            "they must share one floating dtype and one shape"
        )
    state = STATE[rule]
    options = {key: value for key, value in config.items() if key not in state and key != "t"}
    config.update(checked_options(rule, options))
    for key in state:
        if config.setdefault(key, np.zeros_like(w)).shape != w.shape:
            raise ValueError(f"{key} has shape {config[key].shape} but w {w.shape}: each w needs its own config")
    return config


def _blocks(*arrays: Array) -> Iterator[list[Array]]:
    """The same rows of every array, as views of about BLOCK elements, one block after the other.

    Arrays of one shape. A temporary as large as a block is reused by the allocator and never leaves the cache.
    """
    arrays = tuple(np.atleast_1d(a) for a in arrays)
    size, length = arrays[0].size, len(arrays[0])
    rows = max(1, BLOCK * length // max(size, 1))
    for start in range(0, length, rows):
        yield [a[start : start + rows] for a in arrays]
