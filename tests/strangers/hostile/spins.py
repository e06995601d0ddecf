"""Never returns."""


def relu_forward(x):
    n = 0
    while n >= 0:
        n += 1


def relu_backward(dout, cache):
    return dout
