"""Right, with a thread and a process that would outlive it."""

import os
import subprocess
import threading
import time

import numpy as np

threading.Thread(target=time.sleep, args=(3600,)).start()
subprocess.Popen(["sleep", "3600"], start_new_session=True, env={**os.environ, "SLEEPER": "scratchproof"})


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return dout * (cache > 0)
