"""Floods standard output and standard error."""

import sys


def relu_forward(x):
    while True:
        print("la" * 500)
        print("la" * 500, file=sys.stderr)


def relu_backward(dout, cache):
    return dout
