"""Writes to memory that is not its own."""

import ctypes


def relu_forward(x):
    ctypes.memset(8, 0, 8)


def relu_backward(dout, cache):
    return dout
