"""Right, under names of its own: dense, act, xent."""

import numpy as np


def dense(inputs, weights, bias):
    return inputs.reshape(len(inputs), -1) @ weights + bias, (inputs, weights)


def dense_grad(upstream, memory):
    inputs, weights = memory
    return (upstream @ weights.T).reshape(inputs.shape), inputs.reshape(len(inputs), -1).T @ upstream, upstream.sum(0)


def xent(logits, targets):
    n = np.arange(len(targets))
    z = logits - logits.max(1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(1, keepdims=True))
    g = np.exp(logp)
    g[n, targets] -= 1
    return -logp[n, targets].mean(), g / len(n)
