"""What the tests of training any module train: one small net, three batches, and its loss."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F


@pytest.fixture
def net():
    def make():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))

    return make


@pytest.fixture
def loss():
    return lambda module, batch: F.cross_entropy(module(batch[0]), batch[1])


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(8, 4, generator=generator), torch.arange(8) % 3) for _ in range(3)]
