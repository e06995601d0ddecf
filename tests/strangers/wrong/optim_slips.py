import numpy as np
def sgd(w, dw, config=None):
    config = config or {}
    lr = config.setdefault('learning_rate', 1e-3)     # default 1e-3
    return w - lr * dw, config
def sgd_momentum(w, dw, config=None):
    config = config or {}
    config.setdefault('learning_rate', 1e-2)
    config.setdefault('momentum', 0.9)
    v = config.get('velocity', np.zeros_like(w))
    v = config['momentum'] * v + dw
    w = w - config['learning_rate'] * config['momentum'] * v     # momentum in the step too
    config['velocity'] = v
    return w, config
def rmsprop(w, dw, config=None):
    config = config or {}
    config.setdefault('learning_rate', 1e-2)
    config.setdefault('decay_rate', 0.99)
    config.setdefault('epsilon', 1e-8)
    c = config.get('cache', np.zeros_like(w))
    c = config['decay_rate'] * c + (1 - config['decay_rate']) * dw ** 2
    config['cache'] = c
    return w - config['learning_rate'] * dw / (c + config['epsilon']), config    # root forgotten
def adam(w, dw, config=None):
    config = config or {}
    lr, b1, b2, eps = (config.setdefault(k, v) for k, v in (('learning_rate', 1e-3), ('beta1', .9), ('beta2', .999), ('epsilon', 1e-8)))
    m, v, t = config.get('m', np.zeros_like(w)), config.get('v', np.zeros_like(w)), config.get('t', 0) + 1
    m = b1 * m + (1 - b1) * dw
    v = b2 * v + (1 - b2) * dw ** 2
    m = m / (1 - b1 ** t)                              # corrected moments are kept
    v = v / (1 - b2 ** t)
    config.update(m=m, v=v, t=t)
    return w - lr * m / (np.sqrt(v) + eps), config
