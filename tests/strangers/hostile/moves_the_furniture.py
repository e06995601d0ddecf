"""Right, but leaves the process in a state: another folder, no import path, no gradients."""

import os
import sys

import numpy as np
import torch

os.chdir("/")
sys.path.clear()
sys.path_hooks.clear()
torch.set_grad_enabled(False)
np.seterr(all="raise")


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return dout * (cache > 0)
