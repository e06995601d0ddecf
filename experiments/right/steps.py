"""Rules of optimisation in many hands: rule(w, dw, config) gives the next w and its state."""

import numpy as np


def _with_defaults(config, **defaults):
    return {**defaults, **(config or {})}


def momentum_forms(w, dw, config=None):
    config = _with_defaults(config, learning_rate=1e-2, momentum=0.9)
    v = config.get("velocity", np.zeros_like(w))
    config["velocity"] = config["momentum"] * v - config["learning_rate"] * dw
    return w + config["velocity"], config


def momentum_in_place(w, dw, config=None):
    config = {} if config is None else config
    config.setdefault("learning_rate", 1e-2)
    config.setdefault("momentum", 0.9)
    v = config.setdefault("velocity", np.zeros_like(w))
    v *= config["momentum"]
    v -= config["learning_rate"] * dw
    return w + v, config


def rmsprop_of_squares(w, dw, config=None):
    config = _with_defaults(config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8, cache=np.zeros_like(w))
    rho = config["decay_rate"]
    config["cache"] = rho * config["cache"] + (1 - rho) * np.square(dw)
    return w - config["learning_rate"] * dw / (np.sqrt(config["cache"]) + config["epsilon"]), config


_ADAM = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "t": 0}


def adam_by_the_paper(w, dw, config=None):
    config = _with_defaults(config, **_ADAM, m=np.zeros_like(w), v=np.zeros_like(w))
    config["t"] += 1
    for name, beta, new in (("m", config["beta1"], dw), ("v", config["beta2"], dw * dw)):
        config[name] = beta * config[name] + (1 - beta) * new
    m, v = config["m"] / (1 - config["beta1"] ** config["t"]), config["v"] / (1 - config["beta2"] ** config["t"])
    return w - config["learning_rate"] * m / (np.sqrt(v) + config["epsilon"]), config


def adam_by_differences(w, dw, config=None):
    """Moments moved by a share of how far they are from the gradient."""
    config = _with_defaults(config, **_ADAM, m=np.zeros_like(w), v=np.zeros_like(w))
    t = config["t"] = config["t"] + 1
    config["m"] = config["m"] + (1 - config["beta1"]) * (dw - config["m"])
    config["v"] = config["v"] + (1 - config["beta2"]) * (dw**2 - config["v"])
    root = np.sqrt(config["v"] / (1 - config["beta2"] ** t)) + config["epsilon"]
    return w - config["learning_rate"] / (1 - config["beta1"] ** t) * config["m"] / root, config


STYLES = {
    ("sgd_momentum", "a new velocity"): {"sgd_momentum": momentum_forms},
    ("sgd_momentum", "a velocity in place"): {"sgd_momentum": momentum_in_place},
    ("rmsprop", "squares"): {"rmsprop": rmsprop_of_squares},
    ("adam", "as in the paper"): {"adam": adam_by_the_paper},
    ("adam", "by differences"): {"adam": adam_by_differences},
}
