"""Rates of the author's own choice where a config leaves one out."""

import numpy as np


def sgd(w, dw, config=None):
    if config is None:
        config = {}
    config.setdefault("learning_rate", 3e-4)
    w -= config["learning_rate"] * dw
    return w, config


def rmsprop(w, dw, config=None):
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-3)
    config.setdefault("decay_rate", 0.9)
    config.setdefault("epsilon", 1e-7)
    config["cache"] = config["decay_rate"] * config.get("cache", 0) + (1 - config["decay_rate"]) * dw**2
    return w - config["learning_rate"] * dw / (np.sqrt(config["cache"]) + config["epsilon"]), config
