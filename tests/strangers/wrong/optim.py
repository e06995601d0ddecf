"""Momentum adds where it should subtract; rmsprop's epsilon is inside the root; adam corrects no bias."""

import numpy as np


def sgd(w, dw, config=None):
    config = config or {}
    return w + config.setdefault("learning_rate", 1e-2) * dw, config


def sgd_momentum(w, dw, config=None):
    config = config or {}
    config.setdefault("learning_rate", 1e-2)
    config.setdefault("momentum", 0.9)
    v = config.get("velocity", np.zeros_like(w))
    v = config["momentum"] * v + config["learning_rate"] * dw
    config["velocity"] = v
    return w + v, config


def rmsprop(w, dw, config=None):
    config = config or {}
    for key, value in (("learning_rate", 1e-2), ("decay_rate", 0.99), ("epsilon", 1e-8)):
        config.setdefault(key, value)
    cache = config.get("cache", np.zeros_like(w))
    cache = config["decay_rate"] * cache + (1 - config["decay_rate"]) * dw**2
    config["cache"] = cache
    return w - config["learning_rate"] * dw / np.sqrt(cache + config["epsilon"]), config


def adam(w, dw, config=None):
    config = config or {}
    for key, value in (("learning_rate", 1e-3), ("beta1", 0.9), ("beta2", 0.999), ("epsilon", 1e-8)):
        config.setdefault(key, value)
    m, v = config.get("m", np.zeros_like(w)), config.get("v", np.zeros_like(w))
    config["m"] = m = config["beta1"] * m + (1 - config["beta1"]) * dw
    config["v"] = v = config["beta2"] * v + (1 - config["beta2"]) * dw**2
    return w - config["learning_rate"] * m / (np.sqrt(v) + config["epsilon"]), config
