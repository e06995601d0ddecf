"""Calls itself, through code in C, having lifted the limit that would have stopped it."""

import sys

sys.setrecursionlimit(10**9)


def relu_forward(x):
    return sorted([x], key=relu_forward)


def relu_backward(dout, cache):
    return dout
