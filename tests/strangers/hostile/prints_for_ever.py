"""Floods standard output and standard error."""

import sys


def relu_forward(x):
    while True:
        sys.stdout.write("la" * 500)
        sys.stderr.write("la" * 500)


def relu_backward(dout, cache):
    return dout
