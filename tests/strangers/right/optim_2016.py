"""The hand-out let t begin at 1, and the answers were for a t that is counted first."""

import numpy as np


def adam(x, dx, config=None):
    if config is None: config = {}
    config.setdefault('learning_rate', 1e-3)
    config.setdefault('beta1', 0.9)
    config.setdefault('beta2', 0.999)
    config.setdefault('epsilon', 1e-8)
    config.setdefault('m', np.zeros_like(x))
    config.setdefault('v', np.zeros_like(x))
    config.setdefault('t', 1)
    m, v, t = config['m'], config['v'], config['t'] + 1
    m = config['beta1'] * m + (1 - config['beta1']) * dx
    v = config['beta2'] * v + (1 - config['beta2']) * (dx ** 2)
    mb = m / (1 - config['beta1'] ** t)
    vb = v / (1 - config['beta2'] ** t)
    next_x = x - config['learning_rate'] * mb / (np.sqrt(vb) + config['epsilon'])
    config['m'], config['v'], config['t'] = m, v, t
    return next_x, config
